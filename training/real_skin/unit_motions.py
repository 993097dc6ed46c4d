"""What each action unit does to the base head: displacements in millimeters, varied per image.

The morph targets of the rigs are not used where measuring them showed another motion than the
FACS manual's: FACS AU1 moves the brow twice as far as people do, AU2 moves its vertices unevenly,
AU4 does not draw the brows together, AU10 thickens the lip without raising it, AU24 moves the
corners like half a smile, AU7 nearly closes the eye. Gaussian pulls replace or correct them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.real_skin.array import Array
from training.synthesis.au_targets import displace_sides, intensity_to_weight, target_weights
from training.synthesis.head_mesh import HeadMesh, RenderMesh

UNITS: Final = (
    "AU1",
    "AU2",
    "AU4",
    "AU6",
    "AU7",
    "AU9",
    "AU10",
    "AU12",
    "AU15",
    "AU17",
    "AU23",
    "AU24",
    "AU25",
    "AU26",
)
"""Units that can be added; AU9 and AU17 are only contrasts for their neighbors."""


@dataclass(frozen=True, slots=True)
class Pull:
    """A Gaussian displacement of the subject's left half, mirrored to the right half.

    Positions and spreads in decimeters of the base head, motion in millimeters at strength 1
    (x outwards). `lip`: 1 moves only what is above the mouth line, -1 below, 0 everything.
    """

    center: tuple[float, float]
    spread: tuple[float, float]
    motion: tuple[float, float, float]
    lip: int = 0


PULLS: Final[dict[str, tuple[Pull, ...]]] = {
    "AU1": (Pull((0.08, 7.42), (0.11, 0.14), (-0.5, 9.0, 0.3)),),
    "AU2": (Pull((0.42, 7.42), (0.16, 0.15), (0.0, 5.8, 0.0)),),
    "AU4": (
        Pull((0.13, 7.41), (0.10, 0.11), (-2.6, -4.6, 1.0)),
        Pull((0.33, 7.41), (0.12, 0.10), (-0.8, -2.8, 0.0)),
    ),
    "AU6": (
        Pull((0.34, 7.03), (0.14, 0.09), (0.0, 3.0, 1.6)),
        Pull((0.50, 7.20), (0.08, 0.10), (-1.0, 0.8, 0.4)),
    ),
    "AU10": (
        Pull((0.10, 6.69), (0.12, 0.12), (0.0, 5.6, 0.8), 1),
        Pull((0.17, 6.90), (0.07, 0.08), (0.8, 3.6, 0.6)),
        Pull((0.28, 6.88), (0.10, 0.10), (0.0, 2.6, 1.2)),
    ),
    "AU15": (
        Pull((0.265, 6.60), (0.085, 0.075), (2.4, -5.6, 0.0)),
        Pull((0.28, 6.48), (0.10, 0.08), (1.2, -2.2, 1.0), -1),
        Pull((0.0, 6.55), (0.12, 0.08), (0.0, 1.0, 0.6), -1),
    ),
    "AU23": (Pull((0.26, 6.61), (0.09, 0.08), (-2.6, 0.0, 1.0)),),
    "AU24": (
        Pull((0.0, 6.38), (0.16, 0.09), (0.0, 1.2, 0.4), -1),
        Pull((0.26, 6.61), (0.07, 0.07), (-0.8, 0.0, 0.0)),
    ),
}


@dataclass(frozen=True, slots=True)
class _FromTarget:
    """A morph target of the FACS rig: gain, smoothing steps, whether the mouth corners are held."""

    gain: float
    smoothing: int = 0
    holds_corners: bool = False


_TARGETS: Final = {
    "AU6": _FromTarget(1.0, 2),
    "AU7": _FromTarget(1.0),
    "AU9": _FromTarget(0.9, 1),
    "AU12": _FromTarget(0.9, 2),
    "AU17": _FromTarget(0.9, 1),
    "AU23": _FromTarget(0.75, 0, True),
    "AU24": _FromTarget(1.15, 0, True),
    "AU25": _FromTarget(0.9),
    "AU26": _FromTarget(0.75),
}
LID_SHARE: Final = {"AU1": 0.0, "AU2": 0.0, "AU4": 0.35}
"""How far the upper lid follows the brow."""

_MOUTH_LINE_Y: Final = 6.605
_CORNER_XY: Final = (0.262, 6.61)
_FRONT_Z: Final = 0.8  # vertices behind it do not move with the pulls


@dataclass(frozen=True, slots=True)
class Variation:
    """How one image differs from the nominal motion, so that no motion becomes a signature."""

    gain: float = 1.0
    shift_dm: tuple[float, float] = (0.0, 0.0)
    spread: float = 1.0
    sides: tuple[float, float] = (1.0, 1.0)  # left, right half of the subject's face
    folds: float = 1.0
    variant: int = 0  # of the morph target

    @staticmethod
    def draw(rng: np.random.Generator) -> Variation:
        """Draws a variation; one face in five moves one side clearly more than the other."""
        weak = float(rng.uniform(0.15, 0.6) if rng.random() < 0.2 else rng.uniform(0.8, 1.0))
        sides = (1.0, weak) if rng.random() < 0.5 else (weak, 1.0)
        return Variation(
            gain=float(rng.uniform(0.75, 1.25)),
            shift_dm=(float(rng.normal(0, 0.012)), float(rng.normal(0, 0.012))),
            spread=float(rng.uniform(0.85, 1.2)),
            sides=sides,
            folds=float(rng.uniform(0.0, 1.25)),
            variant=int(rng.integers(3)),
        )


NOMINAL: Final = Variation()


def smooth_step(value: Array, low: float, high: float) -> Array:
    """Returns 0 below `low`, 1 above `high` and a smooth ramp between them."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def base_motion(
    head: HeadMesh,
    mesh: RenderMesh,
    unit: str,
    strength: float,
    variation: Variation = NOMINAL,
    *,
    keeps_lids: bool = True,
) -> Array:
    """Returns the displacement [N, 3] in decimeters of a unit at a strength of 0 to 1.

    Args:
        head: The head whose base vertices move.
        mesh: Its mesh, for smoothing over neighbors.
        unit: One of `UNITS`.
        strength: Intensity; the response is that of the renderer.
        variation: Differences of this image.
        keeps_lids: Whether lids stay behind when the brow moves (`LID_SHARE`).
    """
    if unit not in UNITS:
        raise ValueError(f"expected a unit of {', '.join(UNITS)}, got {unit!r}")
    moved = np.zeros_like(head.base)
    if strength <= 0:
        return moved
    if unit in _TARGETS:
        moved += _target_motion(head, mesh, unit, strength, variation)
    amount = variation.gain * intensity_to_weight(strength) * 0.01  # to decimeters
    sides = _side_weights(head.base[:, 0], variation.sides)
    for pull in PULLS.get(unit, ()):
        near = _reach(head.base, pull, variation)
        if unit in LID_SHARE and keeps_lids:
            near = near * (1 - (1 - LID_SHARE[unit]) * _upper_lid(head.base))
        x = head.base[:, 0]
        outward = np.sign(x) * smooth_step(np.abs(x), 0, 0.05)
        dx, dy, dz = pull.motion
        motion = np.stack([outward * dx, np.full_like(x, dy), np.full_like(x, dz)], axis=1)
        moved += (amount * near * sides)[:, None] * motion
    return moved


