"""Overlay sink that writes a video file, with the audio of its source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from faceaffect.drawing.canvas import Canvas
from faceaffect.sinks.overlay_audio import OverlayAudio
from faceaffect.sinks.sink import SinkError
from faceaffect.sources.import_pyav import import_pyav
from faceaffect.system.cpu_count import cpu_count
from faceaffect.types import Frame

_H264: Final = ("libx264", "libopenh264")
VIDEO_CODECS: Final[dict[str, tuple[str, ...]]] = {
    ".mp4": (*_H264, "libsvtav1", "mpeg4"),
    ".webm": ("libvpx-vp9", "libsvtav1", "libvpx"),
    ".avi": ("mjpeg",),
    ".mkv": (*_H264, "libvpx-vp9", "libsvtav1", "mpeg4"),
}
"""FFmpeg's encoders to try for each suffix, in order; browsers play what the first ones write."""
_OPTIONS: Final[Mapping[str, dict[str, str]]] = {
    "libx264": {"preset": "veryfast", "crf": "21"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "32", "b": "0"},
    "libsvtav1": {"preset": "11", "crf": "34"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "12", "b": "4M"},
    "mpeg4": {"qscale": "3"},
    "mjpeg": {"qmin": "3", "qmax": "3"},
}
_CONSTANT_RATE: Final = frozenset(["mpeg4", "mjpeg"])
_DEFAULT_FPS: Final = 30.0
_TICKS_PER_S: Final = 90_000
_MIN_SIDE_PX: Final = 16  # below this, VP8 writes files that cannot be read
_MAX_THREADS: Final = 4
_BT709: Final = 1  # FFmpeg's number of the matrix, the primaries and the transfer function


class OverlayVideo:
    """Writes a video that keeps the times of its source's frames.

    Images of another size are fitted into the size of the first one.
    """

    def __init__(self, path: Path, fps: float | None, audio: Path | None = None) -> None:
        """Write to `path`; the file is opened at the first frame.

        Args:
            path: A name with a suffix of `VIDEO_CODECS`.
            fps: Nominal frame rate of the source; 30 if unknown.
            audio: The source, if it is a file that may have audio.
        """
        self.path = str(path)
        self.notes: list[str] = []
        self._fps = fps or _DEFAULT_FPS
        self._audio_path = audio
        self._audio: OverlayAudio | None = None
        self._container: Any = None
        self._stream: Any = None
        self._size_px = (0, 0)
        self._first_s = 0.0
        self._last_tick = -1

    def write(self, frame: Frame, image: Canvas) -> None:
        """Encode an image at the time of its frame.

        Raises:
            SinkError: It cannot be written.
        """
        av = import_pyav()
        try:
            if self._container is None:
                self._size_px = _encodable_size_px(image)
                self._first_s = frame.time_s
                self._open(av)
            encoded = av.VideoFrame.from_ndarray(fit_into(image, self._size_px), format="bgr24")
            if self._stream.pix_fmt == "yuv420p":  # MJPEG is always BT.601
                matrix = av.video.reformatter.Colorspace.ITU709
                encoded = encoded.reformat(format="yuv420p", dst_colorspace=matrix)
            time_s = frame.time_s - self._first_s
            tick = round(time_s / float(self._stream.codec_context.time_base))
            self._last_tick = max(self._last_tick + 1, tick)
            encoded.pts = self._last_tick
            encoded.time_base = self._stream.codec_context.time_base
            if self._audio is not None:
                self._audio.write_until(time_s)
            self._container.mux(self._stream.encode(encoded))
        except (av.FFmpegError, OSError) as error:
            self._give_up()
            raise self._error(error) from None

    def close(self) -> None:
        """Finish the video.

        Raises:
            SinkError: The file is incomplete, as on a full disk.
        """
        if self._container is None:
            return
        av = import_pyav()
        try:
            if self._audio is not None:
                last_s = float(self._last_tick * self._stream.codec_context.time_base)
                self._audio.write_until(last_s + 1 / self._fps)
                self.notes += self._audio.notes
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._container = None
        except (av.FFmpegError, OSError) as error:
            raise self._error(error) from None
        finally:
            self._give_up()

    def _open(self, av: Any) -> None:
        suffix = Path(self.path).suffix.lower()
        codec = next((one for one in VIDEO_CODECS[suffix] if has_encoder(one)), None)
        if codec is None:
            raise SinkError(
                f"{self.path}: expected an encoder out of {', '.join(VIDEO_CODECS[suffix])}, got"
                " none in this FFmpeg; choose .webm, .avi or a folder of images"
            )
        settings = {"movflags": "+faststart"} if suffix == ".mp4" else {}
        # With the protocol in front, nothing in a name is taken for a protocol.
        name = f"file:{Path(self.path).absolute()}"
        self._container = av.open(name, "w", options=settings)
        rate = Fraction(self._fps).limit_denominator(1001)
        stream = self._container.add_stream(codec, rate=rate, options=dict(_OPTIONS[codec]))
        stream.width, stream.height = self._size_px
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / rate if codec in _CONSTANT_RATE else Fraction(1, _TICKS_PER_S)
        context.thread_count = min(_MAX_THREADS, cpu_count())
        if stream.pix_fmt == "yuv420p":
            context.colorspace = context.color_primaries = context.color_trc = _BT709
        self._stream = stream
        if self._audio_path is not None:
            self._audio = OverlayAudio.open(self._audio_path, self._container, self._first_s)

    def _give_up(self) -> None:
        """Release what is open; the error before is the one that counts."""
        if self._audio is not None:
            self._audio.close()
            self._audio = None
        if self._container is not None:
            with suppress(Exception):
                self._container.close()
            self._container = None

    def _error(self, error: Exception) -> SinkError:
        if isinstance(error, SinkError):
            return error
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if isinstance(number, int) and number > 0 else str(error)
        return SinkError(
            f"{self.path}: only a part could be written ({reason}); is the disk full? The rows are"
            " safe: free some space and draw it again"
        )


def has_encoder(name: str) -> bool:
    """Return whether this FFmpeg has an encoder."""
    av = import_pyav()
    try:
        av.codec.Codec(name, "w")
    except ValueError:  # UnknownCodecError
        return False
    return True


def default_suffix() -> str:
    """Return the suffix of overlays in a folder: .webm where no encoder writes H.264."""
    return ".mp4" if any(map(has_encoder, _H264)) else ".webm"


def _encodable_size_px(image: Canvas) -> tuple[int, int]:
    """Return the even width and height that codecs need."""
    height, width = image.shape[:2]
    return max(width + width % 2, _MIN_SIDE_PX), max(height + height % 2, _MIN_SIDE_PX)


def fit_into(image: Canvas, size_px: tuple[int, int]) -> Canvas:
    """Place an image on a black canvas of `size_px` (width, height).

    It is scaled only if it is of another size, not for a missing row or column.
    """
    width, height = size_px
    if image.shape[:2] == (height, width):
        return image
    if not (0 <= width - image.shape[1] <= 1 and 0 <= height - image.shape[0] <= 1):
        factor = min(width / image.shape[1], height / image.shape[0])
        fitted = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        image = np.asarray(cv2.resize(image, fitted, interpolation=cv2.INTER_AREA), np.uint8)
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = image[:height, :width]
    return canvas
