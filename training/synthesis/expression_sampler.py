"""Random expressions: twelve action unit intensities for each half of the face, and units outside
the twelve.

Labels must be true of the image, so units that hide or undo each other are not drawn together
(`_resolve`), and the writer sets AU25 afterwards from the opening of the lips that the mesh
really shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.labels import AU_NAMES
from training.synthesis.au_targets import gaze_weights, response, unit_weights
from training.synthesis.head_mesh import FloatArray

PRESENT_INTENSITY: Final[float] = 0.3
"""From this intensity on an action unit counts as present (FACS grade B and up)."""

TRACE_INTENSITY: Final[float] = 0.12
"""Traces of absent units stay below this, so few images lie at the threshold."""

EXTRA_NAMES: Final = (
    "blink", "AU5", "AU9", "AU14", "AU16", "AU17", "AU18", "AU20", "AU22", "AU28", "puff", "nostrils", "tongue",
)  # fmt: skip

_PROTOTYPES: Final[list[tuple[float, dict[str, float]]]] = [
    # share, probability of each unit (EMFACS and its common variants)
    (2.2, {"AU6": 0.8, "AU12": 1.0, "AU25": 0.55, "AU26": 0.2, "AU7": 0.25}),  # joy
    (1.2, {"AU1": 0.95, "AU2": 0.95, "AU5": 0.6, "AU25": 0.7, "AU26": 0.7}),  # surprise
    (
        1.7,
        {"AU1": 0.85, "AU4": 0.75, "AU15": 0.9, "AU17": 0.4, "AU7": 0.15, "AU25": 0.1},
    ),  # sadness
    (
        1.3,
        {"AU4": 0.95, "AU7": 0.7, "AU5": 0.2, "AU23": 0.5, "AU24": 0.45, "AU17": 0.3},
    ),  # anger, mouth closed
    (0.7, {"AU4": 0.95, "AU7": 0.6, "AU10": 0.7, "AU25": 0.9, "AU26": 0.4}),  # anger, mouth open
    (
        1.3,
        {"AU10": 0.9, "AU9": 0.5, "AU4": 0.5, "AU7": 0.5, "AU17": 0.3, "AU25": 0.3, "AU6": 0.2},
    ),  # disgust
    (
        0.9,
        {
            "AU1": 0.9,
            "AU2": 0.7,
            "AU4": 0.8,
            "AU5": 0.5,
            "AU7": 0.3,
            "AU20": 0.5,
            "AU25": 0.7,
            "AU26": 0.4,
        },
    ),  # fear
    (0.6, {"AU4": 0.9, "AU6": 0.8, "AU7": 0.8, "AU10": 0.7, "AU25": 0.5, "blink": 0.3}),  # pain
    (0.8, {"AU4": 0.6, "AU7": 0.6, "AU24": 0.6, "AU23": 0.3, "AU15": 0.2}),  # concentration
    (
        1.2,
        {
            "AU25": 0.9,
            "AU26": 0.6,
            "AU18": 0.15,
            "AU22": 0.25,
            "AU20": 0.2,
            "AU16": 0.3,
            "AU12": 0.2,
        },
    ),  # speech
    (0.6, {"AU15": 0.6, "AU17": 0.9, "AU24": 0.5, "AU1": 0.3, "AU2": 0.3}),  # doubt
]

_SINGLE_SHARE: Final[dict[str, float]] = {
    "AU23": 1.6,
    "AU24": 1.5,
    "AU15": 1.3,
    "AU7": 1.3,
    "AU10": 1.3,
    "AU26": 0.8,
}

_WRINKLES: Final[dict[str, dict[str, float]]] = {
    "AU1": {"forehead_middle": 1.0},
    "AU2": {"forehead_side": 1.0, "forehead_middle": 0.15},
    "AU4": {"glabella": 1.25},
    "AU6": {"crow_feet": 1.3},
    "AU7": {"lower_lid": 1.2},
    "AU9": {"nose_root": 1.0, "nasolabial_upper": 0.7, "glabella": 0.25},
    "AU10": {"nasolabial_upper": 1.0, "nasolabial_lower": 0.25},
    "AU12": {"nasolabial_lower": 0.8, "nasolabial_upper": 0.35, "cheek_line": 0.45},
    "AU14": {"cheek_line": 0.8},
    "AU15": {"mouth_corner_down": 1.0},
    "AU17": {"chin": 1.0},
    "AU20": {"mouth_corner_down": 0.25, "cheek_line": 0.2},
    "AU23": {"lip_edge": 1.1},
    "AU24": {"chin": 0.35, "mouth_corner_down": 0.2},
}
"""Which folds deepen with which unit, at intensity 1."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Unit intensities in 0..1 as (left, right) halves of the subject's face, and where the eyes
    look.
    """

    units: dict[str, tuple[float, float]]
    gaze_deg: tuple[float, float]  # towards the image's right, up
    recipe_index: dict[str, int]

    def au_intensity(self) -> FloatArray:
        """Intensity [12] in the order of AU_NAMES: the stronger half counts, as in FACS scoring."""
        return np.array([max(self.units.get(name, (0.0, 0.0))) for name in AU_NAMES], np.float32)

    def target_weights(self, rig: str) -> dict[str, tuple[float, float]]:
        """Target weights (left, right) on a rig of `au_targets`."""
        return {**unit_weights(rig, self.units, self.recipe_index), **gaze_weights(*self.gaze_deg)}

    def wrinkle_weights(self, names: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
        """Depths [12] of the folds `names` on the left and on the right half."""
        depth = np.zeros((2, len(names)), np.float32)
        for unit, sides in self.units.items():
            for fold, share in _WRINKLES.get(unit, {}).items():
                depth[:, names.index(fold)] += share * np.array(
                    [response(side) for side in sides], np.float32
                )
        return depth[0], depth[1]


def sample_expression(rng: np.random.Generator, rig: str) -> Expression:
    """A random expression that the rig can show."""
    mode = rng.random()
    if mode < 0.08:
        chosen: set[str] = set()
    elif mode < 0.28:
        chosen = {_draw_single(rng)}
    elif (
        mode < 0.62
    ):  # units apart from their usual company: what tells them from whole expressions
        chosen = {_draw_single(rng) for _ in range(rng.integers(2, 7))}
    else:
        shares = np.array([share for share, _ in _PROTOTYPES])
        _, parts = _PROTOTYPES[rng.choice(len(_PROTOTYPES), p=shares / shares.sum())]
        chosen = {unit for unit, probability in parts.items() if rng.random() < probability}
        if rng.random() < 0.25:
            chosen.add(_draw_single(rng))
    strength = {unit: _draw_strength(rng) for unit in sorted(chosen)}
    _add_extras(rng, strength)
    _resolve(rng, strength)
    _add_traces(rng, strength)
    units = _split_sides(rng, strength)
    gaze = (float(np.clip(rng.normal(0, 8), -24, 24)), float(np.clip(rng.normal(-1, 6), -18, 14)))
    recipes = {unit: int(rng.integers(0, 6)) for unit in units}
    return Expression(units, gaze, recipes)


def _draw_single(rng: np.random.Generator) -> str:
    share = np.array([_SINGLE_SHARE.get(name, 1.0) for name in AU_NAMES])
    return str(rng.choice(AU_NAMES, p=share / share.sum()))


def _draw_strength(rng: np.random.Generator) -> float:
    return float(0.4 + 0.6 * rng.beta(1.2, 1.0))


def _add_extras(rng: np.random.Generator, strength: dict[str, float]) -> None:
    """Units outside the twelve, so that the network does not mistake them for their neighbors."""
    if rng.random() < 0.10:
        strength["blink"] = float(rng.choice([1.0, rng.uniform(0.5, 1.0)]))
    if rng.random() < 0.28:
        strength.setdefault(str(rng.choice(EXTRA_NAMES[1:])), float(rng.uniform(0.25, 0.95)))
    if rng.random() < 0.06:
        strength.setdefault("AU5", float(rng.uniform(0.3, 1.0)))


def _drop_one(
    rng: np.random.Generator, strength: dict[str, float], group: set[str], against: set[str]
) -> None:
    """When units of both sets are drawn, keep one set at random."""
    if strength.keys() & group and strength.keys() & against:
        for unit in group if rng.random() < 0.5 else against:
            strength.pop(unit, None)


def _resolve(rng: np.random.Generator, strength: dict[str, float]) -> None:
    """Take out what would hide or undo something else; change `strength` in place."""
    open_mouth = {"AU25", "AU26", "AU16", "AU22", "tongue"}
    _drop_one(rng, strength, {"AU23", "AU24"}, open_mouth)
    _drop_one(
        rng,
        strength,
        {"AU28", "puff"},
        {*open_mouth, "AU10", "AU23", "AU24", "AU12", "AU15", "AU17", "AU18"},
    )
    _drop_one(rng, strength, {"AU12"}, {"AU15"})
    _drop_one(
        rng, strength, {"AU18", "AU22"}, {"AU12", "AU15", "AU20", "AU23", "AU24", "AU10", "AU14"}
    )
    _drop_one(rng, strength, {"AU23"}, {"AU24"} if rng.random() < 0.7 else set())
    _drop_one(rng, strength, {"AU17"}, {*open_mouth, "AU12"})
    if "AU14" in strength and strength.keys() & {"AU12", "AU15"}:
        strength.pop("AU14")
    if strength.keys() & {"AU23", "AU24"} and "AU12" in strength:
        strength["AU12"] = min(strength["AU12"], 0.6)
    if "AU10" in strength and strength.keys() & {"AU23", "AU24"}:
        strength.pop("AU10")
    if strength.get("blink", 0.0) > 0.3:
        for unit in ("AU5", "AU7"):
            strength.pop(unit, None)
    if "AU9" in strength and "AU10" not in strength:
        strength["AU9"] = min(strength["AU9"], 0.7)
    if "AU26" in strength:
        strength["AU25"] = max(strength.get("AU25", 0.0), 0.4)


def _add_traces(rng: np.random.Generator, strength: dict[str, float]) -> None:
    for name in AU_NAMES:
        if name not in strength and name not in ("AU25", "AU26", "AU7") and rng.random() < 0.10:
            strength[name] = float(rng.uniform(0.0, TRACE_INTENSITY))


def _split_sides(
    rng: np.random.Generator, strength: dict[str, float]
) -> dict[str, tuple[float, float]]:
    """Left and right intensities: mostly nearly equal, sometimes clearly different, seldom
    one-sided.
    """
    units = {}
    tilt = rng.normal(0, 0.06)
    for unit, value in strength.items():
        weaker = 1.0 - abs(tilt + rng.normal(0, 0.05))
        if unit not in ("AU26", "AU25", "blink") and rng.random() < 0.08:
            weaker = rng.uniform(0.0, 0.6)
        weaker = float(np.clip(weaker, 0.0, 1.0)) * value
        units[unit] = (value, weaker) if rng.random() < 0.5 else (weaker, value)
    return units
