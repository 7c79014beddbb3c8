// The page's arithmetic against the engine's numbers, which a test in Python trains and passes on.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { forward, gradientStep, oneHot, unpack, valuesOf } from "../jaxq/view/static/network.js";
import { colour, highest, inkOn, long, short } from "../jaxq/view/static/scale.js";
import { TableAgent, bellman, distance, greedyAction, solve } from "../jaxq/view/static/table.js";

const { world, qStar, table, dqn } = JSON.parse(readFileSync(process.env.JAXQ_LESSON, "utf8"));
const actions = world.actions.length;
const close = (got, expected, tolerance = 1e-6) => assert.ok(Math.abs(got - expected) <= tolerance, `${got} is not ${expected}`);

test("every update of the engine is the page's, to 1e-6, over the whole beginning of training", () => {
  const q = new Float64Array(world.next.length * actions);
  const settings = { alpha: table.alpha, gamma: world.discount, actions };
  for (const [s, a, r, next, end, old, updated] of table.updates) {
    const terms = bellman(q, { s, a, r, next, end }, settings);
    close(terms.old, old);
    close(terms.updated, updated);
    q[s * actions + a] = terms.updated;
  }
  const at = table.steps.filter((step) => step <= table.updates.length).length - 1;
  assert.ok(table.steps[at] > 100);
  const again = new Float64Array(q.length);
  for (const [s, a, , , , , updated] of table.updates.slice(0, table.steps[at])) again[s * actions + a] = updated;
  assert.ok(distance(again, table.q[at]) < 1e-6);
});

test("value iteration in the page gives the engine's Q*", () => {
  assert.ok(distance(solve(world, world.discount), qStar) < 1e-6);
});

test("a table that is trained in the page comes close to Q*", () => {
  const agent = new TableAgent(world, 3);
  for (let i = 0; i < 60000; i++) agent.step({ alpha: 0.2, gamma: world.discount, epsilon: 0.5 });
  assert.ok(distance(agent.q, qStar) < 0.05, String(distance(agent.q, qStar)));
});

test("the network predicts what the engine's does", () => {
  const layers = unpack(dqn.params.at(-1), dqn.layers);
  assert.ok(distance(valuesOf(layers, world.next.length), dqn.q) < 2e-6);
});

test("a gradient step is the slope of the loss, by finite differences", () => {
  const layers = unpack(dqn.params[2], dqn.layers);
  const input = oneHot(world.start, world.next.length);
  const loss = (of) => (0.4 - forward(of, input).at(-1)[1]) ** 2 / 2;
  const moved = gradientStep(layers, input, 1, 0.4, 1);
  layers.forEach((layer, depth) => {
    for (const name of ["kernel", "bias"]) {
      const place = layer[name].findIndex((value, i) => value !== moved[depth][name][i]);
      assert.ok(place >= 0);
      const slope = layer[name][place] - moved[depth][name][place];
      const nudged = layers.map(({ kernel, bias }) => ({ kernel: kernel.slice(), bias: bias.slice() }));
      nudged[depth][name][place] += 1e-6;
      close((loss(nudged) - loss(layers)) / 1e-6, slope, 1e-5);
    }
  });
});

test("an action without a value is not legal, and never the best", () => {
  assert.equal(greedyAction([null, -2, -1, null], 0, 4), 2);
  assert.equal(greedyAction([0, 0, null, -3], 1, 2), 1);
  assert.equal(highest([null, -2, -1]), -1);
  assert.equal(highest([null]), null);
  assert.equal(short(null), "–");
  assert.equal(long(null), "–");
});

test("numbers and colours are readable", () => {
  assert.equal(short(-0.456), "−.46");
  assert.equal(short(1), "1.00");
  assert.equal(short(-0.001), ".00");
  assert.equal(long(-0.5), "−0.5000");
  assert.equal(colour(-7), colour(-1));
  assert.notEqual(inkOn(0), inkOn(1));
});
