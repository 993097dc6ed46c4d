"""A detector by its name."""

from __future__ import annotations

from pathlib import Path

from faceaffect.detectors import Detector


def open_detector(detector: str | Path, min_face_px: int, threads: int = 1) -> Detector:
    """One of `detector_names.DETECTORS`, or YuNet over the file of that path, for faces of `min_face_px` and more."""
    if detector == "distilled":
        from faceaffect.detectors.fast_detector import DistilledDetector

        return DistilledDetector(min_face_px, threads=threads)
    if detector == "mtcnn":
        from faceaffect.detectors.mtcnn import MtcnnDetector

        return MtcnnDetector(min_face_px)
    from faceaffect.detectors.yunet import YunetDetector

    return YunetDetector(detector)
