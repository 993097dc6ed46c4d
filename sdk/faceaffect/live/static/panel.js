// Bars of the selected face, and a tab with small bars for each face when there are several.
import { fit } from "./colors.js";

const element = (name, className, text) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

class Bar {
  constructor(list, name, meaning, threshold) {
    this.item = element("li");
    if (threshold !== undefined) this.item.append(element("b", "", name), element("span", "", meaning));
    else this.item.append(element("span", "", name));
    const track = element("span", "track");
    this.fill = element("span", "fill");
    track.append(this.fill);
    if (threshold !== undefined) {
      const tick = element("i", "tick");
      tick.style.left = `${threshold * 100}%`;
      track.append(tick);
      this.item.title = `${name}, ${meaning}: active from about ${threshold.toFixed(2)} on`;
    }
    this.value = element("span", "value", "–");
    this.item.append(track, this.value);
    list.append(this.item);
  }
  set(value, isOn) {
    const shown = value === null ? "–" : value.toFixed(2);
    if (this.shown !== shown) {
      this.value.textContent = this.shown = shown;
      this.fill.style.transform = `scaleX(${value ?? 0})`;
    }
    if (this.isOn !== isOn) this.item.classList.toggle("is-on", this.isOn = isOn);
  }
}

export class Panel {
  constructor(model, colors, onSelect) {
    this.colors = colors;
    this.onSelect = onSelect;
    this.tabs = new Map();
    this.list = document.getElementById("faces");
    const expressions = document.getElementById("expressions"), units = document.getElementById("aus");
    expressions.replaceChildren();
    units.replaceChildren();
    this.expressions = model.expressions.map((one) => {
      const bar = new Bar(expressions, one.name);
      bar.fill.style.background = one.color;
      return [one.name, bar];
    });
    this.units = model.action_units.map((one) => [one.name, new Bar(units, one.name, one.meaning, one.threshold)]);
  }
  show(face) {
    for (const [name, bar] of this.expressions) bar.set(face ? face.expressions[name] : null, face?.expression === name);
    for (const [name, bar] of this.units) bar.set(face ? face.action_units[name] : null, !!face && face.active_aus.includes(name));
  }
  showTabs(faces, selectedId) {
    const shown = faces.length > 1 ? faces : [];
    const ids = new Set(shown.map((face) => face.track_id));
    for (const [id, tab] of this.tabs) if (!ids.has(id)) { tab.button.remove(); this.tabs.delete(id); }
    for (const face of shown) {
      const tab = this.tabs.get(face.track_id) ?? this.addTab(face.track_id);
      const isSelected = face.track_id === selectedId;
      tab.button.setAttribute("aria-selected", isSelected);
      tab.button.tabIndex = isSelected ? 0 : -1;
      if (tab.text !== face.expression) tab.what.textContent = tab.text = face.expression;
      this.drawBars(tab.canvas, face);
    }
  }
  addTab(id) {
    const button = element("button");
    button.setAttribute("role", "tab");
    button.setAttribute("aria-controls", "face");
    const who = element("span", "who", `Face ${id}`), what = element("span", "what");
    who.append(what);
    const canvas = element("canvas");
    button.append(who, canvas);
    button.addEventListener("click", () => this.onSelect(id));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const all = [...this.tabs.values()].map((one) => one.button);
      const next = all[(all.indexOf(button) + step + all.length) % all.length];
      next.click();
      next.focus();
      event.preventDefault();
    });
    this.list.append(button);
    const tab = { button, what, canvas };
    this.tabs.set(id, tab);
    return tab;
  }
  drawBars(canvas, face) {
    const context = fit(canvas);
    const width = canvas.clientWidth, height = canvas.clientHeight;
    const step = width / this.units.length;
    context.clearRect(0, 0, width, height);
    this.units.forEach(([name], index) => {
      context.fillStyle = this.colors.edge;
      context.fillRect(index * step, 0, step - 2, height);
      const tall = (face.action_units[name] ?? 0) * height;
      context.fillStyle = face.active_aus.includes(name) ? this.colors.active : this.colors["edge-strong"];
      context.fillRect(index * step, height - tall, step - 2, tall);
    });
  }
}
