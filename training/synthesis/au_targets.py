"""Morph targets (blend shapes) that produce each action unit on the two rigs.

A name ending in `*` stands for the pair `...Left` and `...Right`. Weights are for intensity 1.
Where an action unit has several variants, one is drawn per face so that a network does not
overfit to one sculptor's style. The ARKit rig has no lip tightener; AU23 is approximated there by
its effect: the mouth narrows (part of the pucker) while both lips roll in (parts of the rolls,
which also cancel the pucker's protrusion), so the red of the lips becomes thin and short. The
cheek raisers of both rigs lack the pad that rises below the eye, which `custom/cheek_bulge` adds
(see `head_mesh`); the lid tighteners of both rigs lack the bulge of the lower lid, which
`custom/lid_bulge` adds. Every AU7 variant raises the lower lid, because an upper lid that comes
down alone is half a blink.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from training.synthesis.head_mesh import FloatArray, HeadMesh

TargetWeights = dict[str, float]

RIG_NAMES: Final[tuple[str, str]] = ("facs", "arkit")

APPROXIMATED_AUS: Final[frozenset[str]] = frozenset({"AU23"})
"""AUs that one rig lacks and approximates with targets of other AUs: not a fair test of transfer
between rigs.
"""

_FACS: Final[dict[str, list[TargetWeights]]] = {
    "AU1": [{"facs/1": 0.95}, {"facs/1": 0.55, "facs/1_a": 0.7}],
    "AU2": [{"facs/2": 1.2}, {"facs/2": 0.8, "facs/2_a": 0.7}],
    "AU4": [
        {"facs/4_b": 1.0, "facs/4_a": 0.35},
        {"facs/4_b": 0.8, "facs/4": 0.35},
        {"facs/4_a": 0.9, "facs/4_b": 0.5},
    ],
    "AU6": [
        {"facs/6": 1.3, "custom/cheek_bulge": 1.0},
        {"facs/6_a": 1.3, "custom/cheek_bulge": 0.9},
        {"facs/6_b": 1.1, "custom/cheek_bulge": 1.0},
    ],
    "AU7": [{"facs/7": 1.1, "custom/lid_bulge": 1.2}],
    "AU10": [{"facs/10": 1.3}],
    "AU12": [{"facs/12": 1.15}, {"facs/12_a": 1.15}, {"facs/12_b": 1.2}],
    "AU15": [{"facs/15": 1.5}],
    "AU23": [{"facs/23": 1.3}],
    "AU24": [{"facs/24": 1.35}],
    "AU25": [{"facs/25": 0.8}, {"facs/25_a": 0.8}, {"facs/16": 0.7}],
    "AU26": [{"facs/26": 0.6}, {"facs/26_a": 0.6}, {"facs/26_lip_down": 0.6}],
    "blink": [{"facs/43": 1.0}],
    "AU5": [{"facs/5": 1.0}],
    "AU9": [{"facs/9": 1.0}, {"facs/9_a": 0.8}],
    "AU14": [{"facs/14": 1.0}],
    "AU16": [{"facs/16": 0.7}],
    "AU17": [{"facs/17": 0.9}, {"facs/17_a": 0.8}],
    "AU18": [{"facs/18": 1.0}, {"facs/18_a": 0.7}],
    "AU20": [{"facs/20": 0.8}],
    "AU22": [{"facs/22_25_up_down": 0.9}, {"facs/22_25_upper": 0.9}],
    "AU28": [{"facs/28": 0.8}, {"facs/28_a": 1.0}, {"facs/28_bottom": 0.9}],
    "puff": [{"facs/34": 0.7}, {"facs/33": 0.8}],
    "nostrils": [{"facs/38": 1.0}, {"facs/39": 1.0}],
    "tongue": [{"facs/19": 1.0}],
}

_ARKIT: Final[dict[str, list[TargetWeights]]] = {
    "AU1": [{"arkit/browInnerUp": 1.9}],
    "AU2": [{"arkit/browOuterUp*": 1.35}],
    "AU4": [{"arkit/browDown*": 1.3}],
    "AU6": [{"arkit/cheekSquint*": 1.4, "custom/cheek_bulge": 0.9}],
    "AU7": [
        {"arkit/eyeSquint*": 1.35, "custom/lid_bulge": 1.1},
        {
            "arkit/eyeSquint*": 0.85,
            "mhunits/eye-left-slit": 0.4,
            "mhunits/eye-right-slit": 0.4,
            "custom/lid_bulge": 1.2,
        },
    ],
    "AU10": [{"arkit/mouthUpperUp*": 0.75, "arkit/noseSneer*": 0.35}],
    "AU12": [{"arkit/mouthSmile*": 0.85}],
    "AU15": [{"arkit/mouthFrown*": 1.4}],
    "AU23": [
        {"arkit/mouthPucker": 0.5, "arkit/mouthRollUpper": 0.38, "arkit/mouthRollLower": 0.32}
    ],
    "AU24": [
        {
            "arkit/mouthPress*": 0.6,
            "arkit/mouthRollUpper": 0.45,
            "arkit/mouthRollLower": 0.45,
            "arkit/mouthFrown*": 0.2,
        }
    ],
    "AU25": [
        {"arkit/mouthLowerDown*": 1.1},
        {"arkit/mouthLowerDown*": 0.7, "arkit/mouthUpperUp*": 0.4},
    ],
    "AU26": [{"arkit/jawOpen": 0.55}],
    "blink": [{"arkit/eyeBlink*": 1.0}],
    "AU5": [{"arkit/eyeWide*": 1.0}],
    "AU9": [{"arkit/noseSneer*": 1.2}],
    "AU14": [{"arkit/mouthDimple*": 1.0}],
    "AU16": [{"arkit/mouthLowerDown*": 0.8}],
    "AU17": [{"arkit/mouthShrugLower": 1.0}],
    "AU18": [{"arkit/mouthPucker": 1.0}],
    "AU20": [{"arkit/mouthStretch*": 1.0}],
    "AU22": [{"arkit/mouthFunnel": 0.8}],
    "AU28": [
        {"arkit/mouthRollLower": 1.0, "arkit/mouthRollUpper": 1.0},
        {"arkit/mouthRollLower": 1.1},
    ],
    "puff": [{"arkit/cheekPuff": 0.9}],
    "nostrils": [{"mhunits/nose-left-dilatation": 0.8, "mhunits/nose-right-dilatation": 0.8}],
    "tongue": [{"arkit/tongueOut": 0.9}],
}

AU_TARGETS: Final[dict[str, dict[str, list[TargetWeights]]]] = {"facs": _FACS, "arkit": _ARKIT}

_INTENSITY_TO_WEIGHT: Final = ((0.0, 0.15, 0.3, 0.4, 1.0), (0.0, 0.08, 0.38, 0.5, 1.0))
"""Piecewise linear map from AU intensity to morph target weight: a trace is invisible, 0.3 is
visible, 1 is strong.
"""


def intensity_to_weight(intensity: float) -> float:
    """Returns the weight of an action unit's full shape at an intensity; both in 0..1."""
    return float(np.interp(intensity, *_INTENSITY_TO_WEIGHT))


