"""Facial action units, expression, valence and arousal for every face in a video.

Examples:
    >>> import faceaffect as fa
    >>> result = fa.analyze("clip.mp4")
    >>> result[59].faces[0].active_aus
    ['AU6', 'AU12']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_MODULES = {
    "AU_NAMES": "faceaffect.labels",
    "EXPRESSION_NAMES": "faceaffect.labels",
    "Affect": "faceaffect.types",
    "AudioError": "faceaffect.audio.audio_source",
    "BackendError": "faceaffect.backends",
    "BundleError": "faceaffect.bundle.model_spec",
    "FaceAffectError": "faceaffect.errors",
    "FaceAnnotator": "faceaffect.drawing.annotator",
    "FaceView": "faceaffect.api.face_view",
    "Faces": "faceaffect.types",
    "Frame": "faceaffect.types",
    "FrameInfo": "faceaffect.types",
    "FrameView": "faceaffect.api.face_view",
    "InputError": "faceaffect.sources.frame_from_pixels",
    "MissingPackageError": "faceaffect.api.result",
    "MultiPipeline": "faceaffect.multicamera",
    "Pipeline": "faceaffect.pipeline",
    "PixelFormat": "faceaffect.types",
    "Progress": "faceaffect.api.progress",
    "Report": "faceaffect.api.report",
    "ReportError": "faceaffect.report.read_rows",
    "Result": "faceaffect.api.result",
    "SinkError": "faceaffect.sinks.sink",
    "SourceError": "faceaffect.sources",
    "Stream": "faceaffect.api.stream",
    "Summary": "faceaffect.api.summary",
    "analyze": "faceaffect.api.analyze",
    "astream": "faceaffect.api.stream",
    "open_multi_pipeline": "faceaffect.multicamera",
    "open_pipeline": "faceaffect.pipeline",
    "open_source": "faceaffect.sources",
    "stream": "faceaffect.api.stream",
    "to_bgr": "faceaffect.kernels.color_conversion",
    "YuvColor": "faceaffect.types",
}

if TYPE_CHECKING:
    from faceaffect.api.analyze import analyze
    from faceaffect.api.face_view import FaceView, FrameView
    from faceaffect.api.progress import Progress
    from faceaffect.api.report import Report
    from faceaffect.api.result import MissingPackageError, Result
    from faceaffect.api.stream import Stream, astream, stream
    from faceaffect.api.summary import Summary
    from faceaffect.audio.audio_source import AudioError
    from faceaffect.backends import BackendError
    from faceaffect.bundle.model_spec import BundleError
    from faceaffect.drawing.annotator import FaceAnnotator
    from faceaffect.errors import FaceAffectError
    from faceaffect.kernels.color_conversion import to_bgr
    from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
    from faceaffect.multicamera import MultiPipeline, open_multi_pipeline
    from faceaffect.pipeline import Pipeline, open_pipeline
    from faceaffect.report.read_rows import ReportError
    from faceaffect.sinks.sink import SinkError
    from faceaffect.sources import SourceError, open_source
    from faceaffect.sources.frame_from_pixels import InputError
    from faceaffect.types import Affect, Faces, Frame, FrameInfo, PixelFormat, YuvColor

__all__ = [
    "AU_NAMES",
    "EXPRESSION_NAMES",
    "Affect",
    "AudioError",
    "BackendError",
    "BundleError",
    "FaceAffectError",
    "FaceAnnotator",
    "FaceView",
    "Faces",
    "Frame",
    "FrameInfo",
    "FrameView",
    "InputError",
    "MissingPackageError",
    "MultiPipeline",
    "Pipeline",
    "PixelFormat",
    "Progress",
    "Report",
    "ReportError",
    "Result",
    "SinkError",
    "SourceError",
    "Stream",
    "Summary",
    "YuvColor",
    "__version__",
    "analyze",
    "astream",
    "open_multi_pipeline",
    "open_pipeline",
    "open_source",
    "stream",
    "to_bgr",
]


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that `import faceaffect` is fast."""
    if name not in _MODULES:
        raise AttributeError(f"module 'faceaffect' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Names for completion: the public ones."""
    return [*__all__]
