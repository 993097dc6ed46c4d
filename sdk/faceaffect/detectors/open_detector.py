"""A detector by its name."""

from __future__ import annotations

from pathlib import Path

from faceaffect.detectors import Detector


def open_detector(detector: str | Path, min_face_size_px: int, threads: int = 1) -> Detector:
    """One of `detector_names.DETECTORS`, or YuNet over the file of that path, for faces of
    `min_face_size_px` and more.
    """
    if detector == "distilled":
        from faceaffect.detectors.fast_detector import FastFaceDetector

        return FastFaceDetector(min_face_size_px, threads=threads)
    if detector == "mtcnn":
        from faceaffect.detectors.mtcnn import MTCNNDetector

        return MTCNNDetector(min_face_size_px)
    from faceaffect.detectors.yunet import YunetDetector

    return YunetDetector(detector)
