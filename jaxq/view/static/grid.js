// The grid: four arrows per cell, coloured and labelled by Q-value, the greedy one emphasized.

import { make, svg } from "./dom.js";
import { greedyAction } from "./table.js";
import { colour, inkOn, long, short } from "./scale.js";

const SIZE = 120;
const GAP = 3;
// Arrows that point up, right, down and left from the middle of a cell, and where their labels stand.
const TURNS = [0, 90, 180, 270];
const KITE = "M0 -58 L42 -46 L0 -4 L-42 -46 Z";
const LABELS = [[0, -31], [33, 6], [0, 44], [-33, 6]];
const TILES = { G: "goal", C: "pit", "#": "wall" };

export class Grid {
  constructor(world, label, chosen = null) {
    this.world = world;
    this.actions = world.actions.length;
    this.tiles = world.cells.join("");
    this.caption = make("p", { class: "readout", "aria-live": "polite" }, "Choose a cell to read its values.");
    const box = `0 0 ${world.columns * SIZE} ${world.rows * SIZE}`;
    this.picture = svg("svg", { viewBox: box, class: "grid", role: "group", "aria-label": label });
    this.cells = [...this.tiles].map((tile, s) => this.cell(tile, s, chosen));
    this.agent = svg("g", { class: "agent", "aria-hidden": "true" }, svg("circle", { r: 15 }), svg("circle", { r: 5, class: "eye" }));
    this.picture.append(...this.cells.map((cell) => cell.group), this.agent);
    this.element = make("div", { class: "gridbox" }, this.picture, this.caption);
    this.place(world.start);
  }

  centre(s) {
    const column = s % this.world.columns;
    return [(column + 0.5) * SIZE, (Math.floor(s / this.world.columns) + 0.5) * SIZE];
  }

  cell(tile, s, chosen) {
    const [x, y] = this.centre(s);
    const group = svg("g", { transform: `translate(${x} ${y})`, class: `cell ${TILES[tile] ?? "free"}` });
    const half = SIZE / 2 - GAP / 2;
    group.append(svg("rect", { x: -half, y: -half, width: 2 * half, height: 2 * half, rx: 10, class: "ground" }));
    if (TILES[tile]) {
      const text = { goal: "GOAL", pit: "PIT", wall: "" }[TILES[tile]];
      group.append(svg("text", { y: 8, class: "tile" }, text));
      return { group, arrows: [] };
    }
    const arrows = TURNS.map((turn, a) => {
      const kite = svg("path", { d: KITE, transform: `rotate(${turn})` });
      const text = svg("text", { x: LABELS[a][0], y: LABELS[a][1] });
      // The space keeps the numbers apart where they are read aloud.
      group.append(kite, text, " ");
      return { kite, text };
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
      let [row, column] = [Math.floor(s / columns) + down, (s % columns) + right];
      while (row >= 0 && row < rows && column >= 0 && column < columns) {
        if (this.cells[row * columns + column].arrows.length) {
          this.cells[row * columns + column].group.focus();
          break;
        }
        [row, column] = [row + down, column + right];
      }
    }
    event.preventDefault();
  }

  tell(s) {
    if (!this.q) return;
    const values = this.world.actions.map((name, a) => `${name} ${long(this.q[s * this.actions + a], 3)}`);
    this.caption.textContent = `Row ${Math.floor(s / this.world.columns) + 1}, column ${(s % this.world.columns) + 1}: ${values.join(", ")}${this.visits ? `; updated ${this.visits[s].toLocaleString("en")} times` : ""}.`;
  }

  /** Show values `[S * A]`, coloured as shares of `scale`, and say how often a state was updated. */
  show(q, scale = 1, visits = null) {
    [this.q, this.visits] = [q, visits];
    this.cells.forEach(({ group, arrows }, s) => {
      if (!arrows.length) return;
      const best = greedyAction(q, s, this.actions);
      const known = this.world.actions.some((_, a) => q[s * this.actions + a]);
      arrows.forEach(({ kite, text }, a) => {
        const value = q[s * this.actions + a];
        // An action that is not legal has no value, and no arrow.
        kite.setAttribute("fill", value == null ? "none" : colour(value / scale));
        kite.setAttribute("class", known && a === best ? "greedy" : "");
        text.setAttribute("class", known && a === best ? "greedy" : "");
        text.setAttribute("fill", value == null ? "currentColor" : inkOn(value / scale));
        if (text.textContent !== short(value)) text.textContent = short(value);
      });
      const place = `row ${Math.floor(s / this.world.columns) + 1}, column ${(s % this.world.columns) + 1}`;
      const spoken = arrows.map(({ text }) => text.textContent).join(" ");
      group.setAttribute("aria-label", `${place}, best ${this.world.actions[best]}; ${this.world.actions.join(", ")}: ${spoken}`);
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
