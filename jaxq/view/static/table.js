// The tabular update, the same as the engine's, and an agent that retrains with it in the page.

/** Base64 of float32, little-endian, to numbers; what is not finite is null. */
export function floats(text) {
  const view = new DataView(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  return Array.from({ length: view.byteLength / 4 }, (_, i) => {
    const value = view.getFloat32(4 * i, true);
    return Number.isFinite(value) ? value : null;
  });
}

export function maxOf(q, state, actions) {
  let best = -Infinity;
  for (let a = 0; a < actions; a++) best = Math.max(best, q[state * actions + a]);
  return best;
}

/** The first of the best actions; what has no value, as it is not legal, is none of them. */
export function greedyAction(q, state, actions) {
  let [best, most] = [0, -Infinity];
  for (let a = 0; a < actions; a++) {
    const value = q[state * actions + a];
    if (value != null && value > most) [best, most] = [a, value];
  }
  return best;
}

/** Every term of Q(s,a) <- Q(s,a) + alpha * [r + gamma * max Q(s',a') - Q(s,a)]. */
export function bellman(q, { s, a, r, next, end }, { alpha, gamma, actions }) {
  const old = q[s * actions + a];
  const bootstrap = end ? 0 : maxOf(q, next, actions);
  const target = r + gamma * bootstrap;
  const error = target - old;
  return { old, bootstrap, target, error, updated: old + alpha * error };
}

export function distance(q, qStar) {
  let largest = 0;
  for (let i = 0; i < q.length; i++) largest = Math.max(largest, Math.abs(q[i] - qStar[i]));
  return largest;
}

/** Mulberry32: a small generator with a seed, so that a retraining can be repeated. */
export function generator(seed) {
  let word = seed >>> 0;
  return () => {
    word = (word + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(word ^ (word >>> 15), word | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function transition(world, s, a) {
  const end = Boolean(world.end[s][a]);
  return { s, a, r: world.reward[s][a], next: world.next[s][a], end };
}

export class TableAgent {
  constructor(world, seed = 1) {
    this.world = world;
    this.actions = world.actions.length;
    this.random = generator(seed);
    this.q = new Float64Array(world.next.length * this.actions);
    this.state = this.begin();
    this.time = 0;
    this.steps = 0;
  }

  begin() {
    return this.world.starts[Math.floor(this.random() * this.world.starts.length)];
  }

  act(epsilon) {
    if (this.random() < epsilon) return Math.floor(this.random() * this.actions);
    const best = maxOf(this.q, this.state, this.actions);
    const ties = this.world.actions.map((_, a) => a).filter((a) => this.at(this.state, a) === best);
    return ties[Math.floor(this.random() * ties.length)];
  }

  at(s, a) {
    return this.q[s * this.actions + a];
  }

  step({ alpha, gamma, epsilon }) {
    const move = transition(this.world, this.state, this.act(epsilon));
    const terms = bellman(this.q, move, { alpha, gamma, actions: this.actions });
    this.q[move.s * this.actions + move.a] = terms.updated;
    this.steps += 1;
    this.time += 1;
    const over = move.end || this.time >= this.world.maxSteps;
    this.state = over ? this.begin() : move.next;
    if (over) this.time = 0;
    return { ...move, ...terms };
  }
}

/** The exact Q* for any discount: sweeps of value iteration until nothing moves. */
export function solve(world, gamma) {
  const actions = world.actions.length;
  const q = new Float64Array(world.next.length * actions);
  for (let sweep = 0; sweep < 5000; sweep++) {
    let moved = 0;
    for (let i = 0; i < q.length; i++) {
      const move = transition(world, Math.floor(i / actions), i % actions);
      const { error } = bellman(q, move, { alpha: 1, gamma, actions });
      q[i] += error;
      moved = Math.max(moved, Math.abs(error));
    }
    if (moved < 1e-12) break;
  }
  return q;
}
