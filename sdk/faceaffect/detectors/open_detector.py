"""Opens a detector by its name."""

from __future__ import annotations

from pathlib import Path

from faceaffect.detectors.detector import Detector


def open_detector(detector: str | Path, min_face_size_px: int, threads: int = 1) -> Detector:
    """Open a detector for faces of `min_face_size_px` and more.

    Args:
        detector: One of `names.DETECTORS`, or the path of a YuNet ONNX file.
        min_face_size_px: Height of the smallest face, in frame pixels.
        threads: CPU threads of the network.
    """
    if detector == "distilled":
        from faceaffect.detectors.fast_detector import FastFaceDetector

        return FastFaceDetector(min_face_size_px, threads=threads)
    if detector == "mtcnn":
        from faceaffect.detectors.mtcnn import MTCNNDetector

        return MTCNNDetector(min_face_size_px)
    from faceaffect.detectors.yunet import YunetDetector

    return YunetDetector(detector)
