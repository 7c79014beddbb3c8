// How the chosen agent came to its table: the slider over what the run kept while it trained.

import { byId, button, make } from "./dom.js";
import { highest } from "./scale.js";
import { floats } from "./table.js";
import { trainingPanel } from "./training.js";

/** Rows of equal length. */
export function rowsOf(values, length) {
  return Array.from({ length: values.length / length }, (_, i) => values.slice(i * length, (i + 1) * length));
}

/** Snapshots of an agent: { steps, q, visits }; the last table alone where none were kept of it. */
export function snapshotsOf({ snapshots, agents }, agent, steps) {
  const states = agents[agent].length;
  const kept = snapshots?.agents[agent];
  if (!kept) return { steps: [steps], q: [agents[agent].flat()], visits: null };
  const visits = kept.visits && rowsOf(floats(kept.visits), states);
  return { steps: snapshots.steps, q: rowsOf(floats(kept.q), agents[agent].flat().length), visits };
}

/** The largest state value, here or there: what colours are shares of. */
export function scaleOf(tables, actions) {
  const values = tables.flatMap((q) => rowsOf(q, actions).map(highest)).filter((value) => value != null);
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
}

function choose(agent) {
  const select = byId("agent");
  select.value = String(agent);
  select.dispatchEvent(new Event("change"));
  byId("snapshot").focus();
}

/** Says why there is nothing to slide over, and offers agents of whom there is. */
function line(snapshots) {
  if (!snapshots) return [make("p", { class: "note" }, "This run kept no snapshots while it trained: this is its last table.")];
  const others = Object.keys(snapshots.agents);
  return [make("p", { class: "note" }, "No snapshots were kept of this agent: this is its last table. Those of a few others were:"),
    make("div", { class: "bar" }, ...others.map((agent) => button(`agent ${agent}`, () => choose(agent))))];
}

export function learningView(data) {
  const { world, snapshots, exact } = data.table;
  byId("training-section").hidden = false;
  return (agent) => {
    const best = exact[agent].flat();
    const found = snapshotsOf(data.table, agent, data.steps);
    const scale = scaleOf([...found.q, best], world.actions.length);
    const { bars, values, chart, stop } = trainingPanel(world, { ...found, exact: best, scale });
    const lacks = found.q.length > 1 ? [] : line(snapshots);
    const below = chart ? [make("div", { class: "narrow" }, make("h3", {}, "Largest distance to Q*"), chart)] : [];
    byId("training").replaceChildren(...lacks, ...bars, values, ...below);
    return stop;
  };
}
