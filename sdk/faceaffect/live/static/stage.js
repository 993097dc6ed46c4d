// Draws a frame with the contours, brackets and labels of its faces.
import { fit } from "./colors.js";

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
// Points of the 68 landmarks, and whether the line closes.
const CONTOURS = [
  [range(0, 16), false], [range(17, 21), false], [range(22, 26), false], [range(27, 30), false],
  [range(31, 35), false], [range(36, 41), true], [range(42, 47), true], [range(48, 59), true],
  [range(60, 67), true],
];
const PLATE = "rgb(8 11 16 / .78)";
const PAPER = "#f4f6fa";
const MUTED = "#aab2c0";
const OTHER = "rgb(255 255 255 / .6)";
const MARGIN = 14, LABEL_PX = 12.5, PLATE_PX = 24, GAP_PX = 8;
const ACTIVE = "#ffb454"; // on video the dark theme's color always reads best

export class Stage {
  constructor(canvas, colors) {
    this.canvas = canvas;
    this.colors = colors;
    this.inset = document.querySelector(".inset");
  }
  draw({ result, image, isMirrored }, selectedId) {
    const context = fit(this.canvas);
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    const scale = Math.min(width / result.width, height / result.height);
    const left = (width - result.width * scale) / 2, top = (height - result.height * scale) / 2;
    context.fillStyle = "#05070a";
    context.fillRect(0, 0, width, height);
    context.save();
    if (isMirrored) { context.translate(width, 0); context.scale(-1, 1); }
    context.drawImage(image, left, top, result.width * scale, result.height * scale);
    context.restore();
    const place = ([x, y]) => {
      const across = left + (x + 0.5) * scale;
      return [isMirrored ? width - across : across, top + (y + 0.5) * scale];
    };
    const faces = [...result.faces].sort((a, b) => (a.track_id === selectedId) - (b.track_id === selectedId));
    for (const face of faces) this.drawContours(context, face.landmarks.map(place), face.track_id === selectedId);
    for (const face of faces) this.drawBrackets(context, face, place, face.track_id === selectedId);
    this.drawLabels(context, faces, place, width, height, selectedId);
    this.moveInset(faces, place, width, height);
  }
  drawContours(context, points, isSelected) {
    context.lineJoin = context.lineCap = "round";
    const path = new Path2D();
    for (const [indices, closes] of CONTOURS) {
      indices.forEach((index, step) => path[step ? "lineTo" : "moveTo"](...points[index]));
      if (closes) path.closePath();
    }
    context.strokeStyle = "rgb(0 0 0 / .35)";
    context.lineWidth = 3.2;
    context.stroke(path);
    context.strokeStyle = isSelected ? "rgb(255 255 255 / .92)" : "rgb(255 255 255 / .5)";
    context.lineWidth = 1.4;
    context.stroke(path);
  }
  drawBrackets(context, face, place, isSelected) {
    const [ax, ay] = place(face.box.slice(0, 2)), [bx, by] = place(face.box.slice(2));
    const x1 = Math.min(ax, bx), x2 = Math.max(ax, bx), y1 = ay, y2 = by;
    const arm = Math.max(8, Math.min(30, (x2 - x1) * 0.17));
    context.strokeStyle = isSelected ? ACTIVE : OTHER;
    context.lineWidth = isSelected ? 2.6 : 2;
    context.beginPath();
    for (const [x, y, dx, dy] of [[x1, y1, 1, 1], [x2, y1, -1, 1], [x1, y2, 1, -1], [x2, y2, -1, -1]]) {
      context.moveTo(x + dx * arm, y);
      context.lineTo(x, y);
      context.lineTo(x, y + dy * arm);
    }
    context.stroke();
  }
  // Draws a plate per face, the selected one's first, where it covers no other plate.
  drawLabels(context, faces, place, width, height, selectedId) {
    const taken = [];
    const order = [...faces].sort((a, b) => (b.track_id === selectedId) - (a.track_id === selectedId));
    for (const face of order) {
      const parts = this.labelParts(face, face.track_id === selectedId, faces.length);
      const widths = parts.map(([text, , weight]) => {
        context.font = `${weight} ${LABEL_PX}px ${this.colors.font}`;
        return context.measureText(text).width;
      });
      const total = widths.reduce((sum, one) => sum + one + GAP_PX, -GAP_PX) + 18;
      const [ax, top] = place(face.box.slice(0, 2)), [bx, bottom] = place(face.box.slice(2));
      const left = Math.min(ax, bx), right = Math.max(ax, bx);
      const places = [[left, top - 31], [left, bottom + 7], [right - total, top - 31], [left, top - 58], [left, top + 6]]
        .map(([x, y]) => [Math.max(4, Math.min(x, width - total - 4)), y])
        .filter(([, y]) => y >= 4 && y + PLATE_PX <= height - 4);
      const isFree = ([x, y]) => taken.every(([ox, oy, wide]) =>
        x + total + 3 < ox || x > ox + wide + 3 || y + PLATE_PX + 2 < oy || y > oy + PLATE_PX + 2);
      const [x, y] = places.find(isFree) ?? places[0] ?? [4, 4];
      taken.push([x, y, total]);
      this.drawPlate(context, parts, widths, x, y, total);
    }
  }
  labelParts(face, isSelected, count) {
    const share = face.expression ? Math.round(100 * face.expressions[face.expression]) : null;
    const units = face.active_aus.map((name) => name.slice(2)).join(" ");
    const isLong = isSelected || count < 3;
    return [
      [`Face ${face.track_id}`, PAPER, 600],
      ...(face.expression ? [[isLong ? `${face.expression} ${share} %` : face.expression, this.colors.expressions[face.expression], 700]] : []),
      ...(units && !isSelected && isLong ? [[`AU ${units}`, MUTED, 500]] : []),
    ];
  }
  drawPlate(context, parts, widths, x, y, total) {
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.fillStyle = PLATE;
    context.beginPath();
    context.roundRect(x, y, total, PLATE_PX, 7);
    context.fill();
    let pen = x + 9;
    parts.forEach(([text, color, weight], index) => {
      context.font = `${weight} ${LABEL_PX}px ${this.colors.font}`;
      context.fillStyle = color;
      context.fillText(text, pen, y + PLATE_PX / 2 + .5);
      pen += widths[index] + GAP_PX;
    });
  }
  // Keeps the plane off the faces: it goes to the side where it covers less of them.
  moveInset(faces, place, width, height) {
    const box = this.inset.getBoundingClientRect();
    if (this.inset.parentElement !== this.canvas.parentElement) return;
    const covered = (from) => faces.reduce((sum, face) => {
      const [ax] = place(face.box.slice(0, 2)), [bx, by] = place(face.box.slice(2));
      const across = Math.min(Math.max(ax, bx), from + box.width) - Math.max(Math.min(ax, bx), from);
      return sum + Math.max(0, across) * Math.max(0, by - (height - box.height - MARGIN));
    }, 0);
    const left = covered(MARGIN), right = covered(width - box.width - MARGIN);
    const isRight = this.inset.classList.contains("is-right");
    if (isRight ? left < right * .5 : right < left * .5) this.inset.classList.toggle("is-right");
    this.inset.classList.toggle("is-faint", Math.min(left, right) > 0);
  }
}
