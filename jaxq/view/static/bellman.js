// One Bellman update after another, of those that the engine made, in five stages.

import { byId, button, make, player } from "./dom.js";
import { Grid } from "./grid.js";
import { bellman } from "./table.js";
import { long } from "./scale.js";

const STAGES = [
  ({ a, s }, at) => `The agent is in ${at(s)} and moves ${a}. The table says that this is worth the old value.`,
  ({ r }) => `The environment answers with the reward ${r}.`,
  ({ next, end }, at) => (end ? "The episode is over: nothing follows, so the bootstrap is 0." : `It is now in ${at(next)}. The best action there is worth max Q(s′, a′).`),
  () => "Reward and discounted future make the target. Target minus old value is the TD error.",
  () => "The old value moves by alpha times the TD error. Only this one entry of the table changes.",
];
// Which terms are lit at which stage.
const LIT = [["old"], ["r"], ["gamma", "max"], ["target", "error"], ["alpha", "new"]];

/** The table before each of the engine's updates, from its own numbers. */
export function replayTo(updates, index, size, actions) {
  const q = new Float64Array(size);
  for (const [s, a, , , , , updated] of updates.slice(0, index)) q[s * actions + a] = updated;
  return q;
}

export function bellmanView({ world, table }) {
  const actions = world.actions.length;
  const grid = new Grid(world, "The table around one update");
  const terms = Object.fromEntries(["old", "alpha", "r", "gamma", "max", "new", "target", "error"].map((name) => [name, make("span", { class: "term", "data-term": name })]));
  const words = make("p", { class: "status", "aria-live": "polite" });
  const at = (s) => `row ${Math.floor(s / world.columns) + 1}, column ${(s % world.columns) + 1}`;
  // Begin where a value that is not zero first flows back: the update after the first goal.
  const first = table.updates.findIndex(([, , , , end]) => end);
  let place = { index: Math.max(0, first), stage: 0 };

  function show() {
    const [s, a, r, next, end] = table.updates[place.index];
    const q = replayTo(table.updates, place.index, world.next.length * actions, actions);
    const step = bellman(q, { s, a, r, next, end }, { alpha: table.alpha, gamma: world.discount, actions });
    const numbers = { old: step.old, alpha: table.alpha, r, gamma: world.discount, max: step.bootstrap, new: step.updated, target: step.target, error: step.error };
    for (const [name, element] of Object.entries(terms)) {
      const known = LIT.slice(0, place.stage + 1).flat().includes(name);
      element.dataset.value = numbers[name];
      element.textContent = known ? long(numbers[name], ["alpha", "gamma"].includes(name) ? 2 : 4) : "?";
      element.classList.toggle("lit", LIT[place.stage].includes(name));
      element.classList.toggle("unknown", !known);
    }
    if (place.stage === 4) q[s * actions + a] = step.updated;
    grid.show(q);
    grid.mark(s, a);
    grid.place(place.stage < 2 ? s : next);
    words.textContent = `Update ${place.index + 1}, stage ${place.stage + 1} of 5. ${STAGES[place.stage]({ a: world.actions[a], s, r: long(r, 2), next, end }, at)}`;
  }

  function move(by) {
    const position = place.index * 5 + place.stage + by;
    const last = table.updates.length * 5 - 1;
    const to = Math.max(0, Math.min(last, position));
    place = { index: Math.floor(to / 5), stage: to % 5 };
    show();
    return to < last;
  }

  const play = player("the update", () => move(1), { rate: 0.9 });
  const jump = (end) => {
    const found = table.updates.findIndex((update, i) => i > place.index && (end ? update[4] : update[2] < -0.5));
    if (found >= 0) place = { index: found, stage: 0 };
    show();
  };
  const t = (name, label) => make("span", { class: "slot" }, terms[name], make("small", {}, label));
  const formula = make("div", { class: "formula", role: "group", "aria-label": "Terms of the Bellman update" },
    t("new", "new Q(s,a)"), " ← ", t("old", "Q(s,a)"), " + ", t("alpha", "α"), " × [ ", t("r", "r"), " + ", t("gamma", "γ"), " × ", t("max", "max Q(s′,a′)"), " − ", make("span", { class: "slot" }, make("span", { class: "again" }, "Q(s,a)"), make("small", {}, "old value")), " ]");
  const sums = make("div", { class: "formula sums" }, "target ", terms.target, " TD error ", terms.error);
  byId("bellman").append(make("div", { class: "bar" }, play.toggle, button("‹ Back", () => move(-1)), button("Forward ›", () => move(1)), play.speed, button("Next goal", () => jump(true)), button("Next fall", () => jump(false))), words, formula, sums, make("div", { class: "narrow" }, grid.element));
  show();
}
