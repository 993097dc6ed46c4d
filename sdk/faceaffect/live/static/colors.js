// Colors of the theme for canvases, and the labels and colors that the server names.
const NAMES = ["ground", "card", "raised", "edge", "edge-strong", "text", "text-muted", "active", "valence", "arousal", "alert"];

export class Colors {
  constructor() {
    this.probe = document.createElement("i");
    this.probe.hidden = true;
    document.body.append(this.probe);
    this.expressions = {};
    this.read();
  }
  // Reads the colors anew; call it when the theme has changed.
  read() {
    for (const name of NAMES) {
      this.probe.style.color = `var(--${name})`;
      this[name] = getComputedStyle(this.probe).color;
    }
    this.font = getComputedStyle(document.body).fontFamily;
  }
  take(model) {
    this.expressions = Object.fromEntries(model.expressions.map((one) => [one.name, one.color]));
  }
}

// Makes the pixels of a canvas fit its size on the page; returns its context, scaled to CSS pixels.
export function fit(canvas, maxRatio = 2) {
  const ratio = Math.min(devicePixelRatio || 1, maxRatio);
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
