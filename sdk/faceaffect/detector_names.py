"""The detectors that are shipped, by name; apart from them, so that a command line need not load them."""

from __future__ import annotations

from typing import Final

DETECTORS: Final[tuple[str, ...]] = ("distilled", "mtcnn")
DEFAULT_DETECTOR: Final = "mtcnn"
