"""Action unit prototypes of emotions.

Prototypes and major variants of the EMFACS tables: Ekman, Friesen and Hager (2002), Facial
Action Coding System, Investigator's Guide, table 10-2 (first Friesen and Ekman 1983, EMFACS-7).
AU27 is represented by a stronger
AU26; the rigs have no AU11; AU22 and AU23 with parted lips are left out because they look alike on
both rigs. Compound emotions: Du, Tao and Martinez (2014), Compound
facial to_expressions of emotion, PNAS 111(15), table 1.
"""

from __future__ import annotations

from typing import Final

from faceaffect.labels import EXPRESSION_NAMES

EMOTION_NAMES: Final[tuple[str, ...]] = EXPRESSION_NAMES[1:]

Prototype = dict[str, float]
"""Intensity by unit when the emotion is at full strength."""

PROTOTYPES: Final[dict[str, tuple[Prototype, ...]]] = {
    "anger": (
        {"AU4": 1.0, "AU5": 0.5, "AU7": 0.8, "AU23": 0.9},
        {"AU4": 1.0, "AU5": 0.5, "AU7": 0.8, "AU24": 0.9},
        {"AU4": 0.9, "AU7": 0.8, "AU17": 0.6, "AU23": 0.9},
        {"AU4": 0.9, "AU5": 0.4, "AU7": 0.8, "AU17": 0.6, "AU24": 0.9},
        {"AU4": 1.0, "AU7": 0.9, "AU10": 0.8, "AU25": 0.7, "AU26": 0.4},
    ),
    "disgust": (
        {"AU9": 0.7, "AU10": 0.5, "AU4": 0.4},
        {"AU9": 0.7, "AU10": 0.6, "AU16": 0.5, "AU25": 0.6},
        {"AU10": 1.0, "AU17": 0.5},
        {"AU10": 1.0, "AU16": 0.5, "AU25": 0.6, "AU26": 0.4},
        {"AU10": 0.95, "AU7": 0.6},
    ),
    "fear": (
        {"AU1": 1.0, "AU2": 0.7, "AU4": 0.8, "AU5": 0.9, "AU20": 0.7, "AU25": 0.6},
        {"AU1": 1.0, "AU2": 0.7, "AU4": 0.8, "AU5": 0.9, "AU20": 0.6, "AU25": 0.6, "AU26": 0.6},
        {"AU1": 1.0, "AU2": 0.8, "AU4": 0.8, "AU5": 0.9},
        {"AU1": 0.9, "AU2": 0.8, "AU5": 1.0, "AU25": 0.6, "AU26": 0.5},
    ),
    "happiness": (
        {"AU6": 0.85, "AU12": 1.0},
        {"AU6": 0.85, "AU12": 1.0, "AU25": 0.8},
        {"AU6": 0.9, "AU12": 1.0, "AU25": 0.9, "AU26": 0.45},
        {"AU12": 0.9},
    ),
    "sadness": (
        {"AU1": 0.9, "AU4": 0.7, "AU15": 0.9},
        {"AU1": 0.9, "AU4": 0.7, "AU15": 0.9, "AU17": 0.6},
        {"AU6": 0.6, "AU15": 0.95, "AU17": 0.4},
        {"AU1": 1.0, "AU4": 0.7},
    ),
    "surprise": (
        {"AU1": 1.0, "AU2": 1.0, "AU5": 0.7, "AU25": 0.7, "AU26": 0.9},
        {"AU1": 1.0, "AU2": 1.0, "AU5": 0.7},
        {"AU1": 1.0, "AU2": 1.0, "AU25": 0.6, "AU26": 0.8},
        {"AU5": 0.8, "AU25": 0.6, "AU26": 0.9},
    ),
}

COMPOUNDS: Final[tuple[tuple[str, str], ...]] = (
    ("happiness", "surprise"),
    ("happiness", "disgust"),
    ("sadness", "fear"),
    ("sadness", "anger"),
    ("sadness", "surprise"),
    ("sadness", "disgust"),
    ("fear", "anger"),
    ("fear", "surprise"),
    ("fear", "disgust"),
    ("anger", "surprise"),
    ("anger", "disgust"),
    ("disgust", "surprise"),
)
"""Pairs of emotions with observed compound expressions."""


def blend_partners(emotion: str) -> tuple[str, ...]:
    """Returns the emotions that form a compound with `emotion`."""
    return tuple(b if a == emotion else a for a, b in COMPOUNDS if emotion in (a, b))
