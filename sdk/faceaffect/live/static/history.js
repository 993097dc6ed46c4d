// The last 20 seconds of one face, in columns of a thirtieth of a second.
export const SPAN_S = 20;
const RATE = 30;
const COLUMNS = SPAN_S * RATE + RATE;
const MAX_HELD = RATE; // columns that a value stands for when frames come more slowly

export class History {
  constructor(units, expressions, color) {
    this.units = units;
    this.expressions = expressions;
    this.color = color;
    this.last = null; // newest column
    this.addedTime = null;
    this.raster = document.createElement("canvas"); // a column is one pixel wide, an action unit high
    Object.assign(this.raster, { width: COLUMNS, height: units.length });
    this.pen = this.raster.getContext("2d");
    this.cells = new Array(COLUMNS).fill(null);
  }
  static column(time) { return Math.floor(time * RATE); }
  get lastTime() { return this.last === null ? -Infinity : (this.last + 1) / RATE; }
  // Adds a face; `before` is the time of the frame before: had it no such face, there is a gap.
  add(time, face, before) {
    const column = History.column(time);
    if (this.last !== null && column < this.last) this.clear();
    const known = face.valence !== null;
    const cell = {
      time,
      valence: known ? Math.max(-1, Math.min(1, face.valence)) : null,
      arousal: known ? Math.max(-1, Math.min(1, face.arousal)) : null,
      expression: face.expression,
      share: face.expressions[face.expression],
      active: face.active_aus,
    };
    const first = this.last === null ? column : this.last + 1;
    const isGap = column - first >= MAX_HELD || this.addedTime !== before;
    for (let one = Math.max(Math.min(first, column), column - COLUMNS + 1); one <= column; one += 1) {
      this.put(one, isGap && one < column ? null : cell, face);
    }
    this.last = column;
    this.addedTime = time;
  }
  put(column, cell, face) {
    const x = column % COLUMNS;
    this.cells[x] = cell;
    this.pen.clearRect(x, 0, 1, this.units.length);
    if (!cell) return;
    this.pen.fillStyle = this.color;
    this.units.forEach((name, row) => {
      const probability = face.action_units[name] ?? 0;
      this.pen.globalAlpha = cell.active.includes(name) ? .4 + .6 * probability : .45 * probability;
      this.pen.fillRect(x, row, 1, 1);
    });
    this.pen.globalAlpha = 1;
  }
  clear() {
    this.cells.fill(null);
    this.pen.clearRect(0, 0, COLUMNS, this.units.length);
    this.last = null;
  }
  // Gives the raster another color, as when the theme changes.
  recolor(color) {
    this.color = color;
    this.pen.globalCompositeOperation = "source-in";
    this.pen.fillStyle = color;
    this.pen.fillRect(0, 0, COLUMNS, this.units.length);
    this.pen.globalCompositeOperation = "source-over";
  }
  at(time) {
    const column = History.column(time);
    if (this.last === null || column > this.last || column <= this.last - COLUMNS) return null;
    return this.cells[((column % COLUMNS) + COLUMNS) % COLUMNS];
  }
  // Yields [column, cell or null] from a time to another; nothing beyond what is known.
  * columns(from, to) {
    if (this.last === null) return;
    const first = Math.max(History.column(from), this.last - COLUMNS + 1, 0);
    const end = Math.min(History.column(to), this.last);
    for (let column = first; column <= end; column += 1) yield [column, this.cells[column % COLUMNS]];
  }
  trail(from, to) {
    const cells = [];
    for (const [, cell] of this.columns(from, to)) {
      if (cell && cell.valence !== null && cell !== cells.at(-1)) cells.push(cell);
    }
    return cells;
  }
  // Draws row `row` of the raster between two times: at most two pieces of the ring.
  drawRow(context, row, from, to, x, width, y, height) {
    if (this.last === null) return;
    const scale = width / (to - from);
    let column = Math.max(History.column(from), this.last - COLUMNS + 1, 0);
    const end = Math.min(History.column(to), this.last) + 1;
    context.imageSmoothingEnabled = false;
    while (column < end) {
      const start = column % COLUMNS;
      const count = Math.min(end - column, COLUMNS - start);
      const left = x + (column / RATE - from) * scale;
      context.drawImage(this.raster, start, row, count, 1, left, y, count / RATE * scale, height);
      column += count;
    }
  }
  static timeOf(column) { return column / RATE; }
}
