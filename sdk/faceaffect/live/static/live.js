// The live page: takes frames of a feed and shows them.
import { Colors } from "./colors.js";
import { askRecording, logIn, offerFiles } from "./dialogs.js";
import { CameraFeed, WatchFeed } from "./feeds.js";
import { History, SPAN_S } from "./history.js";
import { Panel } from "./panel.js";
import { Plane } from "./plane.js";
import { Recorder } from "./recorder.js";
import { Stage } from "./stage.js";
import { Strip } from "./strip.js";

const byId = (id) => document.getElementById(id);
const BASELINE_S = 5;
const SPEAK_MS = 4000;
const MODEL_RETRY_MS = 1000;
const WINDOW_MS = 2000;
const STATES = {
  playing: "live", waiting: "waiting", asking: "waiting", ended: "ended", failed: "no image",
  lost: "reconnecting", busy: "waiting", none: "ready",
};

const colors = new Colors();
const stage = new Stage(byId("stage"), colors);
const plane = new Plane(byId("plane"), colors);
const recorder = new Recorder(byId("stage"));
const page = {
  model: null, feed: null, frame: null, selected: null, now: 0, isPaused: false, isDirty: false,
  histories: new Map(), events: [], eventCount: 0, shownAt: [], analyzeMs: [], roundTripMs: [],
  baselineUntil: null, usesBaseline: false, hasCamera: false, state: "",
};
let panel, strip;

function onFrame(frame) {
  const { result } = frame;
  page.frame?.image.close?.(); // frees the pixels before the garbage collector does
  page.frame = frame;
  if (result.time_s < page.now) { page.histories.clear(); page.events = []; } // another run of the source
  const before = page.now;
  page.now = result.time_s;
  for (const face of result.faces) {
    let one = page.histories.get(face.track_id);
    if (!one) page.histories.set(face.track_id, one = new History(unitNames(), colors.expressions, colors.active));
    one.add(result.time_s, face, before);
  }
  for (const [id, one] of page.histories) if (one.lastTime < page.now - SPAN_S) page.histories.delete(id);
  if (!result.faces.some((face) => face.track_id === page.selected) && result.faces.length) {
    const held = page.histories.get(page.selected);
    if (!held || held.lastTime < page.now - 1) page.selected = largest(result.faces).track_id;
  }
  page.usesBaseline = result.baseline === true;
  measure(frame);
  if (page.state !== "playing") onState("playing", "");
  page.isDirty = true;
}

const unitNames = () => page.model.action_units.map((one) => one.name);
const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
const largest = (faces) => faces.reduce((best, face) => (area(face) > area(best) ? face : best));

function measure({ result, roundTripMs }) {
  const now = performance.now();
  page.shownAt.push(now);
  while (page.shownAt[0] < now - WINDOW_MS) page.shownAt.shift();
  page.analyzeMs.push(result.timing.analyze_ms);
  if (roundTripMs !== undefined) page.roundTripMs.push(roundTripMs);
  for (const list of [page.analyzeMs, page.roundTripMs]) if (list.length > 300) list.shift();
}

function onState(state, text, source) {
  page.state = state;
  const badge = byId("status");
  badge.textContent = page.isPaused ? "paused" : STATES[state] ?? state;
  badge.dataset.state = page.isPaused ? "paused" : STATES[state] ?? state;
  if (source) byId("source").textContent = `${source.name}${source.width ? ` · ${source.width}×${source.height}` : ""}`;
  const button = byId("notice-button");
  button.hidden = !(state === "ended" || state === "none" || (state === "failed" && page.hasCamera));
  button.textContent = state === "ended" ? "Play again" : state === "none" ? "Use my camera" : "Try again";
  byId("notice-text").textContent = text || ({
    waiting: "Waiting for the first frame …",
    ended: "The video has ended.",
    lost: "The source was lost. Opening it again …",
    failed: "The source of the server gives no images; its terminal says why. Trying again …",
    none: "See action units, expression, valence and arousal of your own face.\nImages go to this server only, and are not kept.",
  }[state] ?? "");
}

const feedHandlers = { onFrame, onState, onRows: (text, isHeader) => recorder.addRows(text, isHeader) };

