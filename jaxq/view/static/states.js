// Values of all states of a table without a map: a heat map that can be sorted.

import { byId, make } from "./dom.js";
import { Grid } from "./grid.js";
import { readable } from "./plot.js";
import { colour, highest, inkOn } from "./scale.js";

export function statesView(data) {
  const { exact, agents, world } = data.table;
  const actions = world ? world.actions : data.actions;
  const head = ["state", ...actions, "best", "away from Q*"];
  let [sorted, falling] = [0, false];
  let current = null;
  const grid = world && new Grid(world, "Exact Q-values of the optimal policy");
  const body = make("tbody");
  // Actions that are not legal have no value, here and there.
  const distances = (q, best) => q.map((value, a) => (value == null || best[a] == null ? null : Math.abs(value - best[a])));
  const rows = () => agents[current].map((q, s) => [s, ...q, highest(q), highest(distances(q, exact[current][s]))]);
  const missing = (a, b) => (a == null) - (b == null);
  function draw() {
    const all = rows();
    const largest = Math.max(...all.flatMap((row) => row.slice(1, -1).map(Math.abs))) || 1;
    all.sort((a, b) => missing(a[sorted], b[sorted]) || (falling ? b[sorted] - a[sorted] : a[sorted] - b[sorted]));
    body.replaceChildren(...all.map((row) => make("tr", {}, ...row.map((value, i) => {
      if (i === 0) return make("th", { scope: "row" }, String(value));
      const heat = i <= actions.length;
      const cell = make("td", { class: heat ? "n heat" : "n" }, value == null ? "–" : readable(value));
      if (heat && value != null) {
        cell.style.setProperty("background", colour(value / largest));
        cell.style.setProperty("color", inkOn(value / largest));
      }
      return cell;
    }))));
  }
  const buttons = head.map((name, i) => make("button", { type: "button", class: "sort", onclick: () => sort(i) }, name));
  const cells = buttons.map((element) => make("th", { scope: "col" }, element));
  function sort(column) {
    falling = column === sorted ? !falling : column !== 0;
    sorted = column;
    cells.forEach((cell, i) => cell.setAttribute("aria-sort", i !== sorted ? "none" : falling ? "descending" : "ascending"));
    draw();
  }
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...cells)), body);
  const away = make("p", { class: "status" });
  const list = make("div", { class: "table states", tabindex: "0", role: "region", "aria-label": "Values of all states" }, table);
  if (world) {
    grid.agent.remove();
    byId("states").append(away, make("div", { class: "pair" }, make("div", {}, make("h3", {}, "What is exact: Q*"), grid.element), make("div", {}, make("h3", {}, "All values"), list)));
  } else byId("states").append(away, list);
  byId("states-section").hidden = false;
  return (agent) => {
    current = agent;
    const values = exact[agent].flat();
    grid?.show(values, Math.max(...values.map(Math.abs)) || 1);
    const largest = highest(rows().map((row) => row.at(-1)));
    away.replaceChildren("Largest distance to the exact Q*: ", make("strong", {}, readable(largest)), `, discount ${readable(data.agents[agent].discount)}.`);
    draw();
  };
}
