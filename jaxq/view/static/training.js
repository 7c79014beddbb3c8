// The slider over real snapshots: grid, landscape, Q* beside it, and the distance to it.

import { byId, button, calm, make, player, slider } from "./dom.js";
import { Chart } from "./chart.js";
import { Grid } from "./grid.js";
import { Surface } from "./surface.js";
import { distance, greedyAction } from "./table.js";

/** The lesson's table, with what is exact beside it, and an agent that walks by it. */
export function trainingView({ world, qStar, table }) {
  const exact = new Grid(world, "Exact Q-values of the optimal policy");
  exact.show(qStar);
  exact.agent.remove();
  const found = trainingPanel(world, { steps: table.steps, q: table.q, exact: qStar, begin: 0.6, walks: true });
  byId("training").append(...found.bars, found.values, make("div", { class: "pair" },
    make("div", {}, make("h3", {}, "What is exact: Q*"), exact.element),
    make("div", {}, make("h3", {}, "Largest distance to Q*"), found.chart)));
}

/**
 * The parts of a view of snapshots: values `q`, `[S * A]` each, after `steps`, coloured as shares of `scale`.
 * It begins at the share `begin` of them. A single one has nothing to slide over, and no chart.
 */
export function trainingPanel(world, { steps, q, exact, visits = null, scale = 1, begin = 1, walks = false }) {
  const grid = new Grid(world, "Q-values of the table: arrow keys move between cells");
  const surface = new Surface(world, "State values as a landscape; drag or arrow keys turn it, plus and minus zoom.");
  surface.reserve(q, scale);
  const chart = new Chart("Largest distance of the table to the exact Q-values", "env steps →");
  const away = q.map((values) => distance(values, exact));
  const last = q.length - 1;
  let index = Math.round(last * begin);
  const status = make("p", { class: "status", "aria-live": "polite" });
  if (!walks) grid.agent.remove();
  const draw = () => surface.show(q[index], walks ? grid.at : null, scale);
  const show = (to) => {
    index = to;
    grid.show(q[index], scale, visits?.[index]);
    draw();
    if (last > 0) chart.show(steps, away, index);
    const never = visits?.[index].filter((count, s) => count === 0 && grid.cells[s].arrows.length).length;
    status.replaceChildren("after ", make("strong", {}, steps[index].toLocaleString("en")), " env steps, distance to Q* ", make("strong", {}, away[index].toFixed(3)),
      never === undefined ? "" : `, ${never ? `${never.toLocaleString("en")} states not updated yet` : "every state updated"}`);
  };
  const time = slider("snapshot", "Training", { min: 0, max: last, step: 1, value: index, show: (i) => steps[i].toLocaleString("en") }, show);
  const to = (place) => (time.set(place), show(place));
  const play = player("training", () => (to(Math.min(last, index + 1)), index < last));
  play.toggle.addEventListener("click", () => index === last && to(0));
  const back = button("‹", () => to(Math.max(0, index - 1)), { "aria-label": "One snapshot back" });
  const on = button("›", () => to(Math.min(last, index + 1)), { "aria-label": "One snapshot forward" });
  const walk = walks ? [walker(world, () => q[index], (s) => (grid.place(s), draw()))] : [];
  const bar = make("div", { class: "bar" }, play.toggle, back, on, time.element, play.speed, ...walk);
  const zooms = make("div", { class: "bar small" }, button("Turn", () => surface.move(0.35, 0)), button("Zoom in", () => surface.scale(1.2)), button("Zoom out", () => surface.scale(1 / 1.2)));
  const values = make("div", { class: "pair" },
    make("div", {}, make("h3", {}, last > 0 ? "The table, as it learns" : "The table"), grid.element),
    make("div", {}, make("h3", {}, "The same values as a landscape"), surface.canvas, zooms));
  show(index);
  return { bars: last > 0 ? [bar, status] : [status], values, chart: last > 0 ? chart.element : null, stop: play.stop };
}

/** A button that lets the agent walk greedily by the values shown. */
function walker(world, values, place) {
  return button("Walk", () => {
    let s = world.start;
    let left = 24;
    place(s);
    const next = () => {
      const a = greedyAction(values(), s, world.actions.length);
      const over = world.end[s][a];
      s = world.next[s][a];
      place(s);
      left -= 1;
      if (!over && left > 0) setTimeout(next, calm() ? 0 : 260);
    };
    setTimeout(next, calm() ? 0 : 260);
  }, { title: "Walk greedily by the values shown" });
}
