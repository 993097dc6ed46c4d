"""Converts decoded frames to what a player shows, with a filter graph of FFmpeg if needed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceaffect.sources.blend_alpha import blend_alpha
from faceaffect.sources.import_pyav import import_pyav
from faceaffect.sources.stream_color import matrix_of, yuv_color
from faceaffect.types import Chroma, FloatArray, Frame, PixelFormat, YuvColor

Pixels = NDArray[np.uint8]


class DecodedFrame(NamedTuple):
    """An image as shown, its number in the stream and its time; see `Frame` for the others."""

    pixels: Pixels
    number: int
    time_s: float
    chroma: Chroma | None = None
    color: YuvColor = YuvColor.BT601

    def to_frame(self, source: str) -> Frame:
        """Return a frame: I420 if there are planes of chroma, else BGR."""
        pixel_format = PixelFormat.BGR if self.chroma is None else PixelFormat.I420
        return Frame(
            self.pixels, pixel_format, self.time_s, self.number, source, self.chroma, self.color
        )


_MAX_ASPECT_RATIO: Final = 8  # of a pixel; anything beyond is a broken header
_PLANAR_FORMATS: Final = frozenset(["yuv420p", "yuvj420p"])
_TRANSPOSE_DIRS: Final = {(1, 1): 0, (-1, 1): 1, (1, -1): 2, (-1, -1): 3}


@dataclass(frozen=True, slots=True)
class DisplayGeometry:
    """How a stored image is shown.

    Attributes:
        stored_size_px: width and height as stored.
        pixel_aspect_ratio: width of a stored pixel divided by its height.
        orientation: a, b, c, d of the display matrix: (x, y) is shown at (a x + c y, b x + d y),
            up to a shift; each -1, 0 or 1.
    """

    stored_size_px: tuple[int, int]
    pixel_aspect_ratio: Fraction = Fraction(1)
    orientation: tuple[int, int, int, int] = (1, 0, 0, 1)

    @property
    def scaled_size_px(self) -> tuple[int, int]:
        """Width and height with square pixels, before turning; no side gets smaller."""
        width, height = self.stored_size_px
        if self.pixel_aspect_ratio >= 1:
            return max(1, round(width * self.pixel_aspect_ratio)), height
        return width, max(1, round(height / self.pixel_aspect_ratio))

    @property
    def display_size_px(self) -> tuple[int, int]:
        """Width and height as shown."""
        width, height = self.scaled_size_px
        return (width, height) if self.orientation[0] else (height, width)

    @property
    def display_to_stored(self) -> FloatArray:
        """Affine matrix [2, 3] from shown to stored pixels, both with (0, 0) at a pixel center."""
        a, b, c, d = self.orientation
        shown_size = np.array(self.display_size_px, np.float64)
        scale = np.array(self.stored_size_px, np.float64) / np.array(self.scaled_size_px)
        # Centered coordinates turn without a shift; the matrix is its own inverse's transpose.
        linear = np.array([[a, b], [c, d]], np.float64) * scale[:, None]
        shift = np.array(self.stored_size_px) / 2 - linear @ (shown_size / 2 - 0.5) - 0.5
        return np.concatenate([linear, shift[:, None]], axis=1).astype(np.float32)


class DisplayFilter:
    """Deinterlaces, scales to square pixels, turns and converts frames to BGR.

    Planar YUV 4:2:0 of 8 bits that is shown as it is stored passes without a copy, as I420. Color
    matrix and range are those of the stream (`stream_color`). The graph is built again where size,
    format or colors change.

    Attributes:
        geometry: of the newest image; None before the first one.
        is_deinterlacing: whether an interlaced image has been seen.
    """

    def __init__(self) -> None:
        """Prepare a filter; the graph is built with the first image."""
        self.geometry: DisplayGeometry | None = None
        self.is_deinterlacing = False
        self._graph: Any = None
        self._key: tuple[object, ...] = ()
        self._inside: deque[tuple[int, float]] = deque()
        self._has_alpha = False
        self._passed_color: YuvColor | None = None  # of images that pass as they are

    def push(
        self, frame: Any, aspect_ratio: Fraction, number: int, time_s: float
    ) -> list[DecodedFrame]:
        """Convert an image; deinterlacing returns each one after its successor has come."""
        self.is_deinterlacing = self.is_deinterlacing or frame.interlaced_frame
        key = (
            *(frame.width, frame.height, frame.format.name, int(frame.colorspace)),
            *(int(frame.color_range), aspect_ratio, self.is_deinterlacing),
        )
        done: list[DecodedFrame] = []
        if key != self._key:
            done = self.flush()
            self._key = key
            self._prepare(frame, aspect_ratio)
        if self._passed_color is not None:
            return [*done, _pass_planes(frame, number, time_s, self._passed_color)]
        frame.colorspace = matrix_of(frame)
        frame.pts = number  # in a clock of the filter's own; it may need one
        self._inside.append((number, time_s))
        self._graph.vpush(frame)
        return [*done, *self._pull()]

    def flush(self) -> list[DecodedFrame]:
        """Return the frames that are still inside, and drop the graph."""
        done = []
        if self._graph is not None:
            self._graph.vpush(None)
            done = self._pull()
        self._graph, self._key = None, ()
        return done

    def reset(self) -> None:
        """Drop the frames that are still inside, as after seeking."""
        self._graph, self._key = None, ()
        self._inside.clear()

    def _pull(self) -> list[DecodedFrame]:
        av = import_pyav()
        done: list[DecodedFrame] = []
        while True:
            try:
                frame = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return done
            pixels = _to_array(frame, 4 if self._has_alpha else 3)
            shown = blend_alpha(pixels) if self._has_alpha else pixels
            done.append(DecodedFrame(shown, *self._inside.popleft()))

    def _prepare(self, frame: Any, aspect_ratio: Fraction) -> None:
        """Find out how images like this one are shown, and build the graph if one is needed."""
        if not 1 / Fraction(_MAX_ASPECT_RATIO) <= aspect_ratio <= _MAX_ASPECT_RATIO:
            aspect_ratio = Fraction(1)
        size_px = (frame.width, frame.height)
        self.geometry = DisplayGeometry(size_px, aspect_ratio, _orientation(frame))
        is_shown_as_stored = self.geometry == DisplayGeometry(size_px) and not self.is_deinterlacing
        self._passed_color = None
        if is_shown_as_stored and _has_usable_planes(frame):
            self._passed_color = yuv_color(frame)
        if self._passed_color is None:
            self._build(frame, self.geometry)

    def _build(self, frame: Any, geometry: DisplayGeometry) -> None:
        av = import_pyav()
        self._has_alpha = frame.format.name == "pal8" or any(
            component.is_alpha for component in frame.format.components
        )
        graph = av.filter.Graph()
        graph.threads = 1
        nodes = [
            graph.add(
                "buffer",
                f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
                f":time_base=1/1000:pixel_aspect=1/1:colorspace={matrix_of(frame)}"
                f":range={int(frame.color_range)}",
            )
        ]
        if self.is_deinterlacing:
            nodes.append(graph.add("bwdif", "mode=send_frame:deint=interlaced"))
        width, height = geometry.scaled_size_px
        nodes.append(graph.add("scale", f"{width}:{height}:flags=bicubic"))
        nodes.append(graph.add("format", "pix_fmts=bgra" if self._has_alpha else "pix_fmts=bgr24"))
        nodes += [graph.add(*one) for one in _turning_filters(geometry.orientation)]
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        self._graph = graph


def _has_usable_planes(frame: Any) -> bool:
    """Return whether the planes are I420 with rows from top to bottom."""
    if frame.format.name not in _PLANAR_FORMATS:
        return False
    luma, u, v = frame.planes
    return bool(luma.line_size >= frame.width and u.line_size == v.line_size > 0)


def _pass_planes(frame: Any, number: int, time_s: float, color: YuvColor) -> DecodedFrame:
    """Return read-only views of the planes, which they keep alive; the decoder may read them."""
    width, height = frame.width, frame.height
    luma, u, v = (
        np.ndarray((rows, columns), np.uint8, plane, strides=(plane.line_size, 1))
        for plane, rows, columns in zip(
            frame.planes,
            (height, (height + 1) // 2, (height + 1) // 2),
            (width, (width + 1) // 2, (width + 1) // 2),
            strict=True,
        )
    )
    for plane in (luma, u, v):
        plane.flags.writeable = False
    return DecodedFrame(luma, number, time_s, (u, v), color)


def _to_array(frame: Any, channels: int) -> Pixels:
    """Return a view of a packed image, which it keeps alive."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height]
    return rows[:, : frame.width * channels].reshape(frame.height, frame.width, channels)


def _orientation(frame: Any) -> tuple[int, int, int, int]:
    """Return the display matrix of an image, rounded to quarter turns and mirroring."""
    av = import_pyav()
    data = frame.side_data.get(av.sidedata.sidedata.Type.DISPLAYMATRIX)
    if data is None:
        return 1, 0, 0, 1
    matrix = np.frombuffer(bytes(data), np.int32)
    a, b, c, d = (float(value) for value in matrix[[0, 1, 3, 4]])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0


def _turning_filters(orientation: tuple[int, int, int, int]) -> list[tuple[str, ...]]:
    a, b, c, d = orientation
    if not a:
        return [("transpose", f"dir={_TRANSPOSE_DIRS[c, b]}")]
    filters: list[tuple[str, ...]] = []
    if a < 0:
        filters.append(("hflip",))
    if d < 0:
        filters.append(("vflip",))
    return filters
