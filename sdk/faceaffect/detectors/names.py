"""Names of the detectors, without the imports that running one needs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DETECTORS: Final[tuple[str, ...]] = ("distilled", "mtcnn")
DETECTOR_FILE: Final[Path] = Path(__file__).parents[1] / "models" / "detector" / "detector.onnx"
"""Network of the distilled detector."""
DIGEST_SUFFIX: Final = ".sha256"
"""Suffix of the file beside a network that holds its SHA-256."""


def default_detector() -> str:
    """The distilled detector if its network exists, as in a release, else MTCNN."""
    return "distilled" if DETECTOR_FILE.is_file() else "mtcnn"
