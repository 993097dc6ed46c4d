// Client of a faceaffect server, for its own pages, and for Node 22 where the server has no token.
export class FaceAffect {
  constructor(address = globalThis.location?.origin, token = "") {
    this.address = address.replace(/\/$/, "");
    this.headers = token ? { authorization: `Bearer ${token}` } : {};
  }
  async request(path, options = {}) {
    const headers = { ...this.headers, ...options.headers };
    const answer = await fetch(this.address + path, { ...options, headers });
    const isJson = answer.headers.get("content-type")?.startsWith("application/json");
    const content = isJson ? await answer.json() : await answer.text();
    if (!answer.ok) throw Object.assign(new Error(content.message ?? content), { status: answer.status });
    return content;
  }
  model() { return this.request("/v1/model"); }
  login() { return this.request("/v1/session", { method: "POST" }); } // a cookie for WebSockets
  async images(...blobs) { // results of JPEG, PNG or WebP blobs, in their order
    const form = new FormData();
    blobs.forEach((blob, index) => form.append("file", blob, `${index}`));
    return (await this.request("/v1/images", { method: "POST", body: form })).images;
  }
  // Opens a stream: `onMessage` gets hello, result, error and done; frames may be sent after hello.
  stream(onMessage, onClose = () => {}, policy = "newest") {
    const socket = new WebSocket(`${this.address.replace(/^http/, "ws")}/v1/stream?policy=${policy}`);
    socket.onmessage = (event) => onMessage(JSON.parse(event.data));
    socket.onclose = onClose;
    return {
      send(blob, header = {}) { // header: { id, time_s }, and for raw pixels { width, height, pixel_format }
        const text = new TextEncoder().encode(JSON.stringify(header));
        const length = new Uint8Array(new Uint32Array([text.length]).buffer);
        socket.send(new Blob(["FAF1", length, text, blob]));
      },
      command(type, on = true) { socket.send(JSON.stringify({ type, on })); }, // reset, baseline, rows
      get isOpen() { return socket.readyState === WebSocket.OPEN; },
      close() { socket.onclose = null; socket.close(); },
    };
  }
}
