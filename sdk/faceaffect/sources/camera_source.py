"""Frames of a camera or stream: always the newest one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from faceaffect.sources.source import SourceError, SourceOptions
from faceaffect.types import Frame, PixelFormat

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0
_JOIN_S = 2.0


class Capture(Protocol):
    """What is used of `cv2.VideoCapture`."""

    def isOpened(self) -> bool: ...  # noqa: N802

    def read(self) -> tuple[bool, Any]: ...

    def get(self, prop: int, /) -> float: ...

    def release(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """How a live source is opened, what its frames look like, and what to tell a user for whom that
    fails.
    """

    name: str
    open_capture: Callable[[], Capture]
    layout: PixelFormat
    advice: str


class CameraSource:
    """A thread reads as fast as the camera delivers and keeps only the newest frame.

    The consumer never gets a frame that was already old when it asked, and the camera's own
    queue never fills. `Frame.index` counts what the camera delivered, dropped frames included;
    `Frame.time_s` is when it was captured, in seconds from opening. A camera that goes away is
    opened again, with growing pauses, for `reconnect_timeout_s`; the iteration ends when it does
    not come back.
    """

    is_live = True
    is_sequence = True
    frame_count: int | None = None

    def __init__(self, kind: CameraConfig, options: SourceOptions | None = None) -> None:
        options = options or SourceOptions()
        self.name, self._kind = kind.name, kind
        self._reconnect_s = options.reconnect_timeout_s
        self.notes: list[str] = []
        self.dropped = 0
        self._index = options.start_frame  # of a resumed run: no index is given twice
        self._newest: Frame | None = None
        self._lost_s: float | None = None
        self._wait_s = _FIRST_WAIT_S
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._ended = False
        self._error: BaseException | None = None
        self.opened_s = time.monotonic()
        self._capture = self._open_first()
        fps = self._capture.get(5)  # CAP_PROP_FPS
        self.fps = fps if 0 < fps < 1000 else None
        width_px, height_px = int(self._capture.get(3)), int(self._capture.get(4))
        self.size_px = (width_px, height_px) if width_px > 0 and height_px > 0 else None
        self._thread = threading.Thread(target=self._run, name="faceaffect-live", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._newest is not None or self._ended or self._stop.is_set()
                )
                frame, self._newest = self._newest, None
            if frame is None or self._stop.is_set():
                break
            yield frame
        if self._error is not None and not self._stop.is_set():
            raise self._error

    def close(self) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_JOIN_S)

    def __enter__(self) -> CameraSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open_first(self) -> Capture:
        capture = self._kind.open_capture()
        if not capture.isOpened():
            capture.release()
            raise SourceError(f"{self.name}: it cannot be opened; {self._kind.advice}")
        return capture

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                ok, pixels = self._capture.read()
                if ok:
                    self._keep(pixels)
                elif not self._open_again():
                    break
        except BaseException as error:  # raised again by the consumer
            self._error = error
        finally:
            self._capture.release()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _keep(self, pixels: Any) -> None:
        if self._lost_s is not None:
            self.notes.append(f"{self._lost()}, back after {time.monotonic() - self._lost_s:.1f} s")
            self._lost_s = None
        frame = Frame(
            pixels, self._kind.layout, time.monotonic() - self.opened_s, self._index, self.name
        )
        self._index += 1
        with self._changed:
            self.dropped += self._newest is not None
            self._newest = frame
            self._changed.notify()

    def _open_again(self) -> bool:
        """Wait for a camera that went away; False when it did not come back.

        It counts as back only with its first frame (see `_keep`): some cameras open and then
        deliver nothing.
        """
        now_s = time.monotonic()
        if self._lost_s is None:
            self._lost_s, self._wait_s = now_s, _FIRST_WAIT_S
        self._capture.release()
        while (left_s := self._lost_s + self._reconnect_s - time.monotonic()) > 0:
            if self._stop.wait(min(self._wait_s, left_s)):
                return False
            self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)
            self._capture = self._kind.open_capture()
            if self._capture.isOpened():
                return True
            self._capture.release()
        self.notes.append(f"{self._lost()}, it did not come back within {self._reconnect_s:g} s")
        return False

    def _lost(self) -> str:
        lost_s = self._lost_s or time.monotonic()
        return f"{self.name}: lost after {self._index} frames ({lost_s - self.opened_s:.1f} s)"
