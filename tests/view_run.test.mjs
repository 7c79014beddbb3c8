// The modules of a run's page, on numbers that can be worked out by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { costSummary, costWords, overBudget, running } from "../jaxq/view/static/costs.js";
import { Layout, brief, marksOf } from "../jaxq/view/static/layout.js";
import { rowsOf, scaleOf, snapshotsOf } from "../jaxq/view/static/learning.js";
import { floats } from "../jaxq/view/static/table.js";

const packed = (numbers) => Buffer.from(Float32Array.from(numbers).buffer).toString("base64");

test("packed numbers come back, and what is not finite is null", () => {
  assert.deepEqual(floats(packed([0.5, NaN, -2, Infinity])), [0.5, null, -2, null]);
  assert.deepEqual(floats(""), []);
});

test("snapshots are a table and a count for each moment", () => {
  const snapshots = { steps: [0, 10], agents: { 3: { q: packed([0, 0, 0, NaN, 1, 2, 3, NaN]), visits: packed([0, 0, 4, 6]) } } };
  const agents = { 3: [[1, 2], [3, null]], 5: [[7, 8], [9, 0]] };
  const found = snapshotsOf({ snapshots, agents }, 3, 10);
  assert.deepEqual(found, { steps: [0, 10], q: [[0, 0, 0, null], [1, 2, 3, null]], visits: [[0, 0], [4, 6]] });
  // Of another agent there is its last table alone, and of a run without any too.
  const last = { steps: [10], q: [[7, 8, 9, 0]], visits: null };
  assert.deepEqual(snapshotsOf({ snapshots, agents }, 5, 10), last);
  assert.deepEqual(snapshotsOf({ snapshots: null, agents }, 5, 10), last);
});

test("colours are shares of the largest state value, not of an action that nobody takes", () => {
  assert.deepEqual(rowsOf([1, 2, 3, 4], 2), [[1, 2], [3, 4]]);
  assert.equal(scaleOf([[-100, -2, 1, null], [0, 0, 0, 0]], 2), 2);
  assert.equal(scaleOf([[0, 0, null, null]], 2), 1);
});

test("states lie in the cells that the world says, or row by row", () => {
  const drawn = new Layout({ rows: 2, columns: 3, cells: ["S.#", "..G"] });
  assert.deepEqual(drawn.place(4), [1, 1]);
  assert.equal(drawn.state(1, 2), 5);
  assert.equal(drawn.state(0, 3), undefined);
  assert.equal(drawn.tiles[2], "#");
  assert.equal(drawn.name(4), "row 2, column 2");
  const placed = new Layout({ rows: 2, columns: 3, cells: [" E ", ". ."], at: [3, 1, 5], origin: [-1, 10] });
  assert.deepEqual(placed.tiles, [".", "E", "."]);
  assert.deepEqual(placed.place(2), [1, 2]);
  assert.equal(placed.state(0, 1), 1);
  assert.equal(placed.state(0, 0), undefined);
  assert.equal(placed.name(2), "state 2, row 0, column 12");
});

test("four ways are arrows, other actions strips, and of many the best has the cell", () => {
  const actions = (count) => Array.from({ length: count }, (_, a) => `action ${a}`);
  assert.deepEqual(marksOf({ actions: actions(4) }).map(({ turn }) => turn), [0, 90, 180, 270]);
  assert.equal(marksOf({ actions: actions(3), arrows: null }).length, 3);
  assert.equal(marksOf({ actions: actions(7), arrows: null }).length, 1);
  assert.equal(brief("action 12", 6), "a12");
  assert.equal(brief("restart all", 6), "resta…");
});

test("costs add up, and are told with their budgets", () => {
  assert.deepEqual(running([1, null, 2.5]), [1, 1, 3.5]);
  const costs = [{ name: "toll", mean: [2, 0], budget: [1, 1], iqm: 1, interval: [0, 2], within: 1 }, { name: "noise", mean: [0.5, 0.75], budget: null, iqm: 0.6, interval: [0.5, 0.75], within: null }];
  assert.equal(overBudget(costs, 0), true);
  assert.equal(overBudget(costs, 1), false);
  assert.deepEqual(costWords({ costs, agents: {} }, 0), ["toll costs 2 per episode, budget 1", "noise costs 0.5 per episode"]);
  assert.deepEqual(costWords({ costs: [], agents: { 3: { costs: [{ name: "toll", mean: 2 }] } } }, 3), ["toll costs 2 per episode played here"]);
  assert.deepEqual(costWords({ costs: [], agents: {} }, 3), []);
  assert.equal(costSummary(costs), " Cost per episode: toll 1 [0, 2] (1 of 2 agents within budget); noise 0.6 [0.5, 0.75].");
  assert.equal(costSummary([]), "");
});
