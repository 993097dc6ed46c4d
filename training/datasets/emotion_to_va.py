"""Valence and arousal of emotion words: a mapping from the literature, not ratings of images."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import EXPRESSION_NAMES

COORDINATES: Final[dict[str, tuple[float, float]]] = {
    "neutral": (0.0, 0.0),
    "anger": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "happiness": (0.81, 0.51),
    "sadness": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
}
"""(valence, arousal) of each emotion word: mean pleasure and arousal ratings of Russell and
Mehrabian (1977), "Evidence for a three-factor theory of emotions", Journal of Research in
Personality 11; neutral is the origin by definition.
"""


def valence_arousal(distribution: NDArray[np.float32]) -> NDArray[np.float32]:
    """Expected (valence, arousal) [N, 2] of distributions over the seven expressions [N, 7]."""
    table = np.array([COORDINATES[name] for name in EXPRESSION_NAMES], np.float32)
    return np.asarray(distribution @ table, np.float32)
