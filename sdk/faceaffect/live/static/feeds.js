// Where frames and results come from: the source of the server, or the camera of this browser.
// A feed calls onFrame({ result, image, isMirrored }), onRows(text, isHeader) and
// onState(name, text), and connects again by itself.
import { FaceAffect } from "./client.js";

const RETRY_MS = [300, 600, 1200, 2500, 5000];
const LENGTH_BYTES = 4;
const NO_SOURCE = 4004;
const MAX_WIDTH = 640;
const JPEG_QUALITY = 0.85;
const STALL_MS = 3000;

class Feed {
  constructor(handlers) {
    Object.assign(this, handlers);
    this.attempt = 0;
    this.isStopped = false;
    this.isPaused = false;
    this.takesRows = false;
  }
  lost() {
    if (this.isStopped) return;
    this.isLost = this.isPaused; // the server closes streams that are silent: connect on resuming
    if (this.isLost) return;
    this.onState("lost", "The connection was lost. Connecting again …");
    const wait = RETRY_MS[Math.min(this.attempt, RETRY_MS.length - 1)];
    this.attempt += 1;
    this.timer = setTimeout(() => this.connect(), wait);
  }
  connected() {
    this.attempt = 0;
    if (this.takesRows) this.command("rows", true);
  }
  setRows(isOn) {
    this.takesRows = isOn;
    this.command("rows", isOn);
  }
  done(message) {
    if (message.of === "rows" && message.on) this.onRows(message.header, true);
  }
}

// Images and results of the server's source, over /v1/watch.
export class WatchFeed extends Feed {
  start() { this.connect(); }
  connect() {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/watch`);
    this.socket = socket;
    this.owed = 0;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.connected();
    socket.onmessage = (event) => this.received(event.data);
    socket.onclose = (event) => {
      if (event.code === NO_SOURCE) this.onState("none", "");
      else this.lost();
    };
  }
  async received(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.type === "state") this.onState(message.source.state, "", message.source);
      else this.done(message);
      return;
    }
    const length = new DataView(data).getUint32(0, true);
    const text = new TextDecoder().decode(new Uint8Array(data, LENGTH_BYTES, length));
    const message = JSON.parse(text);
    const jpeg = new Uint8Array(data, LENGTH_BYTES + length);
    if (message.rows) this.onRows(message.rows, false);
    if (message.type === "state") this.onState(message.source.state, "", message.source);
    else if (!this.isPaused && jpeg.length) {
      const image = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })).catch(() => null);
      if (image && !this.isStopped) this.onFrame({ result: message, image, isMirrored: false });
    }
    // While paused the rows of a recording still arrive; without one the server waits.
    if (this.isPaused && !this.takesRows) this.owed += 1;
    else this.acknowledge();
  }
  acknowledge() {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send('{"type":"ack"}');
  }
  setPaused(isPaused) {
    this.isPaused = isPaused;
    if (!isPaused && this.isLost) { this.isLost = false; this.connect(); return; }
    for (; !isPaused && this.owed > 0; this.owed -= 1) this.acknowledge();
  }
  command(type, on = true) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type, on }));
  }
  stop() {
    this.isStopped = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }
}

// The camera of this browser: JPEG over /v1/stream, one frame in flight, always the newest.
export class CameraFeed extends Feed {
  async start() {
    this.client = new FaceAffect();
    if (!navigator.mediaDevices?.getUserMedia) {
      this.onState("failed", "Browsers give a page the camera only over https or on this machine (localhost).");
      return;
    }
    this.onState("asking", "Allow this page to use the camera …");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30 } },
        audio: false,
      });
    } catch (error) {
      this.onState("failed", error.name === "NotAllowedError"
        ? "The browser was told not to give this page the camera."
        : `The camera cannot be opened (${error.message}).`);
      return;
    }
    if (this.isStopped) { this.stopCamera(); return; }
    this.video = document.createElement("video");
    Object.assign(this.video, { muted: true, playsInline: true, srcObject: this.stream });
    await this.video.play();
    this.startedMs = performance.now();
    this.count = 0;
    this.connect();
  }
  connect() {
    this.pending = null;
    this.link = this.client.stream((message) => this.received(message), () => this.lost());
  }
  received(message) {
    if (message.type === "hello") {
      this.connected();
      this.onState("playing", "");
      this.capture();
    } else if (message.type === "result") {
      const { pending } = this;
      if (message.rows) this.onRows(message.rows, false);
      if (pending?.id === message.id) {
        const roundTripMs = performance.now() - pending.sentMs;
        this.pending = null;
        this.onFrame({ result: message, image: pending.image, isMirrored: true, roundTripMs });
      }
      this.capture();
    } else if (message.type === "error") {
      if (message.code === "busy") this.onState("busy", "All streams of the server are taken. Trying again …");
      this.pending = null;
      setTimeout(() => this.capture(), 200);
    } else this.done(message);
  }
  capture() {
    if (!this.video || this.isStopped || this.isPaused || this.pending || this.isWaiting) return;
    this.isWaiting = true;
    const next = () => { this.isWaiting = false; this.send(); };
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }
  async send() {
    const { videoWidth, videoHeight } = this.video;
    if (this.isStopped || this.isPaused || this.pending || !this.link.isOpen || !videoWidth) {
      if (!this.isStopped && !this.isPaused && !this.pending) setTimeout(() => this.capture(), 100);
      return;
    }
    const scale = Math.min(1, MAX_WIDTH / videoWidth);
    const canvas = new OffscreenCanvas(Math.round(videoWidth * scale), Math.round(videoHeight * scale));
    canvas.getContext("2d").drawImage(this.video, 0, 0, canvas.width, canvas.height);
    const sentMs = performance.now();
    const id = this.count++;
    this.pending = { id, sentMs, image: canvas };
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
    if (this.isStopped || this.pending?.id !== id || !this.link.isOpen) return;
    this.link.send(blob, { id, time_s: (sentMs - this.startedMs) / 1000 });
    setTimeout(() => { // an answer that never comes must not stop the stream
      if (this.pending?.id === id) { this.pending = null; this.capture(); }
    }, STALL_MS);
  }
  setPaused(isPaused) {
    this.isPaused = isPaused;
    if (isPaused) return;
    if (this.isLost) { this.isLost = false; this.connect(); } else this.capture();
  }
  command(type, on = true) {
    if (this.link?.isOpen) this.link.command(type, on);
  }
  stopCamera() { this.stream?.getTracks().forEach((track) => track.stop()); }
  stop() {
    this.isStopped = true;
    clearTimeout(this.timer);
    this.link?.close();
    this.stopCamera();
  }
}
