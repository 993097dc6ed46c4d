// The running strip: valence and arousal, expression, action units, events and a cursor.
import { fit } from "./colors.js";
import { History, SPAN_S } from "./history.js";

const BAND_PX = 17, GAP_PX = 8, AXIS_PX = 20;
const STEP_S = 0.25;

export class Strip {
  constructor(canvas, colors, units, onMove) {
    this.canvas = canvas;
    this.colors = colors;
    this.units = units;
    this.age = null; // seconds before now that the cursor stands at
    canvas.addEventListener("pointermove", (event) => this.point(event, onMove));
    canvas.addEventListener("pointerdown", (event) => this.point(event, onMove));
    canvas.addEventListener("pointerleave", () => this.move(null, onMove));
    canvas.addEventListener("blur", () => this.move(null, onMove));
    canvas.addEventListener("keydown", (event) => this.key(event, onMove));
  }
  get left() { return this.canvas.clientWidth < 560 ? 66 : 96; }
  get right() { return 10; }
  move(age, onMove) {
    this.age = age === null ? null : Math.max(0, Math.min(SPAN_S, age));
    onMove();
  }
  point(event, onMove) {
    const box = this.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - this.left) / (box.width - this.left - this.right);
    this.move(share < 0 || share > 1 ? null : (1 - share) * SPAN_S, onMove);
  }
  key(event, onMove) {
    const steps = { ArrowLeft: STEP_S, ArrowRight: -STEP_S, PageUp: 2, PageDown: -2 };
    if (event.key in steps) this.move((this.age ?? 0) + steps[event.key], onMove);
    else if (event.key === "Home") this.move(SPAN_S, onMove);
    else if (event.key === "End") this.move(0, onMove);
    else if (event.key === "Escape") this.move(null, onMove);
    else return;
    event.preventDefault();
  }
  draw(history, now, events) {
    const { colors } = this;
    const context = fit(this.canvas);
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    const left = this.left, span = width - left - this.right;
    const from = now - SPAN_S;
    const x = (time) => left + (time - from) / SPAN_S * span;
    context.clearRect(0, 0, width, height);
    context.textBaseline = "middle";
    this.affectPx = Math.round(height * .27);
    const bandTop = this.affectPx + GAP_PX, unitsTop = bandTop + BAND_PX + GAP_PX;
    const rowPx = (height - unitsTop - AXIS_PX) / this.units.length;
    const inset = rowPx < 12 ? 2 : 3;
    this.drawGrid(context, left, span, height, unitsTop, rowPx, bandTop, inset);
    if (history) {
      context.save();
      context.beginPath();
      context.rect(left, 0, span, height);
      context.clip();
      this.drawAffect(context, history, from, now, x);
      this.drawBands(context, history, from, now, x, bandTop);
      this.units.forEach((_, row) => {
        history.drawRow(context, row, from, now, left, span, unitsTop + row * rowPx + inset / 2, rowPx - inset);
      });
      context.restore();
    }
    this.drawEvents(context, events, from, x, height);
    if (now > 0) this.drawCursor(context, x(now - (this.age ?? 0)), height);
  }
  drawGrid(context, left, span, height, unitsTop, rowPx, bandTop, inset) {
    const { colors } = this;
    const small = left < 80;
    const label = (text, y, color, isBold, size = small ? 10 : 11.5) => {
      context.font = `${isBold ? 600 : 500} ${size}px ${colors.font}`;
      context.fillStyle = color;
      context.textAlign = "left";
      context.fillText(text, 0, y);
    };
    label("valence", this.affectPx / 2 - 9, colors.valence, true);
    label("arousal", this.affectPx / 2 + 9, colors.arousal, true);
    label(small ? "express." : "expression", bandTop + BAND_PX / 2, colors["text-muted"]);
    context.fillStyle = colors["text-muted"];
    context.font = `500 9.5px ${colors.font}`;
    context.textAlign = "right";
    for (const [text, y] of [["+1", 6], ["0", this.affectPx / 2], ["−1", this.affectPx - 6]]) context.fillText(text, left - 6, y);
    context.fillStyle = colors.raised;
    context.fillRect(left, bandTop, span, BAND_PX);
    this.units.forEach((name, row) => {
      context.fillStyle = colors.raised;
      context.fillRect(left, unitsTop + row * rowPx + inset / 2, span, rowPx - inset);
      label(name, unitsTop + (row + .5) * rowPx + .5, colors["text-muted"], false, Math.min(11, rowPx - .5));
    });
    context.strokeStyle = colors.edge;
    context.lineWidth = 1;
    context.beginPath();
    for (const y of [.5, this.affectPx / 2, this.affectPx - .5]) { context.moveTo(left, y); context.lineTo(left + span, y); }
    context.stroke();
    context.fillStyle = colors["text-muted"];
    context.font = `500 10.5px ${colors.font}`;
    for (let age = 0; age <= SPAN_S; age += 5) {
      context.textAlign = age === 0 ? "right" : age === SPAN_S ? "left" : "center";
      context.fillText(age ? `−${age} s` : "now", left + (1 - age / SPAN_S) * span, height - 8);
    }
  }
  drawAffect(context, history, from, now, x) {
    const y = (value) => 3 + (1 - value) / 2 * (this.affectPx - 6);
    context.lineWidth = 1.8;
    context.lineJoin = "round";
    for (const name of ["arousal", "valence"]) {
      context.strokeStyle = this.colors[name];
      context.beginPath();
      let isDrawing = false, previous = null;
      for (const [column, cell] of history.columns(from - .1, now)) {
        if (!cell || cell[name] === null) isDrawing = false;
        else if (cell !== previous) {
          context[isDrawing ? "lineTo" : "moveTo"](x(History.timeOf(column)), y(cell[name]));
          isDrawing = true;
        }
        previous = cell;
      }
      context.stroke();
    }
  }
  drawBands(context, history, from, now, x, top) {
    let run = null;
    const finish = () => {
      if (!run) return;
      const x1 = x(run.from), x2 = x(run.to);
      context.fillStyle = this.colors.expressions[run.name];
      context.beginPath();
      context.roundRect(x1, top, Math.max(1, x2 - x1 - 1), BAND_PX, Math.min(4, (x2 - x1) / 2));
      context.fill();
      context.font = `600 10.5px ${this.colors.font}`;
      const shown = Math.max(x1, this.left) + 7;
      if (x2 - shown > context.measureText(run.name).width + 8) {
        context.fillStyle = "#0b0e14";
        context.textAlign = "left";
        context.fillText(run.name, shown, top + BAND_PX / 2 + .5);
      }
      run = null;
    };
    for (const [column, cell] of history.columns(from - 1, now)) {
      const name = cell?.expression || null;
      if (run && run.name !== name) finish();
      if (name && !run) run = { name, from: History.timeOf(column) };
      if (run) run.to = History.timeOf(column + 1);
    }
    finish();
  }
  drawEvents(context, events, from, x, height) {
    context.lineWidth = 1.5;
    for (const event of events) {
      if (event.time < from) continue;
      const at = x(event.time);
      context.strokeStyle = context.fillStyle = this.colors.alert;
      context.setLineDash([3, 3]);
      context.beginPath();
      context.moveTo(at, 0);
      context.lineTo(at, height - AXIS_PX);
      context.stroke();
      context.setLineDash([]);
      context.font = `700 10px ${this.colors.font}`;
      const text = `${event.number}`, wide = context.measureText(text).width + 9;
      context.beginPath();
      context.roundRect(at, 0, wide, 15, [0, 4, 4, 0]);
      context.fill();
      context.fillStyle = this.colors.card;
      context.textAlign = "left";
      context.fillText(text, at + 4.5, 8);
    }
  }
  drawCursor(context, x, height) {
    context.strokeStyle = context.fillStyle = this.colors.text;
    context.globalAlpha = this.age === null ? .55 : 1;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x, 4);
    context.lineTo(x, height - AXIS_PX + 4);
    context.stroke();
    context.beginPath();
    context.arc(x, 4, 3.5, 0, 2 * Math.PI);
    context.fill();
    context.globalAlpha = 1;
  }
}
