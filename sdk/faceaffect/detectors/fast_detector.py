"""The default detector: a small network distilled from YuNet, several times faster than MTCNN."""

from __future__ import annotations

import hashlib
import math
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect import kernels
from faceaffect.backends.onnx_session import open_session
from faceaffect.bundle.model_spec import BundleError
from faceaffect.detectors.buffer_pool import BufferPool
from faceaffect.detectors.detector import Detections, Detector
from faceaffect.detectors.face_verifier import OnetVerifier
from faceaffect.detectors.names import DETECTOR_FILE, DIGEST_SUFFIX
from faceaffect.detectors.read_network import read_network
from faceaffect.detectors.resize_image import resize_to_bgr
from faceaffect.types import BoolArray, FloatArray, Frame, PixelFormat

if TYPE_CHECKING:
    from faceaffect.backends.cuda_detector_runner import CudaDetectorRunner, DetectorInput
    from faceaffect.backends.tensorrt_backend import TensorRTBackend

MEAN: Final = (0.5, 0.5, 0.5)
STD: Final = (0.25, 0.25, 0.25)
STRIDE_PX: Final[int] = 32
"""Sides of the input are multiples of this, padded with the gray that normalizes to about zero."""

MIN_FACE_INPUT_PX: Final[int] = 16
"""Height to which the smallest requested face is downscaled; trained on faces of 11 px and more."""

_COARSE_LONGEST_PX: Final[int] = 256
"""Longest side at which a ninth of the height of a 16:9 frame is `MIN_FACE_INPUT_PX`."""

_MAX_ASPECT: Final = 2.5
"""Ratio of the sides from which a frame is searched in strips; films have up to 2.4."""

_STRIP_ASPECT: Final = 2.0
"""Ratio of the sides of a strip; half of it, a square, overlaps with the next one."""

_MAX_STRIPS: Final = 16

_DARK_MEAN: Final = 50.0
_LIT_MEAN: Final = 100.0
_MAX_GAIN: Final = 6.0
"""Images with a mean below `_DARK_MEAN` gray levels are brightened to `_LIT_MEAN`."""

_SAMPLE_STEP: Final = 8  # pixels between those of which the brightness is taken on the GPU path

_GRAY: Final[int] = 128
_MAX_CANDIDATES: Final[int] = 64
_NMS_IOU: Final[float] = 0.4