function openFeed(usesCamera) {
  page.feed?.stop();
  Object.assign(page, {
    hasCamera: usesCamera, frame: null, now: 0, selected: null, events: [], isPaused: false,
    shownAt: [], analyzeMs: [], roundTripMs: [], baselineUntil: null, usesBaseline: false,
  });
  page.histories.clear();
  press("pause", false);
  byId("source").textContent = usesCamera ? "my camera" : "";
  byId("feed").querySelector("span").textContent = usesCamera && page.model.source ? "Source" : "Camera";
  page.feed = new (usesCamera ? CameraFeed : WatchFeed)(feedHandlers);
  page.feed.start();
  if (recorder.isOn) page.feed.setRows(true);
  page.isDirty = true;
}

// Drawing: at most once per display frame, and only what is new.
function draw() {
  requestAnimationFrame(draw);
  if (!page.isDirty || !page.model) return;
  page.isDirty = false;
  const faces = page.frame?.result.faces ?? [];
  const history = page.histories.get(page.selected);
  if (page.frame) stage.draw(page.frame, page.selected);
  plane.draw(history, page.now);
  strip.draw(history, page.now, page.events);
  panel.show(faces.find((face) => face.track_id === page.selected));
  panel.showTabs(faces, page.selected);
  showReadout(history, faces);
  showBaseline();
}

const signed = (value, digits) => {
  const size = Math.abs(value).toFixed(digits);
  return `${Number(size) === 0 ? "" : value < 0 ? "−" : "+"}${size}`;
};

function showReadout(history, faces) {
  const face = faces.find((one) => one.track_id === page.selected);
  byId("strip-title").textContent = `Last 20 seconds${face && faces.length > 1 ? ` · face ${page.selected}` : ""}`;
  let text = face ? `yaw ${signed(face.pose.yaw, 0)}° · pitch ${signed(face.pose.pitch, 0)}° · roll ${signed(face.pose.roll, 0)}° · quality ${face.quality.toFixed(2)}` : "no face";
  if (strip.age !== null) {
    const cell = history?.at(page.now - strip.age);
    text = `${signed(-strip.age, 1)} s · ${cell
      ? `${cell.expression} ${Math.round(100 * cell.share)} % · valence ${signed(cell.valence, 2)} · arousal ${signed(cell.arousal, 2)} · ${cell.active.join(" ") || "no AU"}`
      : "no face"}`;
    byId("strip").setAttribute("aria-label", text);
  }
  byId("readout").textContent = text;
}

function showBaseline() {
  const button = byId("baseline");
  const left = page.baselineUntil === null ? 0 : Math.ceil(page.baselineUntil - page.now);
  if (left <= 0) page.baselineUntil = null;
  press("baseline", page.usesBaseline);
  button.querySelector("span").textContent = left > 0 ? `Neutral ${left} s` : page.usesBaseline ? "Baseline on" : "Baseline";
}

const share = (list, part) => {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
};
const milliseconds = (value) => value.toFixed(value < 10 ? 1 : 0);

function showNumbers() {
  const now = performance.now();
  while (page.shownAt.length && page.shownAt[0] < now - WINDOW_MS) page.shownAt.shift();
  if (!page.frame) return;
  const { result } = page.frame;
  const spanMs = page.shownAt.at(-1) - page.shownAt[0];
  const rate = page.shownAt.length > 1 ? 1000 * (page.shownAt.length - 1) / spanMs : page.shownAt.length;
  byId("rate").textContent = `${Math.round(rate)} fps · ${result.dropped} dropped`;
  if (page.analyzeMs.length) {
    byId("latency").textContent = `${milliseconds(share(page.analyzeMs, .5))} ms p50 · ${milliseconds(share(page.analyzeMs, .99))} ms p99`;
    byId("latency").title = `Analysis of a frame: median and 99th percentile${page.roundTripMs.length
      ? `. From camera to result: ${milliseconds(share(page.roundTripMs, .5))} and ${milliseconds(share(page.roundTripMs, .99))} ms` : ""}`;
  }
  if (page.hasCamera) byId("source").textContent = `my camera · ${result.width}×${result.height}`;
  if (recorder.isOn) byId("record").querySelector("span").textContent = `${recorder.count} rows`;
  const count = result.faces.length;
  byId("stage").setAttribute("aria-label", `Frame with ${count} face${count === 1 ? "" : "s"}`);
}

// For screen readers: says what has changed about the selected face, not more often than every 4 s.
function speak() {
  const face = page.frame?.result.faces.find((one) => one.track_id === page.selected);
  const meanings = Object.fromEntries(page.model?.action_units.map((one) => [one.name, one.meaning]) ?? []);
  const text = face ? `Face ${face.track_id}: ${face.expression}. ${face.active_aus.map((name) => meanings[name]).join(", ")}` : page.frame ? "No face" : "";
  if (byId("spoken").textContent !== text) byId("spoken").textContent = text;
}

