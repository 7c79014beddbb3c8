// The agents of a run: how they learned, what they scored, and which of them the reader looks at.

import { byId, make } from "./dom.js";
import { Plot, extent, readable } from "./plot.js";

export function populationView(data, chosen) {
  const status = make("p", { class: "status", "aria-live": "polite" });
  const curve = data.curves && new Plot("Return while training", "env steps of each agent →", "return");
  const scatter = new Plot("Scores of all agents", "", "score");
  const names = Object.keys(data.leaves);
  const across = make("select", { "aria-label": "Hyperparameter on the horizontal axis" });
  for (const name of [...names, "agent"]) across.append(make("option", { value: name }, name === "agent" ? "number of the agent" : name));
  const agents = make("select", { id: "agent" });
  for (const agent of data.ranked) agents.append(make("option", { value: agent }, `agent ${agent}, score ${readable(data.scores[agent])}`));
  let current = null;

  const values = () => (across.value === "agent" ? data.scores.map((_, i) => i) : data.leaves[across.value]);
  function drawScatter() {
    const xs = values();
    const positive = xs.filter((x) => x > 0);
    const log = across.value !== "agent" && positive.length === xs.length && Math.max(...xs) / Math.min(...xs) > 8;
    const range = log ? [Math.min(...xs) / 1.3, Math.max(...xs) * 1.3] : extent(xs);
    scatter.names[0].textContent = `${across.selectedOptions[0].textContent} →`;
    scatter.range(range, extent(data.scores), log);
    const scored = data.scores.map((score, i) => [xs[i], score, i]).filter(([x, score]) => score != null && x != null);
    scatter.points(scored, (at) => {
      const agent = scored[at][2];
      const kind = [agent in data.agents ? "played" : "", data.diverged.includes(agent) ? "diverged" : "", agent === current ? "chosen" : ""];
      return { r: agent === current ? 8 : 5, class: `agentpoint ${kind.join(" ")}`, "data-agent": agent };
    });
    scatter.say(`${scored.length} agents; agent ${current} scores ${readable(data.scores[current])}`);
  }
  function drawCurve() {
    const { steps, low, median, high, agents: lines } = data.curves;
    const mine = lines[current] ?? null;
    curve.range([0, steps.at(-1)], extent([...low, ...high, ...(mine ?? [])]));
    curve.band(steps, low, high).line(steps, median);
    if (mine) curve.line(steps, mine, "line mine");
    curve.say(`median of the agents from ${readable(median.find((value) => value != null))} to ${readable(median.at(-1))}`);
  }
  function choose(agent) {
    current = agent;
    const leaves = names.map((name) => `${name} ${readable(data.leaves[name][agent])}`);
    const played = agent in data.agents;
    if (played) agents.value = String(agent);
    status.replaceChildren(make("strong", {}, `Agent ${agent}`), `: score ${readable(data.scores[agent])}${leaves.length ? `, ${leaves.join(", ")}` : ""}.${played ? "" : " This page holds no episode of it; filled points have one."}`);
    drawScatter();
    if (curve) drawCurve();
    if (played) chosen(agent);
  }
  scatter.element.addEventListener("click", (event) => event.target.dataset.agent && choose(Number(event.target.dataset.agent)));
  agents.addEventListener("change", () => choose(Number(agents.value)));
  across.addEventListener("change", drawScatter);
  if (!names.length) across.hidden = true;
  const choice = data.ranked.length ? [make("label", { for: "agent" }, "Agent"), agents] : [];
  byId("population").append(make("div", { class: "bar" }, ...choice, across), status,
    make("div", { class: curve ? "pair" : "" },
      make("div", {}, make("h3", {}, "Scores: choose an agent"), scatter.element, make("p", { class: "readout" }, `Filled points can be played below${data.diverged.length ? "; crossed out: diverged" : ""}.`)),
      curve ? make("div", {}, make("h3", {}, "Return while training"), curve.element, make("p", { class: "readout" }, "Median and middle half of the agents; in orange the chosen one.")) : ""));
  choose(data.ranked[0] ?? 0);
}
