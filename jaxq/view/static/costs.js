// Costs beside reward: what an agent's episodes cost, and whether it keeps to its budgets.

import { make } from "./dom.js";
import { Plot, extent, readable } from "./plot.js";

/** Sums up to each step. */
export function running(values) {
  let total = 0;
  return values.map((value) => (total += value ?? 0));
}

/** Whether an agent's mean cost is over its budget, of any cost that there is a budget of. */
export function overBudget(costs, agent) {
  return costs.some(({ mean, budget }) => budget && mean[agent] > budget[agent]);
}

/** What an agent's episodes cost in the evaluation, or as far as the page has played them; one text for each cost. */
export function costWords(data, agent) {
  const words = data.costs.map(({ name, mean, budget }) => `${name} costs ${readable(mean[agent])} per episode${budget ? `, budget ${readable(budget[agent])}` : ""}`);
  if (words.length) return words;
  return (data.agents[agent]?.costs ?? []).map(({ name, mean }) => `${name} costs ${readable(mean)} per episode played here`);
}

/** The costs of all agents in one line, empty where there are none. */
export function costSummary(costs) {
  const words = costs.map(({ name, iqm, interval, within, mean }) =>
    `${name} ${readable(iqm)} [${interval.map(readable).join(", ")}]${within == null ? "" : ` (${within} of ${mean.length} agents within budget)`}`);
  return words.length ? ` Cost per episode: ${words.join("; ")}.` : "";
}

/** Costs so far along an episode, a line each, dashed its budget: null, or { element, cursor, at }. */
export function costPlot(costs, budgets) {
  if (!costs.length) return null;
  const last = costs[0].steps.length - 1;
  const sums = costs.map(({ steps }) => running(steps));
  const plot = new Plot("Costs so far along the episode", "step →", "cost so far");
  const limits = budgets.filter((budget) => budget != null);
  plot.range([0, Math.max(last, 1)], extent([0, ...sums.flat(), ...limits]));
  for (const limit of limits) plot.line([0, Math.max(last, 1)], [limit, limit], "diagonal");
  sums.forEach((sum, k) => plot.line(sum.map((_, i) => i), sum, `line cost${k % 4}`));
  plot.say(costs.map(({ name }, k) => `${name} comes to ${readable(sums[k].at(-1))}`).join(", "));
  const keys = costs.flatMap(({ name }, k) => [k ? " " : "", make("span", { class: `key cost${k % 4}`, "aria-hidden": "true" }), `${name}${budgets[k] == null ? "" : `, on average at most ${readable(budgets[k])} (dashed)`}`]);
  const element = make("div", {}, make("h3", {}, "Costs so far"), plot.element, make("p", { class: "readout" }, ...keys));
  const at = (now) => costs.map(({ name, steps }, k) => `, ${name} cost ${readable(steps[now])}, so far ${readable(sums[k][now])}`).join("");
  return { element, at, cursor: (now) => plot.cursor(now) };
}
