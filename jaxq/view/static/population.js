// The agents of a run: how they learned, what they scored, and which of them the reader looks at.

import { costWords, overBudget } from "./costs.js";
import { byId, make } from "./dom.js";
import { Plot, extent, readable } from "./plot.js";

export function populationView(data, chosen) {
  const status = make("p", { class: "status", "aria-live": "polite" });
  const curve = data.curves && new Plot("Return while training", "env steps of each agent →", "return");
  const scatter = new Plot("Scores of all agents", "", "score");
  const names = Object.keys(data.leaves);
  const across = make("select", { "aria-label": "What the horizontal axis shows" });
  const axes = new Map([
    ...names.map((name) => [name, { label: name, values: data.leaves[name] }]),
    ...data.costs.map(({ name, mean, budget }) => [`cost of ${name}`, { label: `cost per episode: ${name}`, values: mean, budget, linear: true }]),
    ["agent", { label: "number of the agent", values: data.scores.map((_, i) => i), linear: true }],
  ]);
  for (const [key, { label }] of axes) across.append(make("option", { value: key }, label));
  const agents = make("select", { id: "agent" });
  for (const agent of data.ranked) agents.append(make("option", { value: agent }, `agent ${agent}, score ${readable(data.scores[agent])}`));
  let current = null;

  function drawScatter() {
    const { label, values: xs, budget, linear } = axes.get(across.value);
    const positive = xs.filter((x) => x > 0);
    const log = !linear && positive.length === xs.length && Math.max(...xs) / Math.min(...xs) > 8;
    // Where all have one budget, it is a line that none should be behind.
    const limits = new Set(budget ?? []).size === 1 ? [budget[0]] : [];
    const range = log ? [Math.min(...xs) / 1.3, Math.max(...xs) * 1.3] : extent([...xs, ...limits]);
    const height = extent(data.scores);
    scatter.names[0].textContent = `${label} →`;
    scatter.range(range, height, log);
    for (const limit of limits) scatter.line([limit, limit], height, "diagonal");
    const scored = data.scores.map((score, i) => [xs[i], score, i]).filter(([x, score]) => score != null && x != null);
    scatter.points(scored, (at) => {
      const agent = scored[at][2];
      const kind = [agent in data.agents ? "played" : "", data.diverged.includes(agent) ? "diverged" : "", overBudget(data.costs, agent) ? "over" : "", agent === current ? "chosen" : ""];
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
    const leaves = names.map((name) => `${name} ${readable(data.leaves[name][agent])}`).concat(costWords(data, agent));
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
  if (axes.size === 1) across.hidden = true;
  const plum = data.costs.some(({ budget }) => budget) ? "; in plum those over a budget" : "";
  const choice = data.ranked.length ? [make("label", { for: "agent" }, "Agent"), agents] : [];
  byId("population").append(make("div", { class: "bar" }, ...choice, across), status,
    make("div", { class: curve ? "pair" : "" },
      make("div", {}, make("h3", {}, "Scores: choose an agent"), scatter.element, make("p", { class: "readout" }, `Filled points can be played below${plum}${data.diverged.length ? "; crossed out: diverged" : ""}.`)),
      curve ? make("div", {}, make("h3", {}, "Return while training"), curve.element, make("p", { class: "readout" }, "Median and middle half of the agents; in orange the chosen one.")) : ""));
  choose(data.ranked[0] ?? 0);
}
