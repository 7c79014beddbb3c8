// What an agent expected against what came: overestimation, action gaps, TD errors.

import { byId, make } from "./dom.js";
import { Plot, extent, histogram, readable } from "./plot.js";

/** Mean of expected minus what followed, and the share of steps that expected too much. */
export function overestimation(pairs) {
  const excess = pairs.map(([expected, followed]) => expected - followed);
  const mean = excess.reduce((sum, value) => sum + value, 0) / excess.length;
  return { mean, share: excess.filter((value) => value > 0).length / excess.length };
}

function scatterOf(pairs) {
  const plot = new Plot("Expected return against the return that followed", "return that followed →", "expected");
  const range = extent(pairs.flat());
  plot.range(range, range).line(range, range, "diagonal");
  plot.points(pairs.map(([expected, followed]) => [followed, expected]));
  const { mean, share } = overestimation(pairs);
  const text = `It expects ${readable(Math.abs(mean))} too ${mean >= 0 ? "much" : "little"} on average; too much in ${Math.round(100 * share)}% of the steps.`;
  plot.say(text);
  return [plot.element, make("p", { class: "readout" }, `${text} On the line it would be right.`)];
}

function histogramOf(label, xName, values) {
  const plot = new Plot(label, xName, "steps");
  const bins = histogram(values);
  plot.range([bins.low, bins.low + bins.width * bins.counts.length], [0, Math.max(...bins.counts) * 1.05]).bars(bins);
  const sorted = [...values].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  plot.say(`median ${readable(median)}, from ${readable(sorted[0])} to ${readable(sorted.at(-1))}`);
  return [plot.element, make("p", { class: "readout" }, `Median ${readable(median)}.`)];
}

export function expectationsView(data) {
  return (agent) => {
    const { expected, gaps, errors } = data.agents[agent];
    const part = (title, found, without) => make("div", {}, make("h3", {}, title), ...(found ?? [make("p", { class: "readout" }, without)]));
    const none = "This agent has no action values.";
    byId("expectations").replaceChildren(
      make("div", { class: "pair" },
        part("Expected return against what followed", expected?.length ? scatterOf(expected) : null, expected ? "No episode reached its end within this page's steps, so what followed is not known." : none),
        part("TD errors of the steps", errors?.length ? histogramOf("TD errors", "TD error →", errors) : null, none)),
      make("div", { class: "narrow" }, part("Action gaps: best less second best value", gaps?.length ? histogramOf("Action gaps", "gap →", gaps) : null, none)));
  };
}
