"""Measures action units on real faces from the landmark teacher's 478 points.

Head pose is removed, lengths are relative to the rigid part of the face, and every measure is
compared with the population's resting face (median and spread of strongly agreed neutral faces),
corrected for what head pose leaves behind. A unit is a soft target with a confidence; where the
measure cannot tell, the confidence is 0. No votes for expressions enter the measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.labeling.head_pose import angles_deg, frontal_reference, rigid_points, rotations

FloatArray = NDArray[np.float32]
Float64Array = NDArray[np.float64]

MEASURES: Final = (
    "inner_brow",
    "outer_brow",
    "brow_distance",
    "aperture",
    "lower_lid",
    "nose_to_lip",
    "wing_to_lip",
    "corner_lift",
    "corner_below_lips",
    "mouth_width",
    "lip_gap",
    "lip_red",
    "chin_distance",
)
"""Lengths relative to the rigid face; brows, corners and lids are positive upwards."""

TAUGHT_BY: Final = {
    "AU1": "height of the inner brow ends; off only where they are low",
    "AU2": "height of the outer brows",
    "AU4": "inner brow ends lower and closer to each other; off only where they are raised",
    "AU6": "lower lid raised together with a smile; otherwise untaught",
    "AU7": "narrow lid opening that is not a blink; low confidence",
    "AU10": "upper lip closer to the nose than the smile of the mouth corners explains",
    "AU12": "mouth corners raised and drawn apart",
    "AU15": "mouth corners below the middle of the lips; off only in broad smiles",
    "AU23": "off where lips are not thin; never on",
    "AU24": "thin red of closed lips",
    "AU25": "gap between the inner lips",
    "AU26": "chin away from the nose with parted lips",
}
"""What teaches each unit on real faces; strongly agreed neutral faces teach "off" besides."""

_MAX_YAW_DEG: Final = 30.0
_MAX_PITCH_DEG: Final = 25.0
_MIN_SPREAD: Final = 1e-4
_MAD_TO_SIGMA: Final = 1.4826
_BROW_AT_REST: Final = (-0.5, 1.0)  # height of the inner brow, in resting spreads
_BROAD_SMILE: Final = 5.0  # lift and width of the mouth, in resting spreads
_BLINK: Final = 0.45  # of the resting aperture, below which an eye counts as closed


def measure(points_xyz: FloatArray, reference: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Returns the measures [N, 13] of points [N, 478, 3] and the head pose [N, 3] in degrees."""
    rigid = rigid_points(points_xyz)
    turn = rotations(rigid, reference)
    center = rigid.mean(axis=1, keepdims=True)
    size = np.linalg.norm(rigid - center, axis=(1, 2))[:, None, None]
    face = np.einsum("nki,nij->nkj", (points_xyz - center) / size, turn)  # frontal, y down
    y = face[:, :, 1]

    def gap(a: int, b: int) -> Float64Array:
        return np.asarray(np.linalg.norm(face[:, a] - face[:, b], axis=1))

    def mean_y(*numbers: int) -> Float64Array:
        return np.asarray(y[:, list(numbers)].mean(axis=1))

    corners = mean_y(61, 291)
    columns = {
        "inner_brow": mean_y(133, 362) - mean_y(55, 285, 107, 336),
        "outer_brow": mean_y(33, 263) - mean_y(70, 300, 63, 293),
        "brow_distance": gap(55, 285) + gap(107, 336),
        "aperture": (gap(159, 145) + gap(386, 374) + gap(158, 153) + gap(385, 380)) / 4,
        "lower_lid": mean_y(33, 133, 263, 362) - mean_y(145, 374, 153, 380),
        "nose_to_lip": mean_y(0) - mean_y(2),
        "wing_to_lip": mean_y(37, 267) - mean_y(98, 327),
        "corner_lift": mean_y(2) - corners,
        "corner_below_lips": corners - mean_y(13, 14),
        "mouth_width": gap(61, 291),
        "lip_gap": gap(13, 14),
        "lip_red": gap(0, 13) + gap(14, 17),
        "chin_distance": mean_y(152) - mean_y(2),
    }
    pose = angles_deg(turn).astype(np.float64)
    return np.stack([columns[name] for name in MEASURES], axis=1), pose


