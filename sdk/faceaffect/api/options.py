"""Keyword options of the front door, for type checkers and completion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from faceaffect.backends import TensorRTOptions
    from faceaffect.backends.option_names import BackendName, PrecisionName
    from faceaffect.detectors.detector import Detector
    from faceaffect.detectors.names import RotateName


class PipelineOptions(TypedDict, total=False):
    """Keyword arguments of `open_pipeline`, all optional."""

    backend: BackendName
    device: str
    threads: int
    precision: PrecisionName
    dla_core: int | None
    max_faces: int
    min_face_size_px: int
    rotate: RotateName
    smooth: bool
    neutral_baseline: bool
    min_quality: float
    aligned_crops: bool
    is_video: bool
    detector: Detector | str | Path | None
    tensorrt: TensorRTOptions | None
