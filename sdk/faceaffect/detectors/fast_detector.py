"""The detector that is shipped: a small network distilled from YuNet, several times cheaper than a
cascade.
"""

from __future__ import annotations

import hashlib
from copy import copy
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect import kernels
from faceaffect.backends.onnx_session import open_session
from faceaffect.bundle.model_spec import BundleError
from faceaffect.detectors import Detections, resize_to_bgr
from faceaffect.detectors.buffer_pool import BufferPool
from faceaffect.detectors.face_verifier import OnetVerifier
from faceaffect.detectors.names import DETECTOR_FILE, DIGEST_SUFFIX
from faceaffect.types import BoolArray, FloatArray, Frame

MEAN: Final = (0.5, 0.5, 0.5)
STD: Final = (0.25, 0.25, 0.25)
MULTIPLE_PX: Final[int] = 32
"""Sides of the network's image; what is missing is filled with the gray that normalizes to nothing.
"""

LEAST_PX: Final[int] = 16
"""The frame is shrunk until the smallest wanted face has this height; the network has learned faces
of 11 px and more.
"""

_LARGE_FACES_PX: Final[int] = 256
"""Longest side in which a ninth of the height of a 16:9 frame is `LEAST_PX`."""

_GRAY: Final[int] = 128
_MOST_FACES: Final[int] = 64
_SAME_FACE: Final[float] = 0.4  # overlap of two boxes, intersection over union


class FastFaceDetector:
    """One run of a convolutional network. Cost grows as the square of `longest side /
    min_face_size_px`.
    """

    name = "distilled"

    def __init__(
        self,
        min_face_size_px: int = 40,
        longest_px: int = 960,
        min_score: float = 0.5,
        threads: int = 1,
        model: Path | None = None,
    ) -> None:
        path = model or DETECTOR_FILE
        if not path.is_file():
            raise BundleError(
                f"the distilled detector is wanted, no network at {path}; make one with `python -m training train-detector` "
                "and `python -m export.export_detector` from a checkout, or use --detector mtcnn"
            )
        content = path.read_bytes()
        _check(content, path)
        self._session = open_session(content, threads, path)
        self._second_opinion = OnetVerifier(threads)
        self._min_face_px = min_face_size_px
        self._longest_px = longest_px
        self._min_score = min_score
        self._kept = BufferPool()

    def twin(self) -> FastFaceDetector:
        twin = copy(self)  # its sessions may be run by several threads at once, its images not
        twin._kept = BufferPool()
        return twin

    def detect(self, frame: Frame) -> Detections:
        fine = self._detect(frame, self._longest_px)
        if self._side_px(frame, self._longest_px) <= _LARGE_FACES_PX:
            return fine
        # The network has learned faces that fill an image of 256 px, none that fill a larger one.
        return _merged(self.detect_large(frame), fine)

    def detect_large(self, frame: Frame) -> Detections:
        return self._detect(frame, _LARGE_FACES_PX)

    def confirms(self, frame: Frame, maps: FloatArray) -> BoolArray:
        return self._second_opinion.agrees(frame, maps)

    def _detect(self, frame: Frame, most_px: int) -> Detections:
        image, scale = resize_to_bgr(frame, self._side_px(frame, most_px), self._kept)
        maps = self._session.run(None, {"images": self._prepare(image)})[0]
        return read_maps(maps[0], self._min_score, scale)

    def _side_px(self, frame: Frame, most_px: int) -> int:
        """The longest side of the network's image."""
        wanted_px = max(frame.height_px, frame.width_px) * LEAST_PX // self._min_face_px
        return max(min(most_px, wanted_px), 2 * MULTIPLE_PX)

    def _prepare(self, image: NDArray[np.uint8]) -> FloatArray:
        """The normalized image [1, 3, H, W], its sides raised to the next multiple of 32."""
        height, width = image.shape[:2]
        rows, columns = (-(-side // MULTIPLE_PX) * MULTIPLE_PX for side in (height, width))
        canvas = self._kept.take("canvas", (1, rows, columns, 3))
        canvas[0, height:], canvas[0, :, width:] = _GRAY, _GRAY
        canvas[0, :height, :width] = image
        return kernels.normalize(
            canvas, MEAN, STD, out=self._kept.take("network", (1, 3, rows, columns), np.float32)
        )


def _check(content: bytes, path: Path) -> None:
    """Raise BundleError where the file beside the network knows another checksum; a file without
    one is the user's own.
    """
    stated = path.with_suffix(DIGEST_SUFFIX)
    if not stated.is_file():
        return
    wanted, got = stated.read_text(encoding="ascii").strip(), hashlib.sha256(content).hexdigest()
    if got != wanted:
        raise BundleError(
            f"{path}: SHA-256 {wanted} is wanted ({stated.name}), got {got}; install faceaffect again"
        )


def read_maps(maps: Any, min_score: float, scale: float) -> Detections:
    """Faces of the network's maps [15, h, w] (score, box, five points), best first, each once,
    times `scale`.
    """
    rows, columns = np.nonzero(maps[0] >= min_score)
    if not len(rows):
        return Detections()
    score = maps[0, rows, columns]
    best = np.argsort(-score)[:_MOST_FACES]
    read = maps[1:, rows[best], columns[best]].T
    kept = _each_once(read[:, :4])
    frame_px = (read[kept] + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)
    return Detections(
        frame_px[:, :4].copy(), frame_px[:, 4:].reshape(-1, 5, 2).copy(), score[best][kept]
    )


def _merged(first: Detections, second: Detections) -> Detections:
    """The finds of two looks, best first, each face once."""
    boxes, points, score = (
        np.concatenate([getattr(first, part), getattr(second, part)])
        for part in ("box_xyxy", "keypoints_xy", "score")
    )
    best = np.argsort(-score, kind="stable")
    kept = best[_each_once(boxes[best])]
    return Detections(boxes[kept], points[kept], score[kept])


def _each_once(boxes: FloatArray) -> list[int]:
    """Rows of boxes [K, 4], best first, without those that cover an earlier one."""
    kept: list[int] = []
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    for row in range(len(boxes)):
        low, high = (
            np.maximum(boxes[kept, :2], boxes[row, :2]),
            np.minimum(boxes[kept, 2:], boxes[row, 2:]),
        )
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        if not (shared > _SAME_FACE * (areas[kept] + areas[row] - shared)).any():
            kept.append(row)
    return kept
