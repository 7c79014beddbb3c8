// State values as a landscape that can be turned and zoomed, on a canvas of its own.

import { colour, highest } from "./scale.js";
import { make } from "./dom.js";
import { Layout } from "./layout.js";

export class Surface {
  constructor(world, label) {
    this.world = world;
    this.layout = new Layout(world);
    // The lowest and the highest value of each state, of all that are to be shown.
    this.reach = this.layout.tiles.map(() => [0, 0]);
    this.turn = -0.65;
    this.tilt = 0.95;
    this.zoom = 1;
    this.agent = world.start;
    this.canvas = make("canvas", { class: "surface", tabindex: "0", role: "img", "aria-label": label });
    this.label = label;
    this.canvas.addEventListener("pointerdown", (event) => this.canvas.setPointerCapture(event.pointerId));
    this.canvas.addEventListener("pointermove", (event) => event.buttons && this.move(event.movementX / 120, event.movementY / 160));
    this.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== this.canvas) return;
      event.preventDefault();
      this.scale(Math.exp(-event.deltaY / 600));
    }, { passive: false });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  key(event) {
    const turns = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.08], ArrowDown: [0, 0.08] };
    const zooms = { "+": 1.15, "=": 1.15, "-": 1 / 1.15 };
    if (turns[event.key]) this.move(...turns[event.key]);
    else if (zooms[event.key]) this.scale(zooms[event.key]);
    else return;
    event.preventDefault();
  }

  move(turn, tilt) {
    this.turn += turn;
    this.tilt = Math.max(0.25, Math.min(1.5, this.tilt + tilt));
    this.draw();
  }

  scale(factor) {
    this.zoom = Math.max(0.5, Math.min(3, this.zoom * factor));
    this.draw();
  }

  /** Keep room for all values that are to be shown, so that nothing jumps between them. */
  reserve(tables, scale = 1) {
    for (const q of tables) {
      this.heights(q, scale).forEach((value, s) => {
        const [low, high] = this.reach[s];
        this.reach[s] = [Math.min(low, value), Math.max(high, value)];
      });
    }
  }

  /** State values as shares of `scale`, null where there is nothing to stand on. */
  heights(q, scale) {
    const actions = this.world.actions.length;
    return this.layout.tiles.map((tile, s) => {
      const value = this.tile(tile, s, scale) ?? highest(q.slice(s * actions, (s + 1) * actions));
      return tile === "#" || value === null ? null : Math.max(-1, Math.min(1, value / scale));
    });
  }

  /** Show state values, and where the agent is, if it is anywhere. */
  show(q, agent = this.agent, scale = 1) {
    this.agent = agent;
    this.values = this.heights(q, scale);
    const known = this.values.filter((value) => value !== null).map((value) => value * scale);
    this.canvas.setAttribute("aria-label", `${this.label} Highest ${Math.max(...known).toFixed(2)}, lowest ${Math.min(...known).toFixed(2)}.`);
    this.draw();
  }

  /** What coming to a goal, a pit or an end gives, where that is known; else the end of the scale. */
  tile(tile, s, scale) {
    const unknown = { C: -scale, G: scale, E: 0 }[tile];
    return unknown === undefined ? null : this.world.entering?.[s] ?? unknown;
  }

  /** Where a point is seen from here, for cells of size 1. */
  view(x, y, z) {
    const [c, s] = [Math.cos(this.turn), Math.sin(this.turn)];
    const [u, v] = [x * c - y * s, x * s + y * c];
    const [ct, st] = [Math.cos(this.tilt), Math.sin(this.tilt)];
    const near = 1 / (1 - 0.045 * (v * st - z * ct));
    return { across: u * near, down: (v * ct - z * st) * near, depth: v };
  }

  project(x, y, z) {
    const { across, down, depth } = this.view(x, y, z);
    const size = this.span * this.zoom;
    return { x: this.width / 2 + across * size, y: this.height / 2 + (down - this.middle) * size, depth };
  }

  /** Sizes cells so that all that is to be shown fits whichever way it is turned, and finds its middle. */
  fit() {
    const ends = this.reach.flatMap(([low, high], s) => {
      const { x, y } = this.block(0, s);
      return [low, high].map((z) => this.view(x, y, 1.3 * z).down);
    });
    const [top, bottom] = [Math.min(...ends) - 0.4, Math.max(...ends) + 0.4];
    this.middle = (top + bottom) / 2;
    const across = Math.hypot(this.world.columns, this.world.rows);
    this.span = Math.min(this.width / (across * 1.13), this.height / (1.04 * (bottom - top)));
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    if (!this.width || !this.values) return;
    this.canvas.width = this.width * ratio;
    this.canvas.height = this.height * ratio;
    this.fit();
    this.pen = this.canvas.getContext("2d");
    this.pen.scale(ratio, ratio);
    const columns = this.values.flatMap((value, s) => (value === null ? [] : [this.block(value, s)]));
    columns.sort((a, b) => a.depth - b.depth).forEach((block) => this.drawBlock(block));
  }

  block(value, s) {
    const [row, column] = this.layout.place(s);
    const x = column - (this.world.columns - 1) / 2;
    const y = row - (this.world.rows - 1) / 2;
    return { value, s, x, y, depth: this.view(x, y, 0).depth };
  }

  drawBlock({ value, s, x, y }) {
    const half = 0.46;
    const [low, high] = [Math.min(0, value) * 1.3, Math.max(0, value) * 1.3 + 0.04];
    const around = [[-half, -half], [half, -half], [half, half], [-half, half]];
    const bottom = around.map(([dx, dy]) => this.project(x + dx, y + dy, low));
    const top = around.map(([dx, dy]) => this.project(x + dx, y + dy, value < 0 ? low + 0.04 : high));
    const walls = [0, 1, 2, 3].map((i) => [i, (bottom[i].depth + bottom[(i + 1) % 4].depth) / 2]);
    walls.sort((a, b) => a[1] - b[1]).forEach(([i]) => {
      const j = (i + 1) % 4;
      this.face([bottom[i], bottom[j], top[j], top[i]], colour(value, i % 2 ? 0.72 : 0.84));
    });
    this.face(top, colour(value));
    if (s === this.agent) this.ball(this.project(x, y, (value < 0 ? low : high) + 0.28));
  }

  face(points, fill) {
    this.pen.beginPath();
    points.forEach(({ x, y }, i) => (i ? this.pen.lineTo(x, y) : this.pen.moveTo(x, y)));
    this.pen.closePath();
    this.pen.fillStyle = fill;
    this.pen.strokeStyle = "rgb(30 20 40 / .25)";
    this.pen.fill();
    this.pen.stroke();
  }

  ball({ x, y }) {
    const radius = 0.2 * this.span * this.zoom;
    const light = this.pen.createRadialGradient(x - radius / 3, y - radius / 3, radius / 6, x, y, radius);
    light.addColorStop(0, "#fff3d6");
    light.addColorStop(1, "#e8742c");
    this.pen.beginPath();
    this.pen.arc(x, y, radius, 0, 2 * Math.PI);
    this.pen.fillStyle = light;
    this.pen.fill();
  }
}