MIDLINE_BLEND_DM: Final[float] = 0.07
"""Half width of the band around the facial midline in which left weights blend into right ones."""


def target_weights(
    rig: str, units: dict[str, tuple[float, float]], variant_index: dict[str, int]
) -> dict[str, tuple[float, float]]:
    """Returns target weights (left, right) of intensities (left, right) by AU name.

    `variant_index` selects one of the variants of each AU.
    """
    weights: dict[str, tuple[float, float]] = {}
    for unit, (left, right) in units.items():
        variants = AU_TARGETS[rig][unit]
        left = intensity_to_weight(left)
        right = intensity_to_weight(right)
        for target, weight in variants[variant_index.get(unit, 0) % len(variants)].items():
            previous = weights.get(target, (0.0, 0.0))
            weights[target] = (previous[0] + weight * left, previous[1] + weight * right)
    return weights


def gaze_weights(right_deg: float, up_deg: float) -> dict[str, tuple[float, float]]:
    """Returns target weights that turn both eyes towards the right and top of the image.

    The lids follow; weight 1 is about 30 degrees.
    """
    h = np.clip(right_deg / 30, -1, 1)
    v = np.clip(up_deg / 30, -1, 1)
    eye_weights = {
        "arkit/eyeLookOutLeft": max(h, 0.0),
        "arkit/eyeLookInRight": max(h, 0.0),
        "arkit/eyeLookInLeft": max(-h, 0.0),
        "arkit/eyeLookOutRight": max(-h, 0.0),
        "arkit/eyeLookUpLeft": max(v, 0.0),
        "arkit/eyeLookUpRight": max(v, 0.0),
        "arkit/eyeLookDownLeft": max(-v, 0.0),
        "arkit/eyeLookDownRight": max(-v, 0.0),
    }
    return {name: (float(w), float(w)) for name, w in eye_weights.items() if w}


UPPER_FACE_Y: Final[tuple[float, float]] = (6.80, 6.95)
"""Vertical band (base mesh decimeters) over which the cheek raiser targets fade out downwards:
they would also move the lips.
"""


def displace_sides(head: HeadMesh, weights: dict[str, tuple[float, float]]) -> FloatArray:
    """Returns displacements [N, 3] in decimeters of targets weighted per half of the face."""
    displacement = np.zeros_like(head.base)
    is_left = np.clip(0.5 + head.base[:, 0] / (2 * MIDLINE_BLEND_DM), 0, 1)
    is_left = is_left * is_left * (3 - 2 * is_left)
    for name, (left, right) in weights.items():
        if name.endswith("*"):
            sides = [(name[:-1] + "Left", left, left), (name[:-1] + "Right", right, right)]
        else:
            sides = [(name, left, right)]
        for target, w_left, w_right in sides:
            if w_left == 0.0 and w_right == 0.0:
                continue
            index, delta = head.targets[target]
            left_weight = is_left[index]
            if target.startswith("facs/6"):
                low, high = UPPER_FACE_Y
                delta = delta * np.clip((head.base[index, 1:2] - low) / (high - low), 0, 1)
            weight = w_left * left_weight + w_right * (1 - left_weight)
            displacement[index] += weight[:, None].astype(np.float32) * delta
    return displacement
