"""Analyzes the server's own camera, file or stream once, for everybody who watches."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from asyncio import AbstractEventLoop, Event
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from faceaffect.errors import FaceAffectError
from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.live.metrics import Metrics
from faceaffect.live.pipeline_pool import Analyzed, PipelinePool
from faceaffect.live.results import FrameResult, SourceResult, face_results, source_label
from faceaffect.live.settings import LiveSettings
from faceaffect.sinks.columns import rows_for_frame
from faceaffect.sinks.row_formats import CsvFormat
from faceaffect.sources.open_source import is_live, open_source, split_scheme
from faceaffect.sources.source import Source, SourceError
from faceaffect.system.import_opencv import import_opencv
from faceaffect.types import Frame

log = logging.getLogger("faceaffect")

JPEG_QUALITY: Final = 82
MAX_SHOWN_PX: Final = 1280
MAX_HELD_ROWS: Final = 18_000
"""Frames whose rows are held for a viewer: ten minutes at 30 frames per second."""
_LATE_S: Final = 0.1
_IMAGE_S: Final = 1.0
_RETRY_S: Final = 3.0
_POLL_S: Final = 0.2
_KIND: Final = "source"
_CSV: Final = CsvFormat()


class LateViewerError(FaceAffectError, RuntimeError):
    """A viewer that asked for all rows and takes none."""


@dataclass(frozen=True, slots=True)
class Message:
    """A result as JSON, its rows as CSV, and the JPEG image if somebody watches."""

    text: str
    rows: str
    image: bytes


class Viewer:
    """Somebody who watches: the newest message, and all rows since the last one taken.

    All but `takes_images` and `is_waiting` belongs to the event loop.
    """

    def __init__(self, takes_images: bool) -> None:
        """Watch with or without images."""
        self.takes_images = takes_images
        self.takes_rows = False
        self.is_waiting = True
        self.dropped = 0
        self._newest: Message | None = None
        self._rows: list[str] = []
        self._is_late = False
        self._changed = Event()

    def offer(self, message: Message) -> None:
        """Replace the message that waits."""
        self.dropped += self._newest is not None
        if self.takes_rows and not self._is_late:
            self._rows.append(message.rows)
            self._is_late = len(self._rows) > MAX_HELD_ROWS
        self._newest = message
        self.is_waiting = False
        self._changed.set()

    async def take(self) -> tuple[Message, str]:
        """Wait for a message; return it with the rows of it and of those that it replaced.

        Raises:
            LateViewerError: It takes no messages, and the rows for it have become too many.
        """
        while self._newest is None:
            self._changed.clear()
            await self._changed.wait()
        if self._is_late:
            raise LateViewerError(f"expected to be read, {MAX_HELD_ROWS} frames wait")
        message, self._newest = self._newest, None
        rows, self._rows = "".join(self._rows), []
        self.is_waiting = True
        return message, rows


class SourceRunner:
    """The thread that reads and analyzes the source.

    A file is played at its own speed while somebody watches; a camera or stream that is lost is
    opened again.
    """

    def __init__(self, settings: LiveSettings, pool: PipelinePool, metrics: Metrics) -> None:
        """Prepare for `settings.source`; `start` begins.

        Raises:
            SourceError: A file cannot be opened. Cameras and streams may come later.
        """
        self._settings = settings
        self._pool = pool
        self._metrics = metrics
        self._uri = settings.source or ""
        if _is_file(self._uri):
            open_source(self._uri, settings.source_options).close()
        self._stop = threading.Event()
        self._watched = threading.Event()
        self._viewers: tuple[Viewer, ...] = ()
        self._commands: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="faceaffect-source", daemon=True)
        self._loop: AbstractEventLoop | None = None
        self._pipeline = pool.open()
        self._count = 0
        self._dropped = 0
        self._time_s = 0.0
        self.has_baseline = False
        self.state: SourceResult = {
            "name": source_label(self._uri),
            "is_live": False,
            "width": 0,
            "height": 0,
            "fps": None,
            "state": "waiting",
        }

    def start(self, loop: AbstractEventLoop) -> None:
        """Start the thread; viewers live in `loop`."""
        self._loop = loop
        self._thread.start()

    def close(self) -> None:
        """Stop reading, and wait for the thread."""
        self._stop.set()
        self._watched.set()
        if self._thread.ident is not None:
            self._thread.join(10)
        self._pipeline.close()

    def add(self, viewer: Viewer) -> None:
        """Let a viewer watch; in the event loop."""
        self._viewers = (*self._viewers, viewer)
        self._watched.set()

    def remove(self, viewer: Viewer) -> None:
        """Send nothing more to a viewer; in the event loop."""
        self._viewers = tuple(one for one in self._viewers if one is not viewer)

    @property
    def viewers(self) -> int:
        """Number of viewers."""
        return len(self._viewers)

    def set_baseline(self, is_on: bool) -> None:
        """Restart the neutral baseline before the next frame, or end it."""

        def restart() -> None:
            self._pipeline.restart_neutral_baseline(is_on)
            self.has_baseline = is_on

        if self._pipeline.spec.au_neutral_logits is not None:
            with self._lock:
                self._commands.append(restart)

    def replay(self) -> None:
        """Start a file again that has ended."""
        if self.state["state"] == "ended":
            self._watched.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with open_source(self._uri, self._settings.source_options) as source:
                    self._play(source)
                    ends = not source.is_live
            except SourceError as error:
                log.warning("faceaffect: %s", error)
                self._set_state("failed")
                self._stop.wait(_RETRY_S)
                continue
            except Exception as error:  # the page says that it failed, the terminal says why
                log.warning("faceaffect: %s: %s", type(error).__name__, error)
                self._set_state("failed")
                return
            if ends and not self._settings.loops:
                self._watched.clear()
                self._set_state("ended")
                self._wait_for_replay()
            elif not ends:
                self._set_state("lost")
                self._stop.wait(_RETRY_S)

    def _play(self, source: Source) -> None:
        width, height = source.size_px or (0, 0)
        self.state = {
            "name": source_label(self._uri),
            "is_live": source.is_live,
            "width": width,
            "height": height,
            "fps": source.fps if source.fps and math.isfinite(source.fps) else None,
            "state": "playing",
        }
        if not source.is_live:
            self._wait_for_viewers()
        self._pipeline.reset(track_ids=not source.is_live)  # a file shows the same faces again
        self._pipeline.prefetch_detections(source)
        start_s = self._time_s
        for frame in self._paced(source):
            if self._stop.is_set():
                return
            received_ns = time.perf_counter_ns()
            if not source.is_sequence:
                self._pipeline.reset()
            with self._lock:
                commands, self._commands = self._commands, []
            for command in commands:
                command()
            analyzed = self._pool.analyze(_KIND, self._pipeline, lambda f=frame: f, received_ns)  # type: ignore[misc]
            self._time_s = start_s + frame.time_s + 1 / (source.fps or 30.0)
            self._publish(analyzed, start_s + frame.time_s, self._dropped + source.dropped)
            self._count += 1
        self._dropped += source.dropped

    def _wait_for_viewers(self) -> None:
        while not self._viewers and not self._stop.wait(_POLL_S):
            pass

    def _wait_for_replay(self) -> None:
        while not self._stop.is_set() and not self._watched.wait(_POLL_S):
            pass

    def _paced(self, source: Source) -> Iterator[Frame]:
        """Yield the frames of a file when they are due; leave out those that are too late."""
        if source.is_live:
            dropped = 0
            for frame in source:
                self._metrics.dropped.labels(_KIND).inc(source.dropped - dropped)
                dropped = source.dropped
                yield frame
            return
        started_s = time.monotonic()
        for number, frame in enumerate(source):
            due_s = frame.time_s if source.is_sequence else number * _IMAGE_S
            early_s = started_s + due_s - time.monotonic()
            if early_s > 0:
                self._stop.wait(early_s)
            elif early_s < -_LATE_S and source.is_sequence:
                self._dropped += 1
                self._metrics.dropped.labels(_KIND).inc()
                continue
            yield frame
        if not source.is_sequence:
            self._stop.wait(_IMAGE_S)

    def _set_state(self, state: str) -> None:
        self.state = {**self.state, "state": state}
        text = json.dumps({"type": "state", "source": self.state})
        self._send(Message(text, "", b""))

    def _publish(self, analyzed: Analyzed, time_s: float, dropped: int) -> None:
        viewers = self._viewers
        if not viewers:
            return
        frame = replace(analyzed.frame, index=self._count, time_s=time_s, source=self.state["name"])
        result: FrameResult = {
            "type": "result",
            "id": self._count,
            "time_s": round(time_s, 6),
            "width": frame.width_px,
            "height": frame.height_px,
            "faces": face_results(analyzed.faces, analyzed.affect),
            "timing": analyzed.timing,
            "dropped": dropped,
        }
        text = json.dumps({**result, "baseline": self.has_baseline}, separators=(",", ":"))
        rows = ""
        if any(viewer.takes_rows for viewer in viewers):
            rows = csv_rows(frame, analyzed)
        is_seen = any(viewer.takes_images and viewer.is_waiting for viewer in viewers)
        self._send(Message(text, rows, encode_jpeg(frame) if is_seen else b""))

    def _send(self, message: Message) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, message)

    def _deliver(self, message: Message) -> None:
        for viewer in self._viewers:
            viewer.offer(message)


def _is_file(uri: str) -> bool:
    """Whether `uri` names files, which can be opened twice, or what is missing."""
    path = Path(uri)
    return not is_live(uri) and not split_scheme(uri)[0] and (path.is_file() or not path.exists())


def csv_rows(frame: Frame, analyzed: Analyzed) -> str:
    """Return the rows of a frame as lines of CSV, as `faceaffect analyze` writes them."""
    return "".join(_CSV.line(row) for row in rows_for_frame(frame, analyzed.faces, analyzed.affect))


def csv_header() -> str:
    """Return the line of column names."""
    return _CSV.header()


def encode_jpeg(frame: Frame) -> bytes:
    """Encode a frame for pages, at most `MAX_SHOWN_PX` wide and high."""
    cv2 = import_opencv()
    pixels = to_bgr(frame)
    scale = MAX_SHOWN_PX / max(pixels.shape[:2])
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    ok, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes() if ok else b""
