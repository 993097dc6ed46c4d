"""Opens the detector that an option asks for."""

from __future__ import annotations

from pathlib import Path

from faceaffect.backends import Backend
from faceaffect.detectors.detector import Detector
from faceaffect.detectors.gpu_detector import move_to_gpu
from faceaffect.detectors.names import AUTO_ROTATION, ROTATIONS, default_detector
from faceaffect.detectors.open_detector import open_detector
from faceaffect.detectors.turned_detector import TurnedDetector


def to_detector(
    detector: Detector | str | Path | None,
    min_face_size_px: int,
    rotate: str,
    threads: int,
    backend: Backend | None = None,
) -> Detector:
    """The detector itself, or the one of that name or path, on the backend's GPU if it can."""
    if detector is None or isinstance(detector, (str, Path)):
        detector = open_detector(detector or default_detector(), min_face_size_px, threads)
    if backend is not None:
        detector = move_to_gpu(detector, backend)
    quarter_turns = 0 if rotate == AUTO_ROTATION else ROTATIONS[rotate]
    return TurnedDetector(detector, quarter_turns) if quarter_turns else detector
