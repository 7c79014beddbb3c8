// The slider over real snapshots: grid, landscape, Q* beside it, and the distance to it.

import { byId, button, calm, make, player, slider } from "./dom.js";
import { Chart } from "./chart.js";
import { Grid } from "./grid.js";
import { Surface } from "./surface.js";
import { distance, greedyAction } from "./table.js";

export function trainingView({ world, qStar, table }) {
  const grid = new Grid(world, "Q-values of the table: arrow keys move between cells");
  const exact = new Grid(world, "Exact Q-values of the optimal policy");
  const surface = new Surface(world, "State values as a landscape; drag or arrow keys turn it, plus and minus zoom.");
  const chart = new Chart("Largest distance of the table to the exact Q-values", "env steps →");
  const away = table.q.map((q) => distance(q, qStar));
  exact.show(qStar);
  exact.agent.remove();
  let index = 0;
  const status = make("p", { class: "status", "aria-live": "polite" });
  const show = (to) => {
    index = to;
    grid.show(table.q[index]);
    surface.show(table.q[index], grid.at);
    chart.show(table.steps, away, index);
    status.replaceChildren("after ", make("strong", {}, table.steps[index].toLocaleString("en")), " env steps, distance to Q* ", make("strong", {}, away[index].toFixed(3)));
  };
  const last = table.q.length - 1;
  const time = slider("snapshot", "Training", { min: 0, max: last, step: 1, value: 0, show: (i) => table.steps[i].toLocaleString("en") }, show);
  const play = player("training", () => {
    time.set(Math.min(last, index + 1));
    show(Math.min(last, index + 1));
    return index < last;
  });
  play.toggle.addEventListener("click", () => index === last && (time.set(0), show(0)));
  const walk = walker(world, () => table.q[index], (s) => (grid.place(s), surface.show(table.q[index], s)));
  const back = button("‹", () => (time.set(Math.max(0, index - 1)), show(Math.max(0, index - 1))), { "aria-label": "One snapshot back" });
  const on = button("›", () => (time.set(Math.min(last, index + 1)), show(Math.min(last, index + 1))), { "aria-label": "One snapshot forward" });
  const bar = make("div", { class: "bar" }, play.toggle, back, on, time.element, play.speed, walk);
  const zooms = make("div", { class: "bar small" }, button("Turn", () => surface.move(0.35, 0)), button("Zoom in", () => surface.scale(1.2)), button("Zoom out", () => surface.scale(1 / 1.2)));
  byId("training").append(bar, status, make("div", { class: "pair" },
    make("div", {}, make("h3", {}, "The table, as it learns"), grid.element),
    make("div", {}, make("h3", {}, "The same values as a landscape"), surface.canvas, zooms)),
  make("div", { class: "pair" },
    make("div", {}, make("h3", {}, "What is exact: Q*"), exact.element),
    make("div", {}, make("h3", {}, "Largest distance to Q*"), chart.element)));
  time.set(Math.round(last * 0.6));
  show(Math.round(last * 0.6));
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