@dataclass(frozen=True, slots=True)
class RestingFace:
    """The resting population: how the measures depend on pose, their center and spread."""

    reference: Float64Array  # [R, 3] rigid points
    pose_weights: Float64Array  # [P, 13]
    center: Float64Array  # [13]
    spread: Float64Array  # [13]
    resting_aperture: float
    smile_weights: Float64Array  # [4, 2] lift of the upper lip that a smile explains
    smile_spread: Float64Array  # [2]

    @staticmethod
    def fit(
        points_xyz: FloatArray, neutral: NDArray[np.bool_], smiling: NDArray[np.bool_]
    ) -> RestingFace:
        """Fits the statistics on points [N, 478, 3] of real faces.

        Args:
            points_xyz: Points of surely detected faces.
            neutral: Strongly agreed neutral faces [N].
            smiling: Faces [N] with raised and drawn-apart mouth corners, by votes.
        """
        reference = frontal_reference(rigid_points(points_xyz))
        values, pose = measure(points_xyz, reference)
        columns = _pose_columns(pose)
        pose_weights = _ridge(columns[neutral], values[neutral])
        residual = values - columns @ pose_weights
        center = np.median(residual[neutral], axis=0)
        spread = _spread(residual[neutral] - center)
        z = (residual - center) / spread
        smile = _smile_columns(z)
        lift = z[:, [MEASURES.index(name) for name in ("nose_to_lip", "wing_to_lip")]]
        use = smiling | neutral
        smile_weights = _ridge(smile[use], lift[use])
        smile_spread = _spread((lift - smile @ smile_weights)[smiling])
        aperture = float(np.median(values[neutral, MEASURES.index("aperture")]))
        return RestingFace(
            reference, pose_weights, center, spread, aperture, smile_weights, smile_spread
        )

    def deviations(self, points_xyz: FloatArray) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Returns measures in resting spreads [N, 13], raw measures [N, 13] and pose [N, 3]."""
        values, pose = measure(points_xyz, self.reference)
        residual = values - _pose_columns(pose) @ self.pose_weights
        return (residual - self.center) / self.spread, values, pose


def au_scores(rest: RestingFace, points_xyz: FloatArray) -> Float64Array:
    """Returns a signed score [N, 12] of each unit in resting spreads; larger is more of it."""
    z, _, _ = rest.deviations(points_xyz)
    v = {name: z[:, i] for i, name in enumerate(MEASURES)}
    smile = _smile_columns(z) @ rest.smile_weights
    lip_lift = (np.stack([v["nose_to_lip"], v["wing_to_lip"]], axis=1) - smile) / rest.smile_spread
    scores = {
        "AU1": v["inner_brow"] - 0.35 * np.maximum(v["outer_brow"], 0),
        "AU2": v["outer_brow"],
        "AU4": -0.9 * v["inner_brow"] - 0.35 * v["brow_distance"],
        "AU6": np.minimum(v["lower_lid"], 0.5 * (v["corner_lift"] + v["mouth_width"])),
        "AU7": 0.6 * (v["lower_lid"] - v["aperture"]),
        "AU10": -lip_lift.mean(axis=1),
        "AU12": 0.6 * v["corner_lift"] + 0.6 * v["mouth_width"],
        "AU15": v["corner_below_lips"] - 0.3 * np.abs(v["lip_gap"]),
        "AU23": -v["lip_red"],
        "AU24": -v["lip_red"],
        "AU25": v["lip_gap"],
        "AU26": np.minimum(v["chin_distance"], v["lip_gap"]),
    }
    return np.stack([scores[name] for name in AU_NAMES], axis=1)


_LEVELS: Final = {
    "AU1": (0.8, 2.4, 0.6),
    "AU2": (0.8, 2.4, 0.6),
    "AU4": (0.8, 2.2, 0.6),
    "AU6": (0.8, 2.0, 0.4),
    "AU7": (1.0, 2.6, 0.3),
    "AU10": (1.0, 2.6, 0.5),
    "AU12": (1.0, 2.6, 0.8),
    "AU15": (0.8, 2.2, 0.5),
    "AU23": (0.8, 2.4, 0.3),
    "AU24": (0.9, 2.2, 0.5),
    "AU25": (1.5, 4.0, 0.8),
    "AU26": (1.5, 3.5, 0.6),
}
"""Score at target 0, score at target 1, and the confidence of a clear case."""


def au_evidence(rest: RestingFace, points_xyz: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns soft targets and confidences, both [N, 12], of points [N, 478, 3]."""
    score = au_scores(rest, points_xyz)
    z, values, pose = rest.deviations(points_xyz)
    target = np.zeros(score.shape, np.float32)
    weight = np.zeros_like(target)
    for k, name in enumerate(AU_NAMES):
        low, high, sure = _LEVELS[name]
        target[:, k] = np.clip((score[:, k] - low) / (high - low), 0, 1)
        weight[:, k] = sure * np.abs(2 * target[:, k] - 1)
    _mask(target, weight, z, values, rest.resting_aperture)
    turned = (np.abs(pose[:, 0]) > _MAX_YAW_DEG) | (np.abs(pose[:, 1]) > _MAX_PITCH_DEG)
    weight[turned] = 0
    return target, weight


