"""Samples random expressions: AU intensities per half of the face, with distractors.

`unit` stands for an action unit or action descriptor of FACS: the twelve labeled AUs and the
distractors `EXTRA_AU_NAMES`. Labels must be true of the image, so units that hide or cancel each
other are not sampled together (`_resolve_conflicts`), and `FaceRenderer` replaces the AU25 label
by the lip opening measured on the deformed mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.labels import AU_NAMES
from training.synthesis.au_targets import gaze_weights, intensity_to_weight, target_weights
from training.synthesis.head_mesh import FloatArray

PRESENT_INTENSITY: Final[float] = 0.3
"""An action unit counts as present from this intensity on (FACS grade B and above)."""

TRACE_INTENSITY: Final[float] = 0.12
"""Upper bound of the traces of absent units; leaves a margin to the presence threshold."""

EXTRA_AU_NAMES: Final = (
    *("blink", "AU5", "AU9", "AU14", "AU16", "AU17", "AU18", "AU20", "AU22", "AU28"),
    *("puff", "nostrils", "tongue"),
)
"""Distractor units without a label; eye closure (AU43) comes first."""

_PROTOTYPES: Final[list[tuple[float, dict[str, float]]]] = [
    # weight, probability of each unit (EMFACS and its common variants)
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

_SINGLE_AU_WEIGHT: Final[dict[str, float]] = {
    "AU23": 1.6,
    "AU24": 1.5,
    "AU15": 1.3,
    "AU7": 1.3,
    "AU10": 1.3,
    "AU26": 0.8,
}

AU_WRINKLES: Final[dict[str, dict[str, float]]] = {
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
"""Depth that each unit adds to skin folds at intensity 1."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Unit intensities in 0..1 for the (left, right) halves of the subject's face, and gaze."""

    units: dict[str, tuple[float, float]]
    gaze_deg: tuple[float, float]  # towards the right and top of the image
    variant_index: dict[str, int]  # of AU_TARGETS, by unit

    def au_intensity(self) -> FloatArray:
        """Returns intensities [12] in AU_NAMES order; the stronger half counts, as in FACS."""
        return np.array([max(self.units.get(name, (0.0, 0.0))) for name in AU_NAMES], np.float32)

    def target_weights(self, rig: str) -> dict[str, tuple[float, float]]:
        """Returns morph target weights (left, right) on a rig of `au_targets`."""
        return {
            **target_weights(rig, self.units, self.variant_index),
            **gaze_weights(*self.gaze_deg),
        }

    def wrinkle_weights(self, names: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
        """Returns depths [12] of the folds `names` on the left and on the right half."""
        depth = np.zeros((2, len(names)), np.float32)
        for unit, sides in self.units.items():
            for fold, gain in AU_WRINKLES.get(unit, {}).items():
                depth[:, names.index(fold)] += gain * np.array(
                    [intensity_to_weight(side) for side in sides], np.float32
                )
        return depth[0], depth[1]


def sample_expression(rng: np.random.Generator, rig: str) -> Expression:
    """Samples a random expression that the rig can show."""
    mode = rng.random()
    if mode < 0.08:
        chosen: set[str] = set()
    elif mode < 0.28:
        chosen = {_sample_single_au(rng)}
    elif mode < 0.62:  # unusual combinations, so that units are learned apart from prototypes
        chosen = {_sample_single_au(rng) for _ in range(rng.integers(2, 7))}
    else:
        weights = np.array([weight for weight, _ in _PROTOTYPES])
        _, units_of = _PROTOTYPES[rng.choice(len(_PROTOTYPES), p=weights / weights.sum())]
        chosen = {unit for unit, probability in units_of.items() if rng.random() < probability}
        if rng.random() < 0.25:
            chosen.add(_sample_single_au(rng))
    intensity = {unit: _sample_intensity(rng) for unit in sorted(chosen)}
    _add_extras(rng, intensity)
    _resolve_conflicts(rng, intensity)
    _add_traces(rng, intensity)
    units = _split_sides(rng, intensity)
    gaze = (float(np.clip(rng.normal(0, 8), -24, 24)), float(np.clip(rng.normal(-1, 6), -18, 14)))
    variants = {unit: int(rng.integers(0, 6)) for unit in units}
    return Expression(units, gaze, variants)


def _sample_single_au(rng: np.random.Generator) -> str:
    weights = np.array([_SINGLE_AU_WEIGHT.get(name, 1.0) for name in AU_NAMES])
    return str(rng.choice(AU_NAMES, p=weights / weights.sum()))


def _sample_intensity(rng: np.random.Generator) -> float:
    return float(0.4 + 0.6 * rng.beta(1.2, 1.0))


def _add_extras(rng: np.random.Generator, intensity: dict[str, float]) -> None:
    """Adds distractor units, so that a network does not confuse them with the labeled ones."""
    if rng.random() < 0.10:
        intensity["blink"] = float(rng.choice([1.0, rng.uniform(0.5, 1.0)]))
    if rng.random() < 0.28:
        intensity.setdefault(str(rng.choice(EXTRA_AU_NAMES[1:])), float(rng.uniform(0.25, 0.95)))
    if rng.random() < 0.06:
        intensity.setdefault("AU5", float(rng.uniform(0.3, 1.0)))


def _make_exclusive(
    rng: np.random.Generator, intensity: dict[str, float], first: set[str], second: set[str]
) -> None:
    """Keeps one of two sets at random if units of both were sampled."""
    if intensity.keys() & first and intensity.keys() & second:
        for unit in first if rng.random() < 0.5 else second:
            intensity.pop(unit, None)


def _resolve_conflicts(rng: np.random.Generator, intensity: dict[str, float]) -> None:
    """Removes units that would hide or cancel others; modifies `intensity` in place."""
    open_mouth = {"AU25", "AU26", "AU16", "AU22", "tongue"}
    _make_exclusive(rng, intensity, {"AU23", "AU24"}, open_mouth)
    _make_exclusive(
        rng,
        intensity,
        {"AU28", "puff"},
        {*open_mouth, "AU10", "AU23", "AU24", "AU12", "AU15", "AU17", "AU18"},
    )
    _make_exclusive(rng, intensity, {"AU12"}, {"AU15"})
    _make_exclusive(
        rng, intensity, {"AU18", "AU22"}, {"AU12", "AU15", "AU20", "AU23", "AU24", "AU10", "AU14"}
    )
    _make_exclusive(rng, intensity, {"AU23"}, {"AU24"} if rng.random() < 0.7 else set())
    _make_exclusive(rng, intensity, {"AU17"}, {*open_mouth, "AU12"})
    if "AU14" in intensity and intensity.keys() & {"AU12", "AU15"}:
        intensity.pop("AU14")
    if intensity.keys() & {"AU23", "AU24"} and "AU12" in intensity:
        intensity["AU12"] = min(intensity["AU12"], 0.6)
    if "AU10" in intensity and intensity.keys() & {"AU23", "AU24"}:
        intensity.pop("AU10")
    if intensity.get("blink", 0.0) > 0.3:
        for unit in ("AU5", "AU7"):
            intensity.pop(unit, None)
    if "AU9" in intensity and "AU10" not in intensity:
        intensity["AU9"] = min(intensity["AU9"], 0.7)
    if "AU26" in intensity:
        intensity["AU25"] = max(intensity.get("AU25", 0.0), 0.4)


def _add_traces(rng: np.random.Generator, intensity: dict[str, float]) -> None:
    for name in AU_NAMES:
        if name not in intensity and name not in ("AU25", "AU26", "AU7") and rng.random() < 0.10:
            intensity[name] = float(rng.uniform(0.0, TRACE_INTENSITY))


def _split_sides(
    rng: np.random.Generator, intensity: dict[str, float]
) -> dict[str, tuple[float, float]]:
    """Returns (left, right) intensities: mostly nearly equal, rarely one-sided."""
    units = {}
    tilt = rng.normal(0, 0.06)
    for unit, value in intensity.items():
        weaker = 1.0 - abs(tilt + rng.normal(0, 0.05))
        if unit not in ("AU26", "AU25", "blink") and rng.random() < 0.08:
            weaker = rng.uniform(0.0, 0.6)
        weaker = float(np.clip(weaker, 0.0, 1.0)) * value
        units[unit] = (value, weaker) if rng.random() < 0.5 else (weaker, value)
    return units
