"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const X_AXIS_PX = 28;
  const axisPx = (width) => (width > 640 ? 164 : 48); // with or without names of action units
  const HEIGHTS_PX = { va: 190, expression: 56, aus: 232, pose: 150, quality: 90 };
  const SHORT_FRACTION = 0.15; // of a video: shorter tracks are shown from their first to their last frame
  const TIME_STEPS_S = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000];
  const VALUE_STEPS = 10000, ANGLE_STEPS = 100, BYTE_STEPS = 250, NO_INT = -32768, NO_BYTE = 255;
  const MINUS = "\u2212";
  const shown = [];
  let colors = {};

  // ---- colors: those of the style sheet, as the reader's light or dark mode resolves them
  function readColors() {
    const probe = document.body.appendChild(document.createElement("i"));
    const names = ["text", "text-muted", "edge", "edge-strong", "card", "raised", "valence", "arousal", "active"];
    for (const name of names) {
      probe.style.color = `var(--${name})`;
      colors[name] = getComputedStyle(probe).color;
    }
    probe.remove();
  }
  const fade = (color, alpha) => {
    const part = color.match(/[\d.]+/g);
    return `rgba(${part[0]},${part[1]},${part[2]},${alpha})`;
  };

  // ---- data: base64 of little-endian numbers
  function unpack(text, Type) {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    return new Type(bytes.buffer);
  }
  const scaled = (text, Type, steps, unknown) =>
    Array.from(unpack(text, Type), (value) => (value === unknown ? null : value / steps));

  function unpackTrack(packed) {
    const track = { id: packed.id, gap: packed.gap_s, bin: packed.bin_s, moments: packed.moments };
    track.time = Array.from(unpack(packed.time, Float32Array));
    for (const name of ["valence", "arousal"])
      for (const end of ["", "_low", "_high"])
        track[name + end] = scaled(packed[name + end], Int16Array, VALUE_STEPS, NO_INT);
    for (const name of ["yaw_deg", "pitch_deg", "roll_deg"])
      track[name] = scaled(packed[name], Int16Array, ANGLE_STEPS, NO_INT);
    track.quality = scaled(packed.quality, Uint8Array, BYTE_STEPS, NO_BYTE);
    track.expression = unpack(packed.expression, Uint8Array);
    track.au = unpack(packed.au, Uint8Array);
    track.auOn = unpack(packed.au_on, Uint8Array);
    return track;
  }

  // Lines are interrupted where the face was not seen: a step without values is put into each gap.
  function withGaps(track, columns) {
    const out = [[], ...columns.map(() => [])];
    track.time.forEach((time, k) => {
      if (k && time - track.time[k - 1] > track.gap) {
        out[0].push((time + track.time[k - 1]) / 2);
        columns.forEach((_, c) => out[c + 1].push(null));
      }
      out[0].push(time);
      columns.forEach((column, c) => out[c + 1].push(column[k]));
    });
    return out;
  }

  function nearest(track, time) {
    let low = 0, high = track.time.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (track.time[middle] <= time) low = middle; else high = middle;
    }
    const k = Math.abs(track.time[high] - time) < Math.abs(track.time[low] - time) ? high : low;
    return Math.abs(track.time[k] - time) <= track.gap / 2 + track.bin ? k : -1;
  }

  // ---- texts
  function clock(time, longest, decimals) {
    if (longest < 60) return time.toFixed(decimals ?? 1);
    const seconds = Math.floor(time), two = (value) => String(value).padStart(2, "0");
    const rest = decimals ? (time - seconds).toFixed(decimals).slice(1) : "";
    const minutes = Math.floor(seconds / 60);
    if (longest < 3600) return `${minutes}:${two(seconds % 60)}${rest}`;
    return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}${rest}`;
  }
  const signed = (value, digits) =>
    value === null ? "\u2013" : value === 0 ? "0" : `${value < 0 ? MINUS : "+"}${Math.abs(value).toFixed(digits)}`;

  function canvasContext(canvas, height) {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    return [context, width];
  }

  class Section {
    constructor(element) {
      this.element = element;
      this.data = data.sections[Number(element.dataset.index)];
      this.video = element.querySelector("video");
      this.plane = element.querySelector(".plane");
      this.presence = element.querySelector(".presence");
      this.readout = element.querySelector(".readout");
      this.hint = this.readout?.textContent;
      this.tracks = this.data.tracks.map(() => null);
      this.charts = [];
      this.cursorTime = null;
      for (const tab of element.querySelectorAll("[data-track]"))
        tab.addEventListener("click", () => this.choose(Number(tab.dataset.track)));
      for (const details of element.querySelectorAll("details"))
        details.addEventListener("toggle", () => this.choose(this.chosen, true));
      this.presence?.addEventListener("click", (event) => this.pick(event));
      if (this.video) this.followVideo();
      new ResizeObserver(() => this.resize()).observe(element);
      if (this.data.tracks.length) this.choose(0);
      this.draw();
    }

    get track() { return this.tracks[this.chosen]; }

    choose(index, keepZoom) {
      const zoom = keepZoom && this.charts.length ? { ...this.charts[0].scales.x } : null;
      this.chosen = index;
      this.tracks[index] ??= unpackTrack(this.data.tracks[index]);
      for (const tab of this.element.querySelectorAll("[data-track]"))
        tab.setAttribute("aria-selected", String(Number(tab.dataset.track) === index));
      for (const chart of this.charts) chart.destroy();
      this.charts = [];
      for (const place of this.element.querySelectorAll(".chart"))
        if (place.clientWidth && !place.closest("details:not([open])")) this.charts.push(this.makeChart(place));
      const { time, bin } = this.track, first = time[0] - bin / 2, last = time[time.length - 1] + bin / 2;
      const margin = 0.1 * Math.max(last - first, 0.1);
      if (zoom) this.zoom(zoom.min, zoom.max);
      else if (last - first < SHORT_FRACTION * (this.data.end - this.data.start)) this.zoom(first - margin, last + margin);
      this.listMoments();
      this.show(null);
      this.drawPlane();
    }

    makeChart(place) {
      const track = this.track, kind = place.dataset.kind, section = this;
      const line = (label, color, width) => ({ label, stroke: () => colors[color] ?? color, width, points: { show: track.time.length < 3 } });
      const edge = () => ({ stroke: "transparent", width: 0, points: { show: false } });
      const band = (high, low, color) => ({ series: [high, low], fill: () => fade(colors[color], 0.22) });
      const kinds = {
        va: () => ({
          columns: ["valence", "arousal", "valence_high", "valence_low", "arousal_high", "arousal_low"].map((name) => track[name]),
          series: [line("valence", "valence", 2), line("arousal", "arousal", 2), edge(), edge(), edge(), edge()],
          bands: [band(3, 4, "valence"), band(5, 6, "arousal")],
          range: [-1, 1], splits: [-1, -0.5, 0, 0.5, 1], format: (value) => signed(value, 1),
        }),
        pose: () => ({
          columns: [track.yaw_deg, track.pitch_deg, track.roll_deg],
          series: [line("yaw", "valence", 1.5), line("pitch", "active", 1.5), line("roll", "arousal", 1.5)],
          range: null, format: (value) => `${signed(value, 0)}\u00b0`,
        }),
        quality: () => ({ columns: [track.quality], series: [line("quality", "text-muted", 1.5)], range: [0, 1], splits: [0, 0.5, 1], format: (value) => value.toFixed(1) }),
        expression: () => ({ columns: [track.time.map(() => null)], series: [edge()], range: [0, 1], splits: [], paint: (u) => section.paintExpression(u) }),
        aus: () => ({
          columns: [track.time.map(() => null)], series: [edge()], range: [0, 12],
          splits: data.aus.map((_, k) => 11.5 - k), format: (value) => {
            const au = Math.round(11.5 - value);
            return place.clientWidth > 640 ? `${data.meanings[au]}  ${data.aus[au]}` : data.aus[au];
          },
          paint: (u) => section.paintAus(u),
        }),
      };
      const one = kinds[kind]();
      const isStrip = Boolean(one.paint);
      const font = "11px " + getComputedStyle(document.body).fontFamily;
      const axis = { stroke: () => colors["text-muted"], font, ticks: { show: false }, grid: { show: !isStrip, stroke: () => colors.edge, width: 1 } };
      const options = {
        width: place.clientWidth, height: HEIGHTS_PX[kind], padding: [6, 8, 0, 0],
        scales: { x: { time: false, range: (u, low, high) => (low === null ? [section.data.start, section.data.end] : [low, high]) }, y: { range: one.range ? () => one.range : undefined } },
        axes: [
          { ...axis, grid: { ...axis.grid, show: true }, size: X_AXIS_PX, space: 64, incrs: TIME_STEPS_S, values: (u, values) => values.map((value) => clock(value, section.data.end, values[1] - values[0] < 1 ? 1 : 0) + (section.data.end < 60 ? " s" : "")) },
          { ...axis, size: axisPx(place.clientWidth), splits: one.splits && (() => one.splits), values: one.format && ((u, values) => values.map(one.format)) },
        ],
        series: [{}, ...one.series], bands: one.bands,
        cursor: { sync: { key: this.element.id, setSeries: false }, drag: { x: true, y: false }, points: { show: !isStrip, size: 7 }, y: false },
        hooks: {
          drawClear: [(u) => section.paintGaps(u)],
          draw: isStrip ? [one.paint] : [],
          setCursor: [(u) => u.cursor.left >= 0 && u.over.matches(":hover") && section.show(u.posToVal(u.cursor.left, "x"))],
          setScale: [(u, key) => key === "x" && section.zoom(u.scales.x.min, u.scales.x.max, u)],
        },
      };
      const chart = new uPlot(options, withGaps(track, one.columns), place);
      const whole = { min: this.data.start, max: Math.max(this.data.end, this.data.start + 0.01) };
      chart.setScale("x", whole);
      chart.over.addEventListener("dblclick", () => this.zoom(whole.min, whole.max));
      chart.over.addEventListener("click", () => this.seek(chart.posToVal(chart.cursor.left, "x"), true));
      place.tabIndex = 0;
      place.onkeydown = (event) => this.step(event);
      return chart;
    }

    zoom(min, max, from) {
      if (this.isZooming || min === null) return;
      this.isZooming = true;
      for (const chart of this.charts)
        if (chart !== from && (chart.scales.x.min !== min || chart.scales.x.max !== max)) chart.setScale("x", { min, max });
      this.isZooming = false;
    }

    step(event) {
      const sign = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!sign) return;
      event.preventDefault();
      const { min, max } = this.charts[0].scales.x;
      const size = event.shiftKey ? (max - min) / 20 : Math.max(this.track.bin, (max - min) / 500);
      this.seek(Math.min(max, Math.max(min, (this.cursorTime ?? min) + sign * size)));
    }

    seek(time, isPointer) {
      if (this.video) this.video.currentTime = time;
      if (!isPointer) this.point(time);
      this.show(time);
    }

    point(time) {
      for (const chart of this.charts)
        chart.setCursor({ left: chart.valToPos(time, "x"), top: 0 }, false);
    }

    show(time) {
      this.cursorTime = time;
      if (this.readout) this.readout.innerHTML = time === null ? "" : this.describe(time);
      if (this.readout && time === null) this.readout.textContent = this.hint;
      this.drawPlane();
    }

    describe(time) {
      const track = this.track, k = nearest(track, time), at = `<b>${clock(time, this.data.end, 2)}</b>`;
      if (k < 0) return `${at} \u00b7 the face is not seen`;
      const parts = [at];
      if (track.expression[k] !== NO_BYTE) parts.push(data.expressions[track.expression[k]]);
      if (track.valence[k] !== null) parts.push(`valence ${signed(track.valence[k], 2)}, arousal ${signed(track.arousal[k], 2)}`);
      const active = data.aus.flatMap((name, au) => (isActive(track, k, au) ? [`<b>${name}</b> ${data.meanings[au]} ${(track.au[12 * k + au] / BYTE_STEPS).toFixed(2)}`] : []));
      parts.push(active.join(", ") || "no active unit");
      return parts.join(" \u00b7 ");
    }

    // ---- painting into charts, in device pixels
    bins(u, paint) {
      const track = this.track, left = u.bbox.left, right = left + u.bbox.width;
      const x = (time) => Math.round(u.valToPos(time, "x", true));
      let group = []; // bins that share a pixel
      track.time.forEach((time, k) => {
        const next = track.time[k + 1];
        const isJoined = next !== undefined && next - time <= track.gap;
        const from = Math.max(left, x(k && time - track.time[k - 1] <= track.gap ? (time + track.time[k - 1]) / 2 : time - track.bin / 2));
        const to = Math.min(right, x(isJoined ? (time + next) / 2 : time + track.bin / 2));
        if (to < left || from > right) return;
        group.push(k);
        if (to <= from && isJoined && x(next) <= from) return;
        paint(group, from, Math.max(to - from, 1));
        group = [];
      });
    }

    paintGaps(u) {
      const { time, gap, bin } = this.track, context = u.ctx;
      const edges = [this.data.start - gap, ...time, this.data.end + gap];
      context.save();
      context.beginPath();
      context.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
      context.clip();
      context.strokeStyle = colors["edge-strong"];
      context.lineWidth = devicePixelRatio;
      for (let k = 0; k + 1 < edges.length; k++) {
        if (edges[k + 1] - edges[k] <= 1.01 * gap) continue;
        const from = Math.max(u.bbox.left, u.valToPos(edges[k] + bin / 2, "x", true));
        const to = Math.min(u.bbox.left + u.bbox.width, u.valToPos(edges[k + 1] - bin / 2, "x", true));
        if (to - from < 1) continue;
        context.save();
        context.beginPath();
        context.rect(from, u.bbox.top, to - from, u.bbox.height);
        context.clip();
        context.beginPath();
        const step = 7 * devicePixelRatio, height = u.bbox.height;
        for (let x = from - (from % step) - height; x < to; x += step) {
          context.moveTo(x, u.bbox.top + height);
          context.lineTo(x + height, u.bbox.top);
        }
        context.stroke();
        context.restore();
      }
      context.restore();
    }

    paintExpression(u) {
      this.bins(u, (group, x, width) => {
        const index = this.track.expression[group[group.length >> 1]];
        if (index === NO_BYTE) return;
        u.ctx.fillStyle = data.colors[index];
        u.ctx.fillRect(x, u.bbox.top, width, u.bbox.height);
      });
    }

    paintAus(u) {
      const track = this.track, row = u.bbox.height / 12, pad = Math.max(1, row * 0.12);
      u.ctx.fillStyle = colors.raised;
      for (let au = 0; au < 12; au++) u.ctx.fillRect(u.bbox.left, u.bbox.top + au * row + pad, u.bbox.width, row - 2 * pad);
      this.paintGaps(u);
      const shades = new Map();
      this.bins(u, (group, x, width) => {
        for (let au = 0; au < 12; au++) {
          let alpha = 0;
          for (const k of group) {
            const value = track.au[12 * k + au] === NO_BYTE ? 0 : track.au[12 * k + au] / BYTE_STEPS;
            alpha = Math.max(alpha, isActive(track, k, au) ? 0.45 + 0.55 * value : 0.3 * value);
          }
          const step = Math.round(alpha * 40);
          if (!step) continue;
          if (!shades.has(step)) shades.set(step, fade(colors.active, step / 40));
          u.ctx.fillStyle = shades.get(step);
          u.ctx.fillRect(x, u.bbox.top + au * row + pad, width, row - 2 * pad);
        }
      });
    }

    // ---- the plane of valence and arousal
    drawPlane() {
      if (!this.plane?.clientWidth) return;
      const side = this.plane.clientWidth, [context] = canvasContext(this.plane, side);
      const place = (value, isUp) => side / 2 + ((isUp ? -value : value) * (side - 16)) / 2;
      context.fillStyle = colors.raised;
      context.fillRect(0, 0, side, side);
      context.fillStyle = colors["edge-strong"];
      context.fillRect(side / 2, 8, 1, side - 16);
      context.fillRect(8, side / 2, side - 16, 1);
      context.font = "11px " + getComputedStyle(document.body).fontFamily;
      context.fillStyle = colors["text-muted"];
      for (const [text, x, y, align] of [["tense", 8, 18, "left"], ["excited", side - 8, 18, "right"], ["sad", 8, side - 8, "left"], ["calm", side - 8, side - 8, "right"], ["valence \u2192", side - 8, side / 2 - 6, "right"], ["arousal \u2191", side / 2 + 6, 18, "left"]]) {
        context.textAlign = align;
        context.fillText(text, x, y);
      }
      const track = this.data.tracks.length ? this.track : null;
      const points = track ? track.time.map((_, k) => [track.valence[k], track.arousal[k], track.expression[k]]) : this.data.points;
      context.globalAlpha = points.length > 300 ? 0.45 : 0.8;
      const radius = points.length > 300 ? 2 : 3;
      for (const [valence, arousal, expression] of points) {
        if (valence === null || arousal === null) continue;
        context.fillStyle = data.colors[expression] ?? colors["text-muted"];
        context.beginPath();
        context.arc(place(valence), place(arousal, true), radius, 0, 7);
        context.fill();
      }
      context.globalAlpha = 1;
      const k = track && this.cursorTime !== null ? nearest(track, this.cursorTime) : -1;
      if (k < 0 || track.valence[k] === null) return;
      context.beginPath();
      context.arc(place(track.valence[k]), place(track.arousal[k], true), 6, 0, 7);
      context.fillStyle = colors.active;
      context.fill();
      context.lineWidth = 2;
      context.strokeStyle = colors.card;
      context.stroke();
    }

    // ---- a bar for each track, packed into lanes
    drawPresence() {
      if (!this.presence?.clientWidth) return;
      const spans = this.data.presence, ends = [];
      const pad = (this.data.end - this.data.start) / 400;
      this.lanes = spans.map(([first, last]) => {
        let lane = ends.findIndex((end) => end + pad < first);
        if (lane < 0) lane = ends.length;
        ends[lane] = last;
        return lane;
      });
      const step = Math.max(2, Math.min(16, 320 / ends.length));
      this.laneStep = step;
      const [context, width] = canvasContext(this.presence, Math.ceil(step * ends.length) + 2);
      const axis = this.charts.length ? axisPx(this.charts[0].width) : 8;
      const right = this.presence.clientWidth - (this.charts[0]?.width ?? width) + 8;
      const scale = (width - axis - right) / Math.max(this.data.end - this.data.start, 1e-6);
      this.presenceX = (time) => axis + (time - this.data.start) * scale;
      const plotted = new Set(this.data.tracks.map((track) => track.id));
      context.font = "10px " + getComputedStyle(document.body).fontFamily;
      context.textBaseline = "middle";
      spans.forEach(([first, last, id], k) => {
        const x = this.presenceX(first), y = this.lanes[k] * step + 1, size = Math.max(1.5, this.presenceX(last) - x);
        const isChosen = id === this.track?.id;
        context.fillStyle = isChosen ? colors.active : plotted.has(id) ? colors.valence : colors["edge-strong"];
        context.fillRect(x, y, size, Math.max(1, step - 2));
        if (step < 12 || size < 24) return;
        context.fillStyle = colors.card;
        context.fillText(String(id), x + 4, y + step / 2 - 0.5);
      });
    }

    pick(event) {
      const lane = Math.floor((event.offsetY - 1) / this.laneStep);
      const found = this.data.presence.find(([first, last], k) => this.lanes[k] === lane && event.offsetX >= this.presenceX(first) - 2 && event.offsetX <= this.presenceX(last) + 2);
      const index = found ? this.data.tracks.findIndex((track) => track.id === found[2]) : -1;
      if (index >= 0) { this.choose(index); this.drawPresence(); }
    }

    listMoments() {
      const list = this.element.querySelector(".moments");
      list.replaceChildren(...this.track.moments.map(([start, end, label]) => {
        const item = document.createElement("li"), button = document.createElement("button");
        const time = document.createElement("time"), text = document.createElement("span");
        const digits = this.data.end < 60 ? 1 : 0;
        time.textContent = clock(Math.max(start, 0), this.data.end, digits) + (end > start ? `\u2013${clock(end, this.data.end, digits)}` : "");
        text.textContent = label;
        button.type = "button";
        button.append(time, text);
        button.addEventListener("click", () => this.seek(Math.max(start, this.data.start)));
        item.append(button);
        return item;
      }));
    }

    followVideo() {
      const follow = () => {
        this.point(this.video.currentTime);
        this.show(this.video.currentTime);
        if (!this.video.paused) requestAnimationFrame(follow);
      };
      this.video.addEventListener("play", follow);
    }

    resize() {
      for (const chart of this.charts) {
        const place = chart.root.parentElement;
        if (place.clientWidth && place.clientWidth !== chart.width) chart.setSize({ width: place.clientWidth, height: chart.height });
      }
      this.drawPlane();
      this.drawPresence();
    }

    draw() {
      for (const chart of this.charts) chart.redraw(false, true);
      this.drawPlane();
      this.drawPresence();
    }
  }

  const isActive = (track, k, au) => track.auOn[12 * k + au] >= BYTE_STEPS / 2 && track.auOn[12 * k + au] !== NO_BYTE;

  // ---- sections are made when they are near the screen, or when the page is printed
  const open = (element) => {
    if (element.section) return;
    element.section = new Section(element);
    shown.push(element.section);
  };
  const repaint = () => { readColors(); for (const section of shown) section.draw(); };
  const sections = [...document.querySelectorAll(".source")];
  readColors();
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { observer.unobserve(entry.target); open(entry.target); }
  }, { rootMargin: "600px" });
  for (const element of sections) observer.observe(element);
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme").addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    root.dataset.theme = isDark ? "light" : "dark";
    repaint();
  });
  dark.addEventListener("change", repaint);
  const print = matchMedia("print");
  let screenTheme;
  const toPaper = (isPaper) => {
    if (isPaper) {
      screenTheme = root.dataset.theme;
      root.dataset.theme = "light";
      sections.forEach(open);
    } else if (screenTheme) root.dataset.theme = screenTheme; else delete root.dataset.theme;
    repaint();
    for (const section of shown) section.resize();
  };
  print.addEventListener("change", (event) => toPaper(event.matches));
  if (print.matches) toPaper(true);
  window.addEventListener("beforeprint", () => print.matches || toPaper(true));
  window.addEventListener("afterprint", () => toPaper(false));
})();