function press(id, isPressed) {
  const text = String(isPressed);
  if (byId(id).getAttribute("aria-pressed") !== text) byId(id).setAttribute("aria-pressed", text);
}

function mark() {
  if (!page.frame) return;
  const event = { time: page.now, number: ++page.eventCount, label: "event" };
  page.events.push(event);
  recorder.addEvent(event);
  byId("spoken").textContent = `Event ${event.number} marked`;
  page.isDirty = true;
}

async function record() {
  if (recorder.isOn) {
    page.feed.setRows(false);
    press("record", false);
    byId("record").querySelector("span").textContent = "Record";
    await offerFiles(await recorder.stop());
    return;
  }
  const withVideo = await askRecording();
  if (withVideo === null) return;
  recorder.start(withVideo);
  page.feed.setRows(true);
  press("record", true);
}

function pause() {
  page.isPaused = !page.isPaused;
  page.feed.setPaused(page.isPaused);
  press("pause", page.isPaused);
  byId("pause").querySelector("span").textContent = page.isPaused ? "Resume" : "Pause";
  onState(page.state, "");
}

function baseline() {
  const isOn = !page.usesBaseline;
  page.baselineUntil = isOn ? page.now + BASELINE_S : null;
  page.feed.command("baseline", isOn);
}

function changeTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  recolor();
}

function recolor() {
  colors.read();
  for (const history of page.histories.values()) history.recolor(colors.active);
  page.isDirty = true;
}

function select(id) {
  page.selected = id;
  page.isDirty = true;
}

const ACTIONS = {
  e: mark, r: record, b: () => byId("baseline").disabled || baseline(), t: changeTheme, " ": pause,
  c: () => byId("feed").hidden || openFeed(!page.hasCamera),
};

function onKey(event) {
  const isTyping = event.target.closest("input, dialog");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !page.model) return;
  const key = event.key.toLowerCase();
  if (key === " " && event.target.closest("button, a")) return; // it presses what has the focus
  const faces = page.frame?.result.faces ?? [];
  if (/^[1-8]$/.test(key) && faces[key - 1]) select(faces[key - 1].track_id);
  else if (key in ACTIONS) { event.preventDefault(); ACTIONS[key](); }
}

// On a phone the plane stands beside the expressions, where it covers no face.
const narrow = matchMedia("(max-width: 860px)");
function placePlane() {
  const home = narrow.matches ? document.querySelector(".expression") : document.querySelector(".stage");
  home.insertBefore(document.querySelector(".inset"), narrow.matches ? byId("expressions") : byId("notice"));
  page.isDirty = true;
}

async function start() {
  let model;
  while (!model) {
    try {
      model = await logIn();
    } catch {
      onState("lost", "The server does not answer. Trying again …");
      await new Promise((resolve) => setTimeout(resolve, MODEL_RETRY_MS));
    }
  }
  page.model = model;
  colors.take(model);
  byId("engine").textContent = `${model.precision.replace("float", "fp")} · ${model.device.startsWith("cuda") ? "GPU" : "CPU"}`;
  byId("baseline").disabled = !model.has_neutral_baseline;
  panel = new Panel(model, colors, select);
  strip = new Strip(byId("strip"), colors, unitNames(), () => { page.isDirty = true; });
  for (const [id, action] of [["mark", mark], ["record", record], ["pause", pause], ["baseline", baseline], ["theme", changeTheme]]) byId(id).addEventListener("click", action);
  byId("feed").addEventListener("click", () => openFeed(!page.hasCamera));
  byId("notice-button").addEventListener("click", () => {
    if (page.state === "ended") page.feed.command("replay");
    else openFeed(true);
  });
  narrow.addEventListener("change", placePlane);
  placePlane();
  addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", () => { // a hidden page costs nothing
    if (!page.isPaused && !recorder.isOn) page.feed.setPaused(document.hidden);
  });
  addEventListener("resize", () => { page.isDirty = true; });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
  byId("feed").hidden = !model.source;
  if (model.source) openFeed(false);
  else { page.feed = new CameraFeed(feedHandlers); onState("none", ""); page.isDirty = true; }
  setInterval(showNumbers, 500);
  setInterval(speak, SPEAK_MS);
  requestAnimationFrame(draw);
}

start();
