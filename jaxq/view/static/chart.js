// A line that falls, with a cursor: the distance to Q*.

import { svg } from "./dom.js";

const FRAME = { width: 640, height: 200, left: 46, right: 14, top: 12, bottom: 34 };

export class Chart {
  constructor(label, xLabel) {
    this.element = svg("svg", { viewBox: `0 0 ${FRAME.width} ${FRAME.height}`, class: "chart", role: "img", "aria-label": label });
    this.label = label;
    this.line = svg("path", { class: "line" });
    this.area = svg("path", { class: "area" });
    this.cursor = svg("circle", { r: 6, class: "cursor" });
    this.axes = svg("g", { class: "axes" });
    const name = svg("text", { x: FRAME.width - FRAME.right, y: FRAME.height - 4, class: "name" }, xLabel);
    this.element.append(this.axes, this.area, this.line, this.cursor, name);
  }

  show(xs, ys, index = ys.length - 1) {
    const top = Math.max(...ys, 0.1) * 1.05;
    const last = Math.max(xs.at(-1), 1);
    // The beginning is where most happens, so the axis is drawn by square roots.
    this.x = (value) => FRAME.left + Math.sqrt(value / last) * (FRAME.width - FRAME.left - FRAME.right);
    this.y = (value) => FRAME.height - FRAME.bottom - (value / top) * (FRAME.height - FRAME.top - FRAME.bottom);
    const points = xs.map((x, i) => `${this.x(x).toFixed(1)} ${this.y(ys[i]).toFixed(1)}`);
    const path = `M${points.join(" L")}`;
    this.line.setAttribute("d", path);
    this.area.setAttribute("d", `${path} L${this.x(last)} ${this.y(0)} L${this.x(xs[0])} ${this.y(0)} Z`);
    this.axes.replaceChildren(...this.ticks(top, last));
    this.cursor.setAttribute("cx", this.x(xs[index]));
    this.cursor.setAttribute("cy", this.y(ys[index]));
    this.element.setAttribute("aria-label", `${this.label}: ${ys[index].toFixed(3)} after ${xs[index]} steps, from ${ys[0].toFixed(3)}`);
  }

  ticks(top, last) {
    const digits = top < 1 ? 2 : top < 100 ? 1 : 0;
    const across = [0, 0.5, 1].map((share) => share * (top / 1.05)).flatMap((value) => [
      svg("line", { x1: FRAME.left, x2: FRAME.width - FRAME.right, y1: this.y(value), y2: this.y(value) }),
      svg("text", { x: FRAME.left - 8, y: this.y(value) + 5, class: "end" }, value.toFixed(digits)),
    ]);
    const along = [0, 0.05, 0.25].map((share) => Math.round(share * last)).map((value) =>
      svg("text", { x: this.x(value), y: FRAME.height - FRAME.bottom + 20, class: "mid" }, value.toLocaleString("en")));
    return [...across, ...along];
  }
}
