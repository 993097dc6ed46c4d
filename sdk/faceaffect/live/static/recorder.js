// Keeps rows, events and, only if asked, the shown video in this browser until they are saved.
const VIDEO_TYPES = ["video/webm", "video/mp4"];
const counted = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const csv = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export class Recorder {
  constructor(canvas) {
    this.canvas = canvas;
    this.isOn = false;
  }
  start(withVideo) {
    Object.assign(this, { isOn: true, header: "", rows: [], events: [], count: 0, chunks: [], media: null });
    this.name = `faceaffect_${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}`;
    if (!withVideo) return;
    const mimeType = VIDEO_TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    this.media = new MediaRecorder(this.canvas.captureStream(30), { mimeType });
    this.media.ondataavailable = (event) => this.chunks.push(event.data);
    this.media.start(1000);
  }
  addRows(text, isHeader) {
    if (!this.isOn) return;
    if (isHeader) { this.header ||= text; return; }
    this.rows.push(text);
    this.count += text.split("\n").length - 1;
  }
  addEvent(event) {
    if (this.isOn) this.events.push(event);
  }
  // Ends the recording; returns [name, what it holds, blob] of each file.
  async stop() {
    this.isOn = false;
    if (this.media) {
      const ended = new Promise((resolve) => { this.media.onstop = resolve; });
      this.media.stop();
      await ended;
      this.media.stream.getTracks().forEach((track) => track.stop());
    }
    const text = { type: "text/csv" };
    const files = [[`${this.name}.csv`, counted(this.count, "row"), new Blob([this.header, ...this.rows], text)]];
    if (this.events.length) {
      const lines = this.events.map((one) => `${one.time.toFixed(6)},${one.number},${csv(one.label)}\n`);
      files.push([`${this.name}_events.csv`, counted(this.events.length, "event"), new Blob(["time_s,number,label\n", ...lines], text)]);
    }
    if (this.chunks.length) {
      const blob = new Blob(this.chunks, { type: this.media.mimeType });
      files.push([`${this.name}.${blob.type.includes("mp4") ? "mp4" : "webm"}`, blob.size < 1e6 ? `${Math.ceil(blob.size / 1e3)} kB` : `${(blob.size / 1e6).toFixed(1)} MB`, blob]);
    }
    return files;
  }
}
