"""Overlays compared with stored images that a person has looked at.

`python -m tests.sdk.drawing.test_golden_images` draws them again after an intended change.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.drawing.annotator import FaceAnnotator, OverlayStyle
from faceaffect.types import Affect, Faces, Frame
from tests.sdk.sinks.synthetic_results import synthetic_result

FOLDER = Path(__file__).with_name("golden")
CASES: dict[str, tuple[OverlayStyle, int, bool]] = {
    "panel": ("panel", 1, False),
    "cards": ("panel", 3, False),
    "no_face": ("panel", 0, False),
    "minimal": ("minimal", 2, False),
    "blurred": ("side-by-side", 1, True),
}


def spread_faces(index: int, count: int) -> tuple[Faces, Affect]:
    """Faces beside each other, with landmarks on circles."""
    _, faces, affect = synthetic_result(index, count)
    angle = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for i in range(count):
        center = np.array([110 + 190 * i, 150 + 20 * i])
        faces.box_xyxy[i] = [*(center - 60), *(center + 60)]
        faces.landmarks_xy[i] = center + 50 * circle
    return faces, affect


def draw(style: OverlayStyle, count: int, blur: bool) -> np.ndarray:
    y, x = np.mgrid[:360, :640]
    tile = 60 + 80 * ((x // 40 + y // 40) % 2)
    pixels = np.stack([tile, tile // 2, 2 * tile // 3], axis=2).astype(np.uint8)
    annotator = FaceAnnotator((0.3, 0.6) * 6, style=style, blur_faces=blur)
    for index in range(3):
        frame = Frame(pixels, time_s=index / 10, index=index)
        drawn = annotator.draw(frame, *spread_faces(index, count))
    return drawn


@pytest.mark.parametrize("name", CASES)
def test_overlay_looks_as_it_did(name: str) -> None:
    expected = cv2.imread(str(FOLDER / f"{name}.png"))
    assert expected is not None
    drawn = draw(*CASES[name])
    assert drawn.shape == expected.shape
    difference = np.abs(drawn.astype(int) - expected)
    assert difference.mean() < 0.3, "letters of another FreeType differ by less"
    assert (difference.max(axis=2) > 100).mean() < 0.002


if __name__ == "__main__":
    for name, case in CASES.items():
        cv2.imwrite(str(FOLDER / f"{name}.png"), draw(*case))
