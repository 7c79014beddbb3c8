// The grid: actions of each cell, coloured and labelled by Q-value, the greedy one emphasized.

import { make, svg } from "./dom.js";
import { Layout, brief, marksOf } from "./layout.js";
import { greedyAction } from "./table.js";
import { colour, inkOn, long, short } from "./scale.js";

const SIZE = 120;
const GAP = 3;
const TILES = { G: "goal", C: "pit", "#": "wall", E: "end" };

export class Grid {
  constructor(world, label, chosen = null) {
    this.world = world;
    this.actions = world.actions.length;
    this.layout = new Layout(world);
    this.marks = marksOf(world);
    this.caption = make("p", { class: "readout", "aria-live": "polite" }, "Choose a cell to read its values.");
    const box = `0 0 ${world.columns * SIZE} ${world.rows * SIZE}`;
    this.picture = svg("svg", { viewBox: box, class: "grid", role: "group", "aria-label": label });
    this.cells = this.layout.tiles.map((tile, s) => this.cell(tile, s, chosen));
    this.agent = svg("g", { class: "agent", "aria-hidden": "true" }, svg("circle", { r: 15 }), svg("circle", { r: 5, class: "eye" }));
    this.picture.append(...this.cells.map((cell) => cell.group), this.agent);
    this.element = make("div", { class: "gridbox" }, this.picture, this.caption);
    this.place(world.start);
  }

  centre(s) {
    return this.layout.place(s).map((place) => (place + 0.5) * SIZE).reverse();
  }

  cell(tile, s, chosen) {
    const [x, y] = this.centre(s);
    const group = svg("g", { transform: `translate(${x} ${y})`, class: `cell ${TILES[tile] ?? "free"}` });
    const half = SIZE / 2 - GAP / 2;
    group.append(svg("rect", { x: -half, y: -half, width: 2 * half, height: 2 * half, rx: 10, class: "ground" }));
    if (TILES[tile]) {
      const text = { goal: "GOAL", pit: "PIT", wall: "", end: "END" }[TILES[tile]];
      // What coming to an end gives says whether it is a good one.
      const gives = tile === "E" ? this.world.entering[s] : null;
      group.append(svg("text", { y: gives == null ? 8 : 0, class: "tile" }, text));
      if (gives != null) group.append(" ", svg("text", { y: 26, class: "tile gives" }, short(gives)));
      return { group, arrows: [] };
    }
    const arrows = this.marks.map(({ d, turn, x, y, side, name }, a) => {
      const kite = svg("path", { d, transform: `rotate(${turn})` });
      const text = svg("text", { x, y });
      const title = side !== undefined ? svg("text", { x: side, y, class: "title" }, brief(this.world.actions[a], 6)) : name !== undefined ? svg("text", { y: name }) : null;
      // The spaces keep the numbers apart where they are read aloud.
      group.append(kite, ...(title ? [title, " "] : []), text, " ");
      return { kite, text, title };
    });
    const tell = () => (this.tell(s), chosen?.(s));
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    group.addEventListener("click", tell);
    group.addEventListener("focus", () => this.tell(s));
    group.addEventListener("keydown", (event) => this.key(event, s, tell));
    return { group, arrows };
  }

  key(event, s, tell) {
    const { rows, columns } = this.world;
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.key === "Enter" || event.key === " ") tell();
    else if (!moves[event.key]) return;
    else {
      const [down, right] = moves[event.key];
      const free = (row, column) => this.cells[this.layout.state(row, column)]?.arrows.length;
      let [row, column] = this.layout.place(s);
      do [row, column] = [row + down, column + right];
      while (row >= 0 && row < rows && column >= 0 && column < columns && !free(row, column));
      if (free(row, column)) this.cells[this.layout.state(row, column)].group.focus();
    }
    event.preventDefault();
  }

  tell(s) {
    if (!this.q) return;
    const values = this.world.actions.map((name, a) => `${name} ${long(this.q[s * this.actions + a], 3)}`);
    const name = this.layout.name(s);
    const visits = this.visits ? `; updated ${this.visits[s].toLocaleString("en")} times` : "";
    this.caption.textContent = `${name[0].toUpperCase()}${name.slice(1)}: ${values.join(", ")}${visits}.`;
  }

  /** Show values `[S * A]`, coloured as shares of `scale`, and say how often a state was updated. */
  show(q, scale = 1, visits = null) {
    [this.q, this.visits] = [q, visits];
    this.cells.forEach(({ group, arrows }, s) => {
      if (!arrows.length) return;
      const best = greedyAction(q, s, this.actions);
      const known = this.world.actions.some((_, a) => q[s * this.actions + a]);
      const values = this.world.actions.map((_, a) => q[s * this.actions + a]);
      arrows.forEach(({ kite, text, title }, place) => {
        const a = arrows.length < this.actions ? best : place;
        const value = values[a];
        const [ink, kind] = [value == null ? "currentColor" : inkOn(value / scale), known && a === best ? "greedy" : ""];
        // An action that is not legal has no value, and no arrow.
        kite.setAttribute("fill", value == null ? "none" : colour(value / scale));
        kite.setAttribute("class", kind);
        text.setAttribute("class", kind);
        text.setAttribute("fill", ink);
        title?.setAttribute("fill", ink);
        if (text.textContent !== short(value)) text.textContent = short(value);
        if (title && arrows.length < this.actions) title.textContent = brief(this.world.actions[a], 10);
      });
      const spoken = values.map(short).join(" ");
      group.setAttribute("aria-label", `${this.layout.name(s)}, best ${this.world.actions[best]}; ${this.world.actions.join(", ")}: ${spoken}`);
    });
  }

  place(s) {
    const [x, y] = this.centre(s);
    this.agent.setAttribute("transform", `translate(${x} ${y})`);
    this.at = s;
  }

  mark(s, a = null) {
    this.cells.forEach(({ group, arrows }, at) => {
      group.classList.toggle("marked", at === s);
      arrows.forEach(({ kite }, b) => kite.classList.toggle("chosen", at === s && b === a));
    });
  }
}
