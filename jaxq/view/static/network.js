// The DQN in the page: unpacks weights, predicts, and makes one gradient step.

import { floats } from "./table.js";

/** Base64 of float32, little-endian, to layers { kernel [in * out], bias [out] }. */
export function unpack(text, sizes) {
  const numbers = floats(text);
  let place = 0;
  const take = (count) => Float64Array.from({ length: count }, () => numbers[place++]);
  return sizes.slice(1).map((width, i) => ({ kernel: take(sizes[i] * width), bias: take(width) }));
}

/** Activations of every layer, the last one being the action values. */
export function forward(layers, input) {
  const activations = [Float64Array.from(input)];
  layers.forEach(({ kernel, bias }, depth) => {
    const below = activations[depth];
    const out = Float64Array.from(bias);
    for (let i = 0; i < below.length; i++) {
      if (below[i] === 0) continue;
      for (let j = 0; j < out.length; j++) out[j] += below[i] * kernel[i * out.length + j];
    }
    const last = depth === layers.length - 1;
    activations.push(last ? out : out.map((value) => Math.max(0, value)));
  });
  return activations;
}

export function oneHot(state, count) {
  const input = new Float64Array(count);
  input[state] = 1;
  return input;
}

/** Action values of every state, in one row. */
export function valuesOf(layers, states) {
  const rows = Array.from({ length: states }, (_, s) => forward(layers, oneHot(s, states)).at(-1));
  return Float64Array.from(rows.flatMap((row) => [...row]));
}

/** Layers after one gradient step on (target - q(s, a))^2 / 2. */
export function gradientStep(layers, input, action, target, rate) {
  const activations = forward(layers, input);
  let gradient = new Float64Array(activations.at(-1).length);
  gradient[action] = activations.at(-1)[action] - target;
  const moved = [];
  for (let depth = layers.length - 1; depth >= 0; depth--) {
    const { kernel, bias } = layers[depth];
    const below = activations[depth];
    const width = gradient.length;
    const passed = new Float64Array(below.length);
    const next = Float64Array.from(kernel);
    for (let i = 0; i < below.length; i++) {
      for (let j = 0; j < width; j++) {
        if (depth === 0 || below[i] > 0) passed[i] += kernel[i * width + j] * gradient[j];
        next[i * width + j] -= rate * below[i] * gradient[j];
      }
    }
    const outer = gradient;
    moved.unshift({ kernel: next, bias: bias.map((value, j) => value - rate * outer[j]) });
    gradient = passed;
  }
  return moved;
}
