// The network view: the DQN runs here, its activations, its values beside the table's, one update.

import { byId, button, make, player, slider, svg } from "./dom.js";
import { Grid } from "./grid.js";
import { forward, gradientStep, oneHot, unpack, valuesOf } from "./network.js";
import { colour, long } from "./scale.js";
import { maxOf, transition } from "./table.js";

export function deepView({ world, table, dqn, qStar }) {
  const states = world.next.length;
  const actions = world.actions.length;
  const settled = table.q.at(-1);
  let [s, index] = [world.start, dqn.steps.length - 1];
  let layers, target;
  const grid = new Grid(world, "Choose the state that the network sees", (chosen) => ((s = chosen), show()));
  const net = networkPicture(dqn.layers, world.actions);
  const bars = make("div", { class: "bars", id: "bars" });
  const replay = replayPicture(dqn);
  const lag = make("p", { class: "status", id: "lag" });
  const effect = make("p", { class: "status", "aria-live": "polite", id: "effect" });

  function load(to) {
    index = to;
    layers = unpack(dqn.params[index], dqn.layers);
    target = unpack(dqn.target[index], dqn.layers);
    effect.textContent = "One plain gradient step, of size 0.05 (training itself uses Adam), changes weights that all states share: try it.";
    show();
  }

  function show() {
    const activations = forward(layers, oneHot(s, states));
    const lagging = forward(target, oneHot(s, states)).at(-1);
    const q = valuesOf(layers, states);
    grid.show(q);
    grid.place(s);
    grid.mark(s);
    net.show(activations, layers);
    bars.replaceChildren(...barRows(world.actions, [["network", activations.at(-1)], ["target", lagging], ["table", settled.slice(s * actions, (s + 1) * actions)], ["Q*", qStar.slice(s * actions, (s + 1) * actions)]]));
    replay.show(dqn.steps[index]);
    const old = valuesOf(target, states);
    const gap = q.reduce((sum, value, i) => sum + Math.abs(value - old[i]), 0) / q.length;
    lag.textContent = `The target network is renewed every ${dqn.targetInterval} env steps. At this snapshot its values differ from the online network's by ${gap.toFixed(5)} on average.`;
  }

  function update() {
    const a = Number(choice.value);
    const move = transition(world, s, a);
    const before = valuesOf(layers, states);
    const aim = move.r + (move.end ? 0 : world.discount * maxOf(valuesOf(target, states), move.next, actions));
    layers = gradientStep(layers, oneHot(s, states), a, aim, 0.05);
    const after = valuesOf(layers, states);
    const changed = after.filter((value, i) => Math.abs(value - before[i]) > 1e-4).length;
    const own = s * actions + a;
    show();
    effect.textContent = `Target ${long(aim)}: the value moved from ${long(before[own])} to ${long(after[own])}, and ${changed} of ${after.length} values moved with it. In the table it would have been 1.`;
  }

  const choice = make("select", { "aria-label": "Action to update" });
  world.actions.forEach((name, a) => choice.append(make("option", { value: a }, name)));
  const last = dqn.steps.length - 1;
  const time = slider("network-snapshot", "Training", { min: 0, max: last, step: 1, value: index, show: (i) => dqn.steps[i].toLocaleString("en") }, load);
  const play = player("the network's training", () => (load(Math.min(last, index + 1)), time.set(index), index < last), { rate: 4 });
  play.toggle.addEventListener("click", () => index === last && (load(0), time.set(0)));
  byId("deep").append(make("div", { class: "bar" }, play.toggle, time.element, play.speed),
    make("div", { class: "pair" }, make("div", {}, make("h3", {}, "The state it sees: choose one"), grid.element), make("div", {}, make("h3", {}, "Layers and their activations"), net.element)),
    make("div", { class: "pair" }, make("div", {}, make("h3", {}, "Predicted values beside the table's"), bars), make("div", {}, make("h3", {}, "Replay buffer"), replay.element, make("h3", {}, "Target network"), lag, make("h3", {}, "What one update changes"), make("div", { class: "bar small" }, choice, button("Update once", update), button("Undo all", () => load(index))), effect)));
  load(index);
}

