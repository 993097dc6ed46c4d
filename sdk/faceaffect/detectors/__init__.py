"""Face detectors: find new faces at the start, at intervals, and after a loss."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_MODULES = {
    "Detections": "faceaffect.detectors.detector",
    "Detector": "faceaffect.detectors.detector",
    "open_detector": "faceaffect.detectors.open_detector",
}

if TYPE_CHECKING:
    from faceaffect.detectors.detector import Detections, Detector
    from faceaffect.detectors.open_detector import open_detector

__all__ = ["Detections", "Detector", "open_detector"]


def __getattr__(name: str) -> Any:
    """Import names on first use: the command line lists the detectors without NumPy and OpenCV."""
    if name not in _MODULES:
        raise AttributeError(f"module 'faceaffect.detectors' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value
