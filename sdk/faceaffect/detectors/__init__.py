"""Detectors find faces without knowing where they were before: at the start, for newcomers and
after a loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.detectors.buffer_pool import BufferPool
from faceaffect.types import BoolArray, FloatArray, Frame, PixelFormat

_FAR: Final = 4.0
"""From here on an image is shrunk by samples; below, halving it first costs less than half of that.
"""


@dataclass(frozen=True, slots=True)
class Detections:
    """Found faces, best first; coordinates are frame pixels."""

    box_xyxy: FloatArray = field(default_factory=lambda: np.zeros((0, 4), np.float32))  # [N, 4]
    keypoints_xy: FloatArray = field(
        default_factory=lambda: np.zeros((0, 5, 2), np.float32)
    )  # [N, 5, 2]
    score: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))  # [N]

    def __len__(self) -> int:
        return len(self.score)


class Detector(Protocol):
    """Finds faces in one frame. Anchors are those of `geometry.CANONICAL_KEYPOINTS_XY`."""

    name: str

    def detect(self, frame: Frame) -> Detections: ...


@runtime_checkable
class FastDetector(Detector, Protocol):
    """One that costs no more than a frame: it is asked four times a second, in large frames for
    large faces only.

    It errs more often than a dear one, so a find that the model's network takes for a face needs
    its confirmation, too.
    """

    def detect_large(self, frame: Frame) -> Detections:
        """Faces of about a ninth of the frame's height and more, at a cost that does not grow with
        the frame.
        """
        ...

    def confirms(self, frame: Frame, maps: FloatArray) -> BoolArray:
        """Whether maps [N, 2, 3], 112 px crop to frame, cut out faces; asked once for each new
        face.
        """
        ...


@runtime_checkable
class Cloneable(Detector, Protocol):
    """One that can be had once more for another thread, at little cost."""

    def twin(self) -> Detector:
        """A detector that finds the same, and may run while this one does."""
        ...


def look(detector: Detector, frame: Frame, in_detail: bool) -> Detections:
    """Faces of `frame`; for large ones only where less than all detail is wanted and the detector
    can do with less.
    """
    if not in_detail and isinstance(detector, FastDetector):
        return detector.detect_large(frame)
    return detector.detect(frame)


def resize_to_bgr(
    frame: Frame, longest_px: int, kept: BufferPool | None = None
) -> tuple[NDArray[np.uint8], float]:
    """The frame as BGR with its longest side at most `longest_px`, and frame pixels per image
    pixel.

    NV12 is converted whole; the other layouts are shrunk first. With `kept` the image lies in
    memory that the next call writes over.
    """
    kept = kept or BufferPool()
    scale = max(1.0, max(frame.height_px, frame.width_px) / longest_px)
    pixels: Any = frame.pixels
    if frame.layout is PixelFormat.NV12:
        whole = kept.take("bgr", (frame.height_px, frame.width_px, 3))
        pixels = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_YUV2BGR_NV12, dst=whole)
    if scale > 1:
        size = (max(1, round(frame.width_px / scale)), max(1, round(frame.height_px / scale)))
        pixels = _shrink(pixels, size, scale, kept)
    if frame.layout is PixelFormat.RGB:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    elif frame.layout is PixelFormat.GRAY:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(pixels), scale


def _shrink(pixels: Any, size: tuple[int, int], scale: float, kept: BufferPool) -> Any:
    """Resized to `size`: a mean over areas is taken at a factor of exactly two only, where it is
    some 20 times cheaper.
    """
    channels = pixels.shape[2:]
    small = kept.take("small", (size[1], size[0], *channels))
    if scale >= _FAR:
        # Four bilinear samples a pixel: enough against aliasing for what a detector sees. Rows
        # between them are never read.
        step = pixels.shape[0] // (2 * size[1])
        pixels = pixels[(step - 1) // 2 :: step]
        twice = kept.take("twice", (2 * size[1], 2 * size[0], *channels))
        twice = cv2.resize(
            pixels, (2 * size[0], 2 * size[1]), dst=twice, interpolation=cv2.INTER_LINEAR
        )
        return cv2.resize(twice, size, dst=small, interpolation=cv2.INTER_AREA)
    if scale >= 2 and min(pixels.shape[:2]) >= 2:
        # An odd last row or column is left out: a thousandth of the image, and the factor is exact.
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        half = kept.take("half", (height, width, *channels))
        even = pixels[: 2 * height, : 2 * width]
        pixels = cv2.resize(even, (width, height), dst=half, interpolation=cv2.INTER_AREA)
    return cv2.resize(pixels, size, dst=small, interpolation=cv2.INTER_LINEAR)