def _mask(
    target: FloatArray, weight: FloatArray, z: Float64Array, values: Float64Array, aperture: float
) -> None:
    """Removes what the measures cannot tell, in place."""
    column = AU_NAMES.index
    brow, lip_gap = (z[:, MEASURES.index(name)] for name in ("inner_brow", "lip_gap"))
    parted = lip_gap > 2
    closed_eyes = values[:, MEASURES.index("aperture")] < _BLINK * aperture
    smile = z[:, MEASURES.index("corner_lift")] + z[:, MEASURES.index("mouth_width")]
    # A raiser and a depressor that act together leave the inner brow where it is.
    weight[(target[:, column("AU1")] < 0.5) & (brow > _BROW_AT_REST[0]), column("AU1")] = 0
    weight[(target[:, column("AU4")] < 0.5) & (brow < _BROW_AT_REST[1]), column("AU4")] = 0
    weight[closed_eyes, column("AU7")] = 0
    weight[closed_eyes, column("AU6")] = 0
    # Cheeks that rise without a smile do not show in the points.
    unclear = (smile > 2) & (target[:, column("AU6")] < 0.5)
    weight[unclear, column("AU6")] = 0
    # Thin lips may be tightened or pressed: only pressing is taught.
    weight[target[:, column("AU23")] > 0, column("AU23")] = 0
    weight[smile > 3, column("AU23")] = 0
    # The corners of parted lips say little of their depressor, and those of closed lips follow a
    # raised chin: only a smile tells that they are not pulled down.
    weight[parted & (target[:, column("AU15")] > 0), column("AU15")] = 0
    weight[(target[:, column("AU15")] < 0.5) & (smile < _BROAD_SMILE), column("AU15")] = 0
    # Parted lips are not pressed; a smile thins lips too.
    target[parted, column("AU24")] = 0
    weight[(smile > 2.5) & ~parted, column("AU24")] = 0


def _pose_columns(pose_deg: Float64Array) -> Float64Array:
    yaw, pitch = np.radians(pose_deg[:, 0]), np.radians(pose_deg[:, 1])
    one = np.ones_like(yaw)
    return np.stack([one, pitch, pitch**2, yaw**2, yaw**2 * pitch], axis=1)


def _smile_columns(z: Float64Array) -> Float64Array:
    lift, width, gap = (
        z[:, MEASURES.index(name)] for name in ("corner_lift", "mouth_width", "lip_gap")
    )
    return np.stack([np.ones_like(lift), lift, width, gap], axis=1)


def _ridge(columns: Float64Array, values: Float64Array) -> Float64Array:
    left = columns.T @ columns + 1e-3 * len(columns) * np.diag(
        [0.0] + [1.0] * (columns.shape[1] - 1)
    )
    return np.asarray(np.linalg.solve(left, columns.T @ values))


def _spread(values: Float64Array) -> Float64Array:
    """Returns a robust standard deviation of columns."""
    mad = np.median(np.abs(values - np.median(values, axis=0)), axis=0)
    return np.asarray(np.maximum(_MAD_TO_SIGMA * mad, _MIN_SPREAD))
