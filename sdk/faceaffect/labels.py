"""Names and order of action units and expressions, as in Aff-Wild2 / ABAW2 (2021)."""

from __future__ import annotations

from typing import Final

AU_NAMES: Final[tuple[str, ...]] = (
    "AU1",
    "AU2",
    "AU4",
    "AU6",
    "AU7",
    "AU10",
    "AU12",
    "AU15",
    "AU23",
    "AU24",
    "AU25",
    "AU26",
)
"""The twelve action units, in the column order of Aff-Wild2's `AU_Set` files."""

AU_MEANINGS: Final[dict[str, str]] = {
    "AU1": "inner brow raiser",
    "AU2": "outer brow raiser",
    "AU4": "brow lowerer",
    "AU6": "cheek raiser",
    "AU7": "lid tightener",
    "AU10": "upper lip raiser",
    "AU12": "lip corner puller",
    "AU15": "lip corner depressor",
    "AU23": "lip tightener",
    "AU24": "lip pressor",
    "AU25": "lips part",
    "AU26": "jaw drop",
}
"""Names of the action units in FACS (Ekman and Friesen, 1978)."""

AU_INTENSITY_MAX: Final[float] = 5.0
"""Strongest intensity of an action unit; 1 to 5 stand for the letters A to E of FACS."""

BLINK_NAME: Final[str] = "AU45"
"""Closed eyes, which the landmarks show: not among the units of Aff-Wild2."""

EXPRESSION_NAMES: Final[tuple[str, ...]] = (
    "neutral",
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
)
"""The seven expressions; the position is the class index of Aff-Wild2's `EXPR_Set` files."""

LANDMARK_COUNT: Final[int] = 68
"""Number of landmarks, in the 68-point order of 300-W.

Jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67. "Right" is the subject's right, which is
the left of the image.
"""