class FastFaceDetector(Detector):
    """One pass of a convolutional network, with O-Net as verifier.

    The cost grows with the square of `longest_px / min_face_size_px`.
    """

    name = "distilled"
    is_fast = True

    def __init__(
        self,
        min_face_size_px: int = 24,
        longest_px: int = 960,
        min_score: float = 0.3,
        threads: int = 1,
        model: Path | None = None,
    ) -> None:
        """Load the network.

        Args:
            min_face_size_px: Height of the smallest face to detect, in frame pixels.
            longest_px: Limit of the longest side of the network's input.
            min_score: Score from which a candidate is a detection.
            threads: CPU threads.
            model: ONNX file; by default the one of the package.

        Raises:
            BundleError: The file is missing or damaged.
        """
        path = model or DETECTOR_FILE
        if not path.is_file():
            raise BundleError(
                f"expected the network of the distilled detector at {path}, which does not exist; "
                "make one with `python -m training train-detector` and "
                "`python -m export.export_detector` from a checkout, or use --detector mtcnn"
            )
        content = read_network(path)
        _check_digest(content, path)
        self._network = content
        self._session = open_session(content, threads, path)
        self._input_name = self._session.get_inputs()[0].name
        self._verifier = OnetVerifier(threads)
        self._min_face_px = min_face_size_px
        self._longest_px = longest_px
        self._min_score = min_score
        self._buffers = BufferPool()

    def clone(self) -> FastFaceDetector:
        """Copy that shares the networks, which several threads may run, but not the buffers."""
        clone = copy(self)
        clone._buffers = BufferPool()
        return clone

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        """Detect faces; see `Detector.detect`."""
        if full_resolution and self.needs_strips(frame):
            return _merge([self._detect(frame, self._longest_px), self._detect_strips(frame)])
        limits = self._side_limits_px(frame, full_resolution)
        return _merge([self._detect(frame, limit) for limit in limits])

    def needs_strips(self, frame: Frame) -> bool:
        """Return whether a frame is so long that small faces would vanish in one image of it."""
        longest, shortest = (f(frame.width_px, frame.height_px) for f in (max, min))
        is_long = longest > _MAX_ASPECT * shortest
        return is_long and self._input_side_px(frame, longest) > self._longest_px

    def verify(self, frame: Frame, crop_to_frame: FloatArray) -> BoolArray:
        """Confirm new faces with O-Net; see `Detector.verify`."""
        return self._verifier.verify(frame, crop_to_frame)

    def _detect(self, frame: Frame, max_side_px: int, shrunk: float = 1.0) -> Detections:
        """Detections in an image; `shrunk` is by how much it was made smaller before."""
        image, scale = resize_to_bgr(
            frame, self._input_side_px(frame, max_side_px, shrunk), self._buffers
        )
        maps = self._session.run(None, {self._input_name: self._prepare(image)})[0]
        return decode_maps(maps[0], self._min_score, scale)

    def _detect_strips(self, frame: Frame) -> Detections:
        """Detections in overlapping strips of a frame that is too wide or tall for one image."""
        image, scale = resize_to_bgr(frame, _MAX_STRIPS * self._longest_px, self._buffers)
        axis = int(image.shape[1] < image.shape[0])  # of (x, y)
        length, across = image.shape[1 - axis], image.shape[axis]
        strip = round(_STRIP_ASPECT * across)
        starts = np.linspace(0, length - strip, -(-(length - across) // (strip - across)))
        found = []
        for start in starts.round().astype(int).tolist():
            part = slice(start, start + strip)
            pixels = image[:, part] if axis == 0 else image[part]
            one = self._detect(Frame(np.ascontiguousarray(pixels)), self._longest_px, scale)
            found.append(one.shifted(start if axis == 0 else 0, start if axis else 0))
        return _merge(found).scaled(scale)

    def _side_limits_px(self, frame: Frame, full_resolution: bool) -> list[int]:
        """Limit of the longest side of the input of each run."""
        if not full_resolution:
            return [_COARSE_LONGEST_PX]
        if self._input_side_px(frame, self._longest_px) <= _COARSE_LONGEST_PX:
            return [self._longest_px]
        # The network was trained on faces that fill an image of 256 px, but no larger one.
        return [self._longest_px, _COARSE_LONGEST_PX]

    def open_runner(self, backend: TensorRTBackend) -> CudaDetectorRunner:
        """Runner of the network on the backend's GPU; raises BackendError."""
        from faceaffect.backends.cuda_detector_runner import InputNormalization

        largest = -(-self._longest_px // STRIDE_PX) * STRIDE_PX
        sides_px = (2 * STRIDE_PX, min(_COARSE_LONGEST_PX, largest), largest)
        normalization = InputNormalization(MEAN, STD, _GRAY)
        return backend.open_detector_runner(self.name, self._network, sides_px, normalization)

    def input_sizes(self, frame: Frame, full_resolution: bool) -> list[DetectorInput]:
        """Input of each run on `frame`; a frame in GPU memory is never brightened."""
        from faceaffect.backends.cuda_detector_runner import DetectorInput

        gain = _coarse_gain(frame) if isinstance(frame, Frame) else 1.0
        sizes = []
        for limit in self._side_limits_px(frame, full_resolution):
            longest_px = max(frame.height_px, frame.width_px)
            scale = max(1.0, longest_px / self._input_side_px(frame, limit))
            height, width = (
                max(1, round(side / scale)) for side in (frame.height_px, frame.width_px)
            )
            rows, columns = (max(2, -(-side // STRIDE_PX)) * STRIDE_PX for side in (height, width))
            sizes.append(DetectorInput(rows, columns, height, width, scale, gain))
        return sizes

    def decode_outputs(self, outputs: list[tuple[FloatArray, float]]) -> Detections:
        """Detections in the maps [15, h, w] of each run, with its frame pixels per input pixel."""
        return _merge([decode_maps(maps, self._min_score, scale) for maps, scale in outputs])

    def _input_side_px(self, frame: Frame, max_side_px: int, shrunk: float = 1.0) -> int:
        """Longest side of the network's input."""
        longest_px = max(frame.height_px, frame.width_px)
        side_px = int(longest_px * shrunk * MIN_FACE_INPUT_PX // self._min_face_px)
        return max(min(max_side_px, side_px), 2 * STRIDE_PX)

    def _prepare(self, image: NDArray[np.uint8]) -> FloatArray:
        """The normalized image [1, 3, H, W], its sides padded to the next multiple of 32."""
        height, width = image.shape[:2]
        rows, columns = (-(-side // STRIDE_PX) * STRIDE_PX for side in (height, width))
        canvas = self._buffers.get("canvas", (1, rows, columns, 3))
        gain = _exposure_gain(float(np.mean(cv2.mean(image)[:3])))
        padding = round(_GRAY / gain)
        canvas[0, height:] = padding
        canvas[0, :, width:] = padding
        canvas[0, :height, :width] = image
        out = self._buffers.get("network", (1, 3, rows, columns), np.float32)
        if gain == 1:
            return kernels.normalize(canvas, MEAN, STD, out=out)
        mean, std = (tuple(value / gain for value in values) for values in (MEAN, STD))
        return kernels.normalize(canvas, mean, std, out=out)


def _exposure_gain(mean: float) -> float:
    """How many times brighter an image with this mean should be; 1 unless it is dark."""
    return 1.0 if mean >= _DARK_MEAN else min(_LIT_MEAN / max(mean, 1.0), _MAX_GAIN)


def _coarse_gain(frame: Frame) -> float:
    """Return the gain by a sample of the pixels, as a power of the root of 2.

    Inputs of few gains share their buffers and graphs.
    """
    rows = frame.pixels[: frame.height_px : _SAMPLE_STEP, ::_SAMPLE_STEP]  # luma or colors
    mean = float(rows.mean())
    if frame.pixel_format in (PixelFormat.I420, PixelFormat.NV12):
        mean = (mean - frame.color.coefficients[0]) * frame.color.luma_scale
    return float(2 ** (round(2 * math.log2(_exposure_gain(mean))) / 2))


def _check_digest(content: bytes, path: Path) -> None:
    """Raise BundleError if the checksum file beside the network has another checksum.

    A network without such a file is the user's own.
    """
    digest_path = path.with_suffix(DIGEST_SUFFIX)
    if not digest_path.is_file():
        return
    expected = digest_path.read_text(encoding="ascii").strip()
    got = hashlib.sha256(content).hexdigest()
    if got != expected:
        raise BundleError(
            f"{path}: expected SHA-256 {expected} ({digest_path.name}), got {got}; "
            "install faceaffect again"
        )


def decode_maps(maps: Any, min_score: float, scale: float) -> Detections:
    """Decode the network's output maps and suppress duplicates.

    Args:
        maps: [15, h, w]: score, box and five keypoints at each position, in input pixels.
        min_score: Score from which a candidate is a detection.
        scale: Frame pixels per input pixel.
    """
    rows, columns = np.nonzero(maps[0] >= min_score)
    if not len(rows):
        return Detections()
    score = maps[0, rows, columns]
    best = np.argsort(-score)[:_MAX_CANDIDATES]
    score = score[best]
    points = maps[1:, rows[best], columns[best]].T
    kept = _nms(points[:, :4], score)
    frame_px = (points[kept] + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)
    return Detections(frame_px[:, :4].copy(), frame_px[:, 4:].reshape(-1, 5, 2).copy(), score[kept])


def _merge(runs: list[Detections]) -> Detections:
    """Detections of one or two runs, best first, without duplicates."""
    if len(runs) == 1:
        return runs[0]
    boxes, keypoints, score = (
        np.concatenate([getattr(run, name) for run in runs])
        for name in ("box_xyxy", "keypoints_xy", "score")
    )
    kept = _nms(boxes, score)
    return Detections(boxes[kept], keypoints[kept], score[kept])


def _nms(boxes_xyxy: FloatArray, score: FloatArray) -> NDArray[np.int64]:
    """Rows of boxes [K, 4] that overlap no better one, best first."""
    boxes_xywh: Any = np.concatenate(
        [boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1
    )
    scores: Any = score
    return np.asarray(cv2.dnn.NMSBoxes(boxes_xywh, scores, 0.0, _NMS_IOU), np.int64).reshape(-1)
