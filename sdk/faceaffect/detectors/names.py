"""The detectors that are shipped, by name; apart from them, so that a command line need not load
them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

DETECTORS: Final[tuple[str, ...]] = ("distilled", "mtcnn")
DETECTOR_FILE: Final[Path] = Path(__file__).parents[1] / "models" / "detector" / "detector.onnx"
"""Network of the distilled detector."""
DIGEST_SUFFIX: Final = ".sha256"
"""Of the file beside it that holds its SHA-256."""


def default_detector() -> str:
    """The distilled one where its network is there, as in a release, else MTCNN of its package."""
    return "distilled" if DETECTOR_FILE.is_file() else "mtcnn"
