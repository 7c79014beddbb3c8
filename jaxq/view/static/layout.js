// Where the states of a world lie: its cells row by row, or each state in a cell of its own.

export class Layout {
  constructor(world) {
    this.world = world;
    const cells = world.cells.join("");
    this.at = world.at ?? Array.from(cells, (_, cell) => cell);
    this.states = new Map(this.at.map((cell, s) => [cell, s]));
    /** What stands in the cell of each state. */
    this.tiles = this.at.map((cell) => cells[cell]);
  }

  /** Row and column of a state, from 0. */
  place(s) {
    return [Math.floor(this.at[s] / this.world.columns), this.at[s] % this.world.columns];
  }

  /** The state in a cell; undefined where there is none. */
  state(row, column) {
    const { rows, columns } = this.world;
    return row < 0 || column < 0 || row >= rows || column >= columns ? undefined : this.states.get(row * columns + column);
  }

  /** Rows and columns are counted from 1, unless the world counts its own. */
  name(s) {
    const [row, column] = this.place(s);
    if (!this.world.origin) return `row ${row + 1}, column ${column + 1}`;
    return `state ${s}, row ${row + this.world.origin[0]}, column ${column + this.world.origin[1]}`;
  }
}

/** Four arrows of a cell, or a strip for each of up to six actions; of more, the best one alone. */
export function marksOf(world) {
  // Arrows that point up, right, down and left from the middle of a cell, and where their labels stand.
  const kite = "M0 -58 L42 -46 L0 -4 L-42 -46 Z";
  const labels = [[0, -31], [33, 6], [0, 44], [-33, 6]];
  if (world.arrows !== null) return labels.map(([x, y], a) => ({ d: kite, turn: 90 * a, x, y }));
  const count = world.actions.length;
  if (count > 6) return [{ d: "M-52 -52 H52 V52 H-52 Z", turn: 0, x: 0, y: 18, name: -14 }];
  const height = 108 / count;
  return world.actions.map((_, a) => {
    const top = -54 + a * height;
    return { d: `M-54 ${top + 1} H54 V${top + height - 1} H-54 Z`, turn: 0, x: 25, y: top + height / 2 + 6, side: -49 };
  });
}

/** The beginning of an action's name, as much as there is room for. */
export function brief(name, letters) {
  const short = name.replace(/^action (?=\d+$)/, "a");
  return short.length > letters ? `${short.slice(0, letters - 1).trimEnd()}…` : short;
}
