"""Action units out of the teacher's blendshapes, for those that it can tell; and hints out of
people's votes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES

RULES: Final[dict[str, tuple[tuple[str, ...], float, float, float]]] = {
    "AU1": (("browInnerUp",), 0.15, 0.75, 0.5),
    "AU2": (("browOuterUpLeft", "browOuterUpRight"), 0.15, 0.70, 0.6),
    "AU4": (("browDownLeft", "browDownRight"), 0.10, 0.55, 0.6),
    "AU10": (("mouthUpperUpLeft", "mouthUpperUpRight"), 0.15, 0.65, 0.4),
    "AU12": (("mouthSmileLeft", "mouthSmileRight"), 0.15, 0.65, 1.0),
    "AU24": (("mouthPressLeft", "mouthPressRight"), 0.10, 0.60, 0.3),
    "AU25": (("mouthLowerDownLeft", "mouthLowerDownRight"), 0.05, 0.35, 0.8),
    "AU26": (("jawOpen",), 0.10, 0.45, 0.8),
}
"""AU -> blendshapes (mean), value that means certainly off, value that means certainly on, weight
of the target. The teacher is dead for AU6, 7, 15 and 23 (see its note), so these have no rule.
"""

HINTS: Final[dict[str, dict[str, float]]] = {
    "AU6": {"happiness": 0.9},
    "AU7": {"anger": 0.7, "happiness": 0.3},
    "AU15": {"sadness": 0.6},
    "AU23": {"anger": 0.5},
}
"""AU -> share of each expression's votes that is taken for it, after the prototypes of EMFACS. A
weak prior for AUs that no teacher sees on real faces, used at `HINT_WEIGHT`; it is no
measurement.
"""

HINT_WEIGHT: Final = 0.15


def aus_from_blendshapes(
    blendshapes: NDArray[np.float32], names: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Soft targets and weights, both [N, 12], of blendshapes [N, 52]."""
    target = np.zeros((len(blendshapes), len(AU_NAMES)), np.float32)
    weight = np.zeros_like(target)
    for au, (shapes, low, high, trust) in RULES.items():
        value = blendshapes[:, [names.index(shape) for shape in shapes]].mean(axis=1)
        column = AU_NAMES.index(au)
        target[:, column] = np.clip((value - low) / (high - low), 0, 1)
        weight[:, column] = trust
    jaw = AU_NAMES.index("AU26")
    parted = AU_NAMES.index("AU25")
    # An open jaw parts the lips here: the teacher has no "jaw open, lips closed" that could be
    # trusted.
    target[:, parted] = np.maximum(target[:, parted], target[:, jaw])
    return target, weight


def add_vote_evidence(
    target: NDArray[np.float32], weight: NDArray[np.float32], votes: NDArray[np.float32]
) -> None:
    """Gate the teacher's known false alarms by people's votes [N, 7], and add the hints, in place."""
    share = {name: votes[:, i] for i, name in enumerate(EXPRESSION_NAMES)}
    smile = AU_NAMES.index("AU12")
    # The teacher sees smiles on crying faces: no smile where nobody saw happiness but many saw a
    # negative emotion.
    negative = share["sadness"] + share["anger"] + share["fear"] + share["disgust"]
    target[:, smile] = np.where(
        (share["happiness"] < 0.1) & (negative > 0.5), 0.0, target[:, smile]
    )
    inner = AU_NAMES.index("AU1")
    # ... and raised inner brows on neutral ones.
    target[:, inner] *= 1 - np.clip(share["neutral"] - 0.5, 0, 0.5)
    for au, parts in HINTS.items():
        column = AU_NAMES.index(au)
        target[:, column] = sum(amount * share[name] for name, amount in parts.items())
        weight[:, column] = HINT_WEIGHT