def _target_motion(
    head: HeadMesh, mesh: RenderMesh, unit: str, strength: float, variation: Variation
) -> Array:
    source = _TARGETS[unit]
    left, right = (strength * side for side in variation.sides)
    weights = target_weights("facs", {unit: (left, right)}, {unit: variation.variant})
    moved = variation.gain * source.gain * displace_sides(head, weights)
    for _ in range(source.smoothing):
        moved = 0.5 * moved + 0.5 * moved[mesh.neighbors].mean(axis=1)
    x, y = head.base[:, 0], head.base[:, 1]
    if unit == "AU7":  # the lids of the target almost meet
        moved = moved * (0.8 - 0.15 * smooth_step(y, 7.275, 7.30))[:, None]
    if source.holds_corners:
        away = ((np.abs(x) - _CORNER_XY[0]) / 0.07) ** 2 + ((y - _CORNER_XY[1]) / 0.06) ** 2
        moved = moved * (1 - np.exp(-0.5 * away))[:, None]
    return np.asarray(moved, np.float32)


def _side_weights(x: Array, sides: tuple[float, float]) -> Array:
    is_left = smooth_step(x, -0.07, 0.07)
    return np.asarray(sides[0] * is_left + sides[1] * (1 - is_left))


def _reach(base: Array, pull: Pull, variation: Variation) -> Array:
    x, y, z = base.T
    dx = (np.abs(x) - pull.center[0] - variation.shift_dm[0]) / (pull.spread[0] * variation.spread)
    dy = (y - pull.center[1] - variation.shift_dm[1]) / (pull.spread[1] * variation.spread)
    near = np.exp(-0.5 * (dx**2 + dy**2)) * (z > _FRONT_Z)
    if pull.lip:
        near = near * smooth_step(pull.lip * (y - _MOUTH_LINE_Y), -0.004, 0.006)
    return np.asarray(near)


def _upper_lid(base: Array) -> Array:
    x, y = np.abs(base[:, 0]), base[:, 1]
    over_eye = smooth_step(x, 0.17, 0.23) * (1 - smooth_step(x, 0.50, 0.60))
    return np.asarray(over_eye * (1 - smooth_step(y, 7.345, 7.385)))
