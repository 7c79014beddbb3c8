// Plots of numbers: lines with a band, points, and histograms, on axes with round numbers.

import { svg } from "./dom.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 260, 62, 16, 14, 42];

/** Round numbers that cover a range: at most five of them. */
export function ticks(low, high) {
  const rough = (high - low || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) found.push(at * step);
  return found;
}

/** A number as a reader wants it: digits where they say something, a true minus. */
export function readable(value) {
  if (value == null) return "none";
  const size = Math.abs(value);
  const digits = size >= 100 || size === 0 ? 0 : size >= 1 ? 2 : 4;
  const text = size < 1e-4 && size > 0 ? size.toExponential(1) : size.toLocaleString("en", { maximumFractionDigits: digits });
  return (value < 0 ? "−" : "") + text;
}

export function extent(values, margin = 0.06) {
  const known = values.filter((value) => value != null);
  if (!known.length) return [0, 1];
  const [low, high] = known.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  const spare = (high - low) * margin || Math.abs(high) * 0.1 || 0.5;
  return [low - spare, high + spare];
}

/** Counts of values in equal bins: { low, width, counts }. */
export function histogram(values, bins = 24) {
  const [low, high] = extent(values, 0.001);
  const width = (high - low) / bins;
  const counts = new Array(bins).fill(0);
  for (const value of values) counts[Math.min(bins - 1, Math.floor((value - low) / width))] += 1;
  return { low, width, counts };
}

export class Plot {
  constructor(label, xName, yName) {
    this.label = label;
    this.element = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart plot", role: "img", "aria-label": label });
    this.axes = svg("g", { class: "axes" });
    this.marks = svg("g", {});
    this.top = svg("g", {});
    this.names = [svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, class: "name" }, xName), svg("text", { x: 4, y: 12, class: "side" }, yName)];
    this.element.append(this.axes, this.marks, this.top, ...this.names);
  }

  /** Set both ranges, and clear what was drawn. `log` spaces x by powers of ten. */
  range([left, right], [low, high], log = false) {
    const warp = log ? Math.log10 : (value) => value;
    const [from, to] = [warp(left), warp(right)];
    this.x = (value) => LEFT + ((warp(value) - from) / (to - from || 1)) * (WIDTH - LEFT - RIGHT);
    this.y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
    const across = ticks(low, high).flatMap((value) => [
      svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: this.y(value), y2: this.y(value) }),
      svg("text", { x: LEFT - 8, y: this.y(value) + 5, class: "end" }, readable(value))]);
    const places = log ? ticks(from, to).map((value) => 10 ** value) : ticks(left, right);
    const along = places.map((value) => svg("text", { x: this.x(value), y: HEIGHT - BOTTOM + 20, class: "mid" }, readable(value)));
    this.axes.replaceChildren(...across, ...along);
    this.marks.replaceChildren();
    this.top.replaceChildren();
    return this;
  }

  say(text) {
    this.element.setAttribute("aria-label", `${this.label}: ${text}`);
    return this;
  }

  line(xs, ys, kind = "line") {
    let pen = "M";
    const path = xs.map((x, i) => {
      if (ys[i] == null) return ((pen = "M"), "");
      const part = `${pen}${this.x(x).toFixed(1)} ${this.y(ys[i]).toFixed(1)}`;
      pen = "L";
      return part;
    });
    this.marks.append(svg("path", { d: path.join(" "), class: kind }));
    return this;
  }

  band(xs, low, high) {
    const known = xs.map((_, i) => i).filter((i) => low[i] != null && high[i] != null);
    const up = known.map((i) => `${this.x(xs[i]).toFixed(1)} ${this.y(high[i]).toFixed(1)}`);
    const down = known.reverse().map((i) => `${this.x(xs[i]).toFixed(1)} ${this.y(low[i]).toFixed(1)}`);
    if (up.length) this.marks.append(svg("path", { d: `M${[...up, ...down].join(" L")} Z`, class: "area" }));
    return this;
  }

  points(pairs, attributes = () => ({ r: 3.5, class: "point" })) {
    this.marks.append(...pairs.map(([x, y], i) => svg("circle", { cx: this.x(x).toFixed(1), cy: this.y(y).toFixed(1), ...attributes(i) })));
    return this;
  }

  bars({ low, width, counts }) {
    this.marks.append(...counts.map((count, i) => {
      const x = this.x(low + i * width);
      return svg("rect", { x: x + 0.5, y: this.y(count), width: Math.max(1, this.x(low + (i + 1) * width) - x - 1), height: Math.max(0, this.y(0) - this.y(count)), class: "column" });
    }));
    return this;
  }

  /** A line across the plot that moves: where the reader is. */
  cursor(x) {
    this.top.replaceChildren(svg("line", { x1: this.x(x), x2: this.x(x), y1: TOP, y2: HEIGHT - BOTTOM, class: "now" }));
  }
}
