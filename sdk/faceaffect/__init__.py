"""Facial action units, expression, valence and arousal for every face in a video.

with open_source("clip.mp4") as source, open_pipeline() as pipeline:
    for frame in source:
        faces, affect = pipeline.analyze(frame)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_MODULES = {
    "AU_NAMES": "faceaffect.labels",
    "EXPRESSION_NAMES": "faceaffect.labels",
    "Affect": "faceaffect.types",
    "Faces": "faceaffect.types",
    "Frame": "faceaffect.types",
    "PixelFormat": "faceaffect.types",
    "BackendError": "faceaffect.backends",
    "BundleError": "faceaffect.bundle.model_spec",
    "FaceAffectError": "faceaffect.errors",
    "SourceError": "faceaffect.sources",
    "MultiPipeline": "faceaffect.multicamera",
    "Pipeline": "faceaffect.pipeline",
    "open_multi_pipeline": "faceaffect.multicamera",
    "open_pipeline": "faceaffect.pipeline",
    "open_source": "faceaffect.sources",
    "to_bgr": "faceaffect.kernels.color_conversion",
    "YuvColor": "faceaffect.types",
}

if TYPE_CHECKING:
    from faceaffect.backends import BackendError
    from faceaffect.bundle.model_spec import BundleError
    from faceaffect.errors import FaceAffectError
    from faceaffect.kernels.color_conversion import to_bgr
    from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
    from faceaffect.multicamera import MultiPipeline, open_multi_pipeline
    from faceaffect.pipeline import Pipeline, open_pipeline
    from faceaffect.sources import SourceError, open_source
    from faceaffect.types import Affect, Faces, Frame, PixelFormat, YuvColor

__all__ = [
    "AU_NAMES",
    "EXPRESSION_NAMES",
    "Affect",
    "BackendError",
    "BundleError",
    "FaceAffectError",
    "Faces",
    "Frame",
    "MultiPipeline",
    "Pipeline",
    "PixelFormat",
    "SourceError",
    "YuvColor",
    "open_multi_pipeline",
    "open_pipeline",
    "open_source",
    "to_bgr",
]


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that `import faceaffect` is fast."""
    if name not in _MODULES:
        raise AttributeError(f"module 'faceaffect' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value
