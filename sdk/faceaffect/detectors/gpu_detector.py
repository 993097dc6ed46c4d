"""The default detector on the GPU, beside the frames that follow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from faceaffect.backends.backend import Backend, BackendError
from faceaffect.detectors.detector import BackgroundDetector, Detections, Detector
from faceaffect.detectors.fast_detector import FastFaceDetector
from faceaffect.types import BoolArray, FloatArray, Frame

if TYPE_CHECKING:
    from faceaffect.backends.cuda_detector_runner import CudaDetectorRunner

log = logging.getLogger("faceaffect")


class GpuFaceDetector(BackgroundDetector):
    """Network of a `FastFaceDetector` as an engine; its verifier stays on the CPU.

    Panoramas, which are searched in strips, are left to the CPU.
    """

    is_fast = True

    def __init__(self, detector: FastFaceDetector, runner: CudaDetectorRunner) -> None:
        self.name = f"{detector.name} on the GPU"
        self._detector = detector
        self._runner = runner
        self._scales: list[float] = []
        self._found: Detections | None = None

    def start(self, frame: Frame, *, full_resolution: bool = True) -> None:
        """Queue a run; see `BackgroundDetector.start`."""
        if full_resolution and self._detector.needs_strips(frame):
            self._found = self._detector.detect(frame)
            return
        sizes = self._detector.input_sizes(frame, full_resolution)
        self._runner.start(frame, sizes)
        self._scales = [size.scale for size in sizes]

    def finish(self) -> Detections:
        """Wait for the run; see `BackgroundDetector.finish`."""
        if self._found is not None:
            found, self._found = self._found, None
            return found
        outputs = self._runner.finish()
        return self._detector.decode_outputs(
            [(maps[0], scale) for maps, scale in zip(outputs, self._scales, strict=True)]
        )

    def verify(self, frame: Frame, crop_to_frame: FloatArray) -> BoolArray:
        """Confirm new faces with O-Net; see `Detector.verify`."""
        return self._detector.verify(frame, crop_to_frame)


def move_to_gpu(detector: Detector, backend: Backend) -> Detector:
    """The detector on the backend's GPU; the detector itself if that cannot be."""
    if type(detector) is not FastFaceDetector or backend.name != "tensorrt":
        return detector
    from faceaffect.backends.tensorrt_backend import TensorRTBackend

    if not isinstance(backend, TensorRTBackend):
        return detector
    try:
        return GpuFaceDetector(detector, detector.open_runner(backend))
    except BackendError as error:
        log.warning("faceaffect: the face detector runs on the CPU, since %s", error)
        return detector
