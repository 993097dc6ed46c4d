// The plane of valence (across) and arousal (up) with the way of the last seconds.
import { fit } from "./colors.js";

const TRAIL_S = 4;
const LINE = "rgb(255 255 255 / .16)";
const MUTED = "#aab2c0";
const VALENCE = [89, 194, 255];
const ACTIVE = "#ffb454";

export class Plane {
  constructor(canvas, colors) {
    this.canvas = canvas;
    this.colors = colors;
  }
  draw(history, now) {
    const context = fit(this.canvas);
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    context.clearRect(0, 0, width, height);
    const isSmall = width < 120;
    const left = isSmall ? 9 : 21, top = isSmall ? 9 : 11, side = width - left - (isSmall ? 9 : 11);
    const at = (valence, arousal) => [left + (valence + 1) / 2 * side, top + (1 - arousal) / 2 * side];
    context.strokeStyle = LINE;
    context.lineWidth = 1;
    context.beginPath();
    context.roundRect(left + .5, top + .5, side - 1, side - 1, 8);
    context.moveTo(left + side / 2, top); context.lineTo(left + side / 2, top + side);
    context.moveTo(left, top + side / 2); context.lineTo(left + side, top + side / 2);
    context.stroke();
    context.fillStyle = MUTED;
    context.textBaseline = "alphabetic";
    context.font = `500 ${isSmall ? 8 : 9.5}px ${this.colors.font}`;
    const inner = 6;
    for (const [text, align, x, y] of [
      ["tense", "left", left + inner, top + 13], ["excited", "right", left + side - inner, top + 13],
      ["sad", "left", left + inner, top + side - 7], ["calm", "right", left + side - inner, top + side - 7],
    ]) { context.textAlign = align; context.fillText(text, x, y); }
    const trail = history ? history.trail(now - TRAIL_S, now) : [];
    context.lineCap = "round";
    context.lineWidth = 2.2;
    for (let index = 1; index < trail.length; index += 1) {
      const age = (now - trail[index].time) / TRAIL_S;
      context.strokeStyle = `rgb(${VALENCE.join(" ")} / ${(1 - age) * .85})`;
      context.beginPath();
      context.moveTo(...at(trail[index - 1].valence, trail[index - 1].arousal));
      context.lineTo(...at(trail[index].valence, trail[index].arousal));
      context.stroke();
    }
    const last = trail.at(-1);
    if (last) {
      context.beginPath();
      context.arc(...at(last.valence, last.arousal), 5.5, 0, 2 * Math.PI);
      context.fillStyle = ACTIVE;
      context.fill();
      context.lineWidth = 2;
      context.strokeStyle = "#0b0e14";
      context.stroke();
    }
    if (!isSmall) this.drawNames(context, last, left, top, side, width, height);
  }
  drawNames(context, last, left, top, side, width, height) {
    const signed = (value) => (value === undefined ? "" : ` ${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`);
    context.fillStyle = MUTED;
    context.font = `500 10.5px ${this.colors.font}`;
    context.textAlign = "center";
    context.fillText(`valence${signed(last?.valence)}`, left + side / 2, height - 9);
    context.save();
    context.translate(13, top + side / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(`arousal${signed(last?.arousal)}`, 0, 0);
    context.restore();
    this.canvas.setAttribute("aria-label", last
      ? `Valence${signed(last.valence)}, arousal${signed(last.arousal)}` : "Valence and arousal: no face");
  }
}
