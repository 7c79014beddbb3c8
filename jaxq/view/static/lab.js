// Retraining in the page: the reader's own alpha, gamma and epsilon.

import { byId, button, make, player, slider } from "./dom.js";
import { Chart } from "./chart.js";
import { Grid } from "./grid.js";
import { TableAgent, distance, solve } from "./table.js";

const BATCH = 25;

export function labView({ world, table }) {
  const grid = new Grid(world, "Q-values that are trained in this page");
  const chart = new Chart("Largest distance of your table to its exact Q-values", "env steps →");
  const status = make("p", { class: "status", "aria-live": "off", id: "lab-status" });
  const chosen = { alpha: table.alpha, gamma: world.discount, epsilon: table.epsilon };
  let agent, exact, xs, ys, falls, goals;

  function show() {
    grid.show(agent.q);
    grid.place(agent.state);
    chart.show(xs, ys);
    status.textContent = `${agent.steps.toLocaleString("en")} env steps, ${goals} goals, ${falls} falls, distance to Q* ${ys.at(-1).toFixed(3)}`;
  }

  function reset() {
    agent = new TableAgent(world);
    exact = solve(world, chosen.gamma);
    [xs, ys, falls, goals] = [[0], [distance(agent.q, exact)], 0, 0];
    show();
  }

  function train(steps) {
    for (let i = 0; i < steps; i++) {
      const { r, end } = agent.step(chosen);
      goals += end;
      falls += r < -0.5;
    }
    xs.push(agent.steps);
    ys.push(distance(agent.q, exact));
    show();
    return agent.steps < 40000;
  }

  const control = (name, label, min, max) => slider(name, label, { min, max, step: 0.01, value: chosen[name], show: (v) => v.toFixed(2) }, (value) => {
    chosen[name] = value;
    if (name === "gamma") reset();
  }).element;
  const play = player("retraining", () => train(BATCH), { rate: 20 });
  byId("lab").append(
    make("div", { class: "controls" }, control("alpha", "α learning rate", 0.01, 1), control("gamma", "γ discount", 0, 0.99), control("epsilon", "ε exploration", 0, 1)),
    make("div", { class: "bar" }, play.toggle, button("One step", () => train(1)), button("1,000 steps", () => { for (let i = 0; i < 40; i++) train(BATCH); }), button("Start over", () => (play.stop(), reset())), play.speed),
    status,
    make("div", { class: "pair" }, make("div", {}, make("h3", {}, "Your table"), grid.element), make("div", {}, make("h3", {}, "Distance to Q* for your γ"), chart.element)));
  reset();
}
