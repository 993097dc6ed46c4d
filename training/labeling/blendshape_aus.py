"""Derives AU targets from blendshapes of the teacher and from expression votes."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES

BLENDSHAPE_RULES: Final[dict[str, tuple[tuple[str, ...], float, float, float]]] = {
    "AU1": (("browInnerUp",), 0.15, 0.75, 0.5),
    "AU2": (("browOuterUpLeft", "browOuterUpRight"), 0.15, 0.70, 0.6),
    "AU4": (("browDownLeft", "browDownRight"), 0.10, 0.55, 0.6),
    "AU10": (("mouthUpperUpLeft", "mouthUpperUpRight"), 0.15, 0.65, 0.4),
    "AU12": (("mouthSmileLeft", "mouthSmileRight"), 0.15, 0.65, 1.0),
    "AU24": (("mouthPressLeft", "mouthPressRight"), 0.10, 0.60, 0.3),
    "AU25": (("mouthLowerDownLeft", "mouthLowerDownRight"), 0.05, 0.35, 0.8),
    "AU26": (("jawOpen",), 0.10, 0.45, 0.8),
}
"""AU -> blendshapes (averaged), value at target 0, value at target 1, weight of the target.

The teacher does not respond to AU6, 7, 15 and 23, so these have no rule.
"""

VOTE_PRIORS: Final[dict[str, dict[str, float]]] = {
    "AU6": {"happiness": 0.9},
    "AU7": {"anger": 0.7, "happiness": 0.3},
    "AU15": {"sadness": 0.6},
    "AU23": {"anger": 0.5},
}
"""AU -> weight of each expression's vote fraction, after the EMFACS prototypes.

A weak prior, not a measurement, with target weight `VOTE_PRIOR_WEIGHT`, for AUs that no teacher
detects on real faces.
"""

VOTE_PRIOR_WEIGHT: Final = 0.15


def aus_from_blendshapes(
    blendshapes: NDArray[np.float32], names: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns soft targets and weights, both [N, 12], of blendshapes [N, 52]."""
    target = np.zeros((len(blendshapes), len(AU_NAMES)), np.float32)
    weight = np.zeros_like(target)
    for au, (shapes, low, high, target_weight) in BLENDSHAPE_RULES.items():
        value = blendshapes[:, [names.index(shape) for shape in shapes]].mean(axis=1)
        column = AU_NAMES.index(au)
        target[:, column] = np.clip((value - low) / (high - low), 0, 1)
        weight[:, column] = target_weight
    jaw_drop = AU_NAMES.index("AU26")
    lips_part = AU_NAMES.index("AU25")
    # An open jaw implies parted lips: the teacher has no reliable "jaw open, lips closed" output.
    target[:, lips_part] = np.maximum(target[:, lips_part], target[:, jaw_drop])
    return target, weight


def refine_with_votes(
    target: NDArray[np.float32], weight: NDArray[np.float32], votes: NDArray[np.float32]
) -> None:
    """Suppresses known false positives using votes [N, 7] and adds the vote priors, in place."""
    fraction = {name: votes[:, i] for i, name in enumerate(EXPRESSION_NAMES)}
    smile = AU_NAMES.index("AU12")
    # The teacher reports smiles on crying faces: no smile if nobody voted for happiness but many
    # voted for a negative emotion.
    negative = fraction["sadness"] + fraction["anger"] + fraction["fear"] + fraction["disgust"]
    target[:, smile] = np.where(
        (fraction["happiness"] < 0.1) & (negative > 0.5), 0.0, target[:, smile]
    )
    inner_brow = AU_NAMES.index("AU1")
    # The teacher reports raised inner brows on neutral faces.
    target[:, inner_brow] *= 1 - np.clip(fraction["neutral"] - 0.5, 0, 0.5)
    for au, weights in VOTE_PRIORS.items():
        column = AU_NAMES.index(au)
        target[:, column] = sum(value * fraction[name] for name, value in weights.items())
        weight[:, column] = VOTE_PRIOR_WEIGHT
