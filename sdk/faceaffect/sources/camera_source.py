"""Source for cameras and streams that always returns the newest frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from faceaffect.sources.capture import Capture, capture_fps, capture_size_px
from faceaffect.sources.display_filter import DecodedFrame
from faceaffect.sources.source import Source, SourceError, SourceOptions
from faceaffect.sources.stream_color import default_color
from faceaffect.types import Frame, PixelFormat

_MIN_RETRY_S: Final = 0.1
_MAX_RETRY_S: Final = 2.0
_JOIN_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """Configuration of a camera or stream.

    Attributes:
        name: name for frames and messages.
        open_capture: opens the device.
        pixel_format: pixel format of its frames.
        advice: what the user should check if it cannot be opened.
    """

    name: str
    open_capture: Callable[[], Capture]
    pixel_format: PixelFormat
    advice: str


class CameraSource(Source):
    """Reads a camera in a thread, as fast as it delivers, and keeps the newest frame only.

    The consumer never gets a stale frame, and the camera's own queue never fills. `Frame.index`
    counts what the camera delivered, dropped frames included; `Frame.time_s` is the capture time
    in seconds since opening. A camera that is lost is reopened, with growing pauses, for
    `reconnect_timeout_s`; if it does not come back, the iteration ends, `is_lost` is true and the
    last note says so.
    """

    is_live = True
    is_sequence = True
    frame_count: int | None = None

    def __init__(self, config: CameraConfig, options: SourceOptions | None = None) -> None:
        """Open the camera and start reading.

        Raises:
            SourceError: it cannot be opened.
        """
        options = options or SourceOptions()
        self.name = config.name
        self.notes: list[str] = []
        self.dropped = 0
        self.is_lost = False
        self._config = config
        self._reconnect_timeout_s = options.reconnect_timeout_s
        self._index = options.start_frame  # a resumed run never reuses an index
        self._newest: Frame | None = None
        self._lost_s: float | None = None
        self._retry_s = _MIN_RETRY_S
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._ended = False
        self._error: BaseException | None = None
        self.opened_s = time.monotonic()
        """Reading of `time.monotonic` at time 0 of the frames."""
        self._capture = self._open_first()
        self.fps = capture_fps(self._capture)
        self.size_px = capture_size_px(self._capture)
        self._thread = threading.Thread(target=self._run, name="faceaffect-camera", daemon=True)
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
        """Stop reading and release the camera."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_JOIN_TIMEOUT_S)

    def _open_first(self) -> Capture:
        capture = self._config.open_capture()
        if not capture.isOpened():
            capture.release()
            raise SourceError(f"{self.name}: cannot be opened; {self._config.advice}")
        return capture

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                ok, pixels = self._capture.read()
                if ok:
                    self._put(pixels)
                elif not self._reopen():
                    break
        except BaseException as error:  # raised again in the consumer's thread
            self._error = error
        finally:
            self._capture.release()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, pixels: Any) -> None:
        if self._lost_s is not None:
            lost_for_s = time.monotonic() - self._lost_s
            self.notes.append(f"{self._loss_note()}, back after {lost_for_s:.1f} s")
            self._lost_s = None
        time_s = time.monotonic() - self.opened_s
        if isinstance(pixels, DecodedFrame):
            decoded = pixels._replace(number=self._index, time_s=time_s)
            frame = decoded.to_frame(self.name)
        else:
            frame = Frame(pixels, self._config.pixel_format, time_s, self._index, self.name)
            if frame.pixel_format.is_yuv:
                frame = replace(frame, color=default_color(frame.height_px))
        self._index += 1
        with self._changed:
            self.dropped += self._newest is not None
            self._newest = frame
            self._changed.notify()

    def _reopen(self) -> bool:
        """Reopen a camera that was lost; return False if it does not come back in time.

        It counts as back only with its first frame (see `_put`): some cameras open and then
        deliver nothing.
        """
        if self._lost_s is None:
            self._lost_s = time.monotonic()
            self._retry_s = _MIN_RETRY_S
        self._capture.release()
        deadline_s = self._lost_s + self._reconnect_timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            if self._stop.wait(min(self._retry_s, left_s)):
                return False
            self._retry_s = min(2 * self._retry_s, _MAX_RETRY_S)
            self._capture = self._config.open_capture()
            if self._capture.isOpened():
                return True
            self._capture.release()
        self.is_lost = True
        self.notes.append(
            f"{self._loss_note()}, it did not come back within {self._reconnect_timeout_s:g} s"
        )
        return False

    def _loss_note(self) -> str:
        lost_s = self._lost_s or time.monotonic()
        return f"{self.name}: lost after {self._index} frames ({lost_s - self.opened_s:.1f} s)"
