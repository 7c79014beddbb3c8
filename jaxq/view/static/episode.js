// One greedy episode of an agent: what it saw, what every action was worth to it, and what came.

import { byId, button, make, player, slider, svg } from "./dom.js";
import { costPlot } from "./costs.js";
import { Grid } from "./grid.js";
import { Plot, extent, readable } from "./plot.js";
import { colour } from "./scale.js";

/** Bars of one step's action values on a scale from the smallest to the largest of the episode. */
function bars(names, values, taken, [low, high]) {
  const zero = low < 0 && high > 0 ? 0 : low;
  const share = (value) => ((value - low) / (high - low || 1)) * 100;
  const largest = Math.max(Math.abs(low), Math.abs(high)) || 1;
  return names.map((name, a) => {
    const legal = values[a] != null;
    const [from, to] = legal ? [share(Math.min(zero, values[a])), share(Math.max(zero, values[a]))] : [0, 0];
    const bar = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { x: from, y: 1, width: Math.max(0.8, to - from), height: 8, fill: legal ? colour(values[a] / largest) : "none" }));
    return make("div", { class: `row ${a === taken ? "taken" : ""}` }, make("span", {}, `${a === taken ? "▸ " : ""}${name}`), bar, make("b", {}, legal ? readable(values[a]) : "not legal"));
  });
}

export function episodeView(data) {
  const place = byId("episode");
  const world = data.table?.world;
  return (agent) => {
    const { reward, action, q, td, observation, frames, discount, ended, costs } = data.agents[agent];
    const last = reward.length - 1;
    const picture = make("img", { class: "frame", alt: "" });
    const grid = world && new Grid(world, "The agent on its grid, and what each move is worth to it");
    const seen = make("p", { class: "readout" });
    const choices = make("div", { class: "bars wide", id: "choices" });
    const status = make("p", { class: "status", "aria-live": "polite" });
    const best = q?.map((row) => Math.max(...row.filter((value) => value != null)));
    const value = q && new Plot("Expected return along the episode", "step →", "max Q");
    const scale = q && extent(q.flat());
    const times = reward.map((_, i) => i);
    const spent = costPlot(costs, costs.map((_, k) => data.costs[k]?.budget?.[agent]));
    if (value) value.range([0, Math.max(last, 1)], extent(best)).line(times, best).say(`from ${readable(best[0])} to ${readable(best.at(-1))}`);
    if (grid) {
      const values = data.table.agents[agent].flat();
      grid.show(values, Math.max(...values.map(Math.abs)) || 1);
    }
    let now = 0;
    const show = (to) => {
      now = to;
      if (frames.images.length) {
        picture.src = frames.images[Math.min(frames.images.length - 1, Math.floor(now / frames.every))];
        picture.alt = `What the agent sees at step ${now}`;
      }
      if (grid && observation) grid.place(observation[now][0]);
      if (observation && !grid) seen.textContent = `Observation: ${observation[now].map(readable).join(", ")}`;
      if (q) choices.replaceChildren(...bars(data.actions, q[now], action[now], scale));
      value?.cursor(now);
      spent?.cursor(now);
      const total = reward.slice(0, now + 1).reduce((sum, r) => sum + r, 0);
      const parts = [`step ${now} of ${last}: `, make("strong", {}, data.actions[action[now]]), `, reward ${readable(reward[now])}, return so far ${readable(total)}${spent ? spent.at(now) : ""}`];
      if (td && td[now] != null) parts.push(`, TD error ${readable(td[now])}`);
      if (now === last) parts.push(ended ? "; the episode ends here" : "; the page stops here, the episode goes on");
      status.replaceChildren(...parts);
    };
    const time = slider("step", "Step", { min: 0, max: last, step: 1, value: 0 }, show);
    const on = (to) => (time.set(to), show(to));
    const play = player("the episode", () => (on(Math.min(last, now + 1)), now < last), { rate: 12 });
    play.toggle.addEventListener("click", () => now === last && on(0));
    const back = button("‹", () => on(Math.max(0, now - 1)), { "aria-label": "One step back" });
    const forward = button("›", () => on(Math.min(last, now + 1)), { "aria-label": "One step forward" });
    place.replaceChildren(make("div", { class: "bar" }, play.toggle, back, forward, time.element, play.speed), status,
      make("div", { class: "pair" },
        make("div", {}, grid ? grid.element : frames.images.length ? picture : "", grid ? "" : seen),
        make("div", {}, make("h3", {}, q ? "What each action is worth to it" : "This agent has no action values"), choices,
          value ? make("h3", {}, `Expected return, discount ${readable(discount)}`) : "", value ? value.element : "", spent ? spent.element : "")));
    show(0);
    return () => play.stop();
  };
}