function barRows(names, series) {
  return names.flatMap((name, a) => [make("h4", {}, name), ...series.map(([label, values]) => {
    const value = values[a];
    const share = Math.min(1, Math.abs(value)) * 50;
    const bar = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { x: value < 0 ? 50 - share : 50, y: 1, width: share, height: 8, fill: colour(value) }), svg("line", { x1: 50, x2: 50, y1: 0, y2: 10 }));
    return make("div", { class: "row" }, make("span", {}, label), bar, make("b", { "data-series": label }, long(value, 3)));
  })]);
}

function networkPicture(sizes, names) {
  const element = svg("svg", { viewBox: "0 0 520 420", class: "network", role: "img", "aria-label": "Network" });
  const spot = (depth, i) => [40 + depth * 140, 18 + ((i + 0.5) * 384) / sizes[depth]];
  const edges = svg("g", { class: "edges" });
  const nodes = sizes.map((size, depth) => Array.from({ length: size }, (_, i) => {
    const [cx, cy] = spot(depth, i);
    return svg("circle", { cx, cy, r: depth === 3 ? 16 : 6.5 });
  }));
  const labels = names.map((name, a) => svg("text", { x: 482, y: spot(3, a)[1] + 5, class: "mid name" }, name));
  labels.forEach((label, a) => (label.setAttribute("y", spot(3, a)[1] + 34), label.setAttribute("x", 460)));
  element.append(edges, ...nodes.flat(), ...labels);
  function show(activations, layers) {
    const lines = [];
    layers.forEach(({ kernel }, depth) => {
      const flows = [];
      for (let i = 0; i < sizes[depth]; i++) for (let j = 0; j < sizes[depth + 1]; j++) flows.push([activations[depth][i] * kernel[i * sizes[depth + 1] + j], i, j]);
      flows.sort((a, b) => Math.abs(b[0]) - Math.abs(a[0]));
      for (const [flow, i, j] of flows.slice(0, 40)) {
        if (Math.abs(flow) < 1e-3) continue;
        const [[x1, y1], [x2, y2]] = [spot(depth, i), spot(depth + 1, j)];
        lines.push(svg("path", { d: `M${x1} ${y1} C${x1 + 60} ${y1} ${x2 - 60} ${y2} ${x2} ${y2}`, stroke: colour(Math.max(-1, Math.min(1, 3 * flow))), "stroke-width": Math.min(4, 0.6 + 5 * Math.abs(flow)) }));
      }
    });
    edges.replaceChildren(...lines);
    nodes.forEach((row, depth) => {
      const largest = depth === 3 ? 1 : Math.max(...activations[depth], 1e-9);
      row.forEach((node, i) => node.setAttribute("fill", activations[depth][i] === 0 ? "var(--faint)" : colour(activations[depth][i] / largest)));
    });
    const active = activations.slice(1, 3).map((row) => row.filter((value) => value > 0).length);
    element.setAttribute("aria-label", `Network of ${sizes.join(", ")} units: ${active.join(" and ")} hidden units are active; values ${names.map((name, a) => `${name} ${activations.at(-1)[a].toFixed(2)}`).join(", ")}`);
  }
  return { element, show };
}

function replayPicture({ capacity, batch, replay, learningStarts }) {
  const boxes = replay.map(() => make("i", {}));
  const text = make("p", { class: "status" });
  const element = make("div", { class: "replay" }, make("div", { class: "slots", "aria-hidden": "true" }, ...boxes), text);
  function show(steps) {
    const filled = Math.min(1, steps / capacity);
    const drawn = new Set(Array.from({ length: 8 }, (_, i) => (i * 97 + steps * 13) % Math.max(1, Math.round(filled * boxes.length))));
    boxes.forEach((box, i) => (box.className = `${i < filled * boxes.length ? "full" : ""} ${filled && drawn.has(i) ? "drawn" : ""}`));
    text.textContent = `${Math.min(steps, capacity).toLocaleString("en")} of ${capacity.toLocaleString("en")} transitions; ${steps < learningStarts ? `learning starts at ${learningStarts}` : `${batch} of them are drawn for each update (some are lit as an illustration)`}.`;
  }
  return { element, show };
}
