"""Names of the detectors, without the imports that running one needs."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

DETECTORS: Final[tuple[str, ...]] = ("distilled", "mtcnn")
DETECTOR_FILE: Final[Path] = Path(__file__).parents[1] / "models" / "detector" / "detector.onnx"
"""Network of the distilled detector."""
DIGEST_SUFFIX: Final = ".sha256"
"""Suffix of the file beside a network that holds its SHA-256."""
RotateName = Literal["auto", "0", "90", "180", "270"]
AUTO_ROTATION: Final = "auto"
ROTATIONS: Final[dict[str, int]] = {"0": 0, "90": 1, "180": 2, "270": 3}
"""Quarter turns, clockwise, that bring a frame upright, by the name of the option."""


def default_detector() -> str:
    """The distilled detector if its network exists, as in a release, else MTCNN."""
    return "distilled" if DETECTOR_FILE.is_file() else "mtcnn"
