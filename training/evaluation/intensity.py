"""Intensities of action units: their calibration on faces of known intensity, and their error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.bundle.model_spec import INTENSITY_KNOTS
from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks
from faceaffect.kernels.activations import sigmoid
from faceaffect.labels import AU_INTENSITY_MAX, AU_NAMES
from faceaffect.outputs.decode import to_intensity
from faceaffect.types import FloatArray
from training import metrics
from training.datasets.real_skin_images import load_real_skin
from training.datasets.renderwild import load_renderwild_frames
from training.datasets.synthetic_images import in_threshold_half, load_synthetic_images
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.crop_jitter import aligned_transforms
from training.real_skin import threshold_faces
from training.real_skin.unit_motions import UNITS

Knots = tuple[tuple[float, ...], ...]
_LEAST_GAP: Final = 0.01
_CANDIDATES: Final = 60
_SWEEPS: Final = 6
_SHOWN: Final = 0.01  # of the full range, from which a unit counts as shown at all


@dataclass(frozen=True, slots=True)
class KnownIntensities:
    """Probabilities and true intensities of faces.

    Attributes:
        probability: Of the action units [N, 12].
        intensity: 0 to 5 [N, 12].
        is_known: Whether the intensity is known [N, 12].
    """

    probability: FloatArray
    intensity: FloatArray
    is_known: NDArray[np.bool_]


def rendered_images(runner: BundleRunner, folder: Path, *, for_fit: bool) -> KnownIntensities:
    """Held-out identities of synthetic images: the half for thresholds, or the other one."""
    table, held_out, columns = load_synthetic_images(folder)
    half = in_threshold_half(columns)
    rows = half if for_fit else np.asarray(held_out & ~half)
    table = table.select(rows)
    logit = runner.predict(table.images, aligned_transforms(table))["au_logit"]
    intensity = columns["au_intensity"].astype(np.float32)[rows] * np.float32(AU_INTENSITY_MAX)
    return KnownIntensities(sigmoid(logit), intensity, table.au_weight > 0)


def rendered_videos(runner: BundleRunner, folder: Path) -> KnownIntensities:
    """Frames of the validation videos of a RenderWild folder."""
    table, _, origins = load_renderwild_frames(folder, "Validation_Set")
    truth: dict[str, FloatArray] = {}
    for name in {name for name, _ in origins}:
        with np.load(folder / "truth" / f"{name}.npz", allow_pickle=False) as arrays:
            truth[name] = arrays["au_intensity"].astype(np.float32)
    rows = np.stack([truth[name][frame - 1] for name, frame in origins])
    intensity = np.asarray(rows * AU_INTENSITY_MAX, np.float32)
    logit = runner.predict(table.images, aligned_transforms(table))["au_logit"]
    return KnownIntensities(sigmoid(logit), intensity, table.au_weight > 0)


def known_actions(runner: BundleRunner, folder: Path, *, for_fit: bool) -> KnownIntensities:
    """Known actions of the validation people that choose thresholds, or of the others.

    An added unit has the intensity of its strength; the other units are unknown there, and absent
    on faces at rest.
    """
    columns = load_real_skin(folder)
    chosen = np.array([threshold_faces.in_threshold_half(str(one)) for one in columns["person"]])
    rows = np.flatnonzero(chosen == for_fit)
    unit, level = columns["unit"][rows], columns["level"][rows]
    transforms = estimate_crop_to_frame(keypoints_from_landmarks(columns["landmarks_xy"][rows]))
    logit = runner.predict(columns["image"][rows], transforms)["au_logit"]
    intensity = np.zeros((len(rows), len(AU_NAMES)), np.float32)
    is_known = np.repeat((unit < 0)[:, None], len(AU_NAMES), axis=1)
    for k, name in enumerate(AU_NAMES):
        shown = unit == UNITS.index(name)
        intensity[shown, k] = level[shown] * AU_INTENSITY_MAX
        is_known[shown, k] = True
    return KnownIntensities(sigmoid(logit), intensity, is_known)


def fit_intensity(faces: list[KnownIntensities]) -> Knots:
    """Knots of `ModelSpec.au_intensity` with the least mean squared error; each set counts alike.

    Coordinate descent over the probabilities at which an intensity of 0, 1, ... 5 is reached.
    """
    knots = []
    for k in range(len(AU_NAMES)):
        known = [one.is_known[:, k] for one in faces]
        probability = np.concatenate(
            [one.probability[rows, k] for one, rows in zip(faces, known, strict=True)]
        )
        intensity = np.concatenate(
            [one.intensity[rows, k] for one, rows in zip(faces, known, strict=True)]
        )
        weight = np.concatenate([np.full(rows.sum(), 1 / max(rows.sum(), 1)) for rows in known])
        knots.append(_fit_unit(probability.astype(np.float64), intensity, weight))
    return tuple(knots)


def _fit_unit(
    probability: NDArray[np.float64], intensity: FloatArray, weight: NDArray[np.float64]
) -> tuple[float, ...]:
    """Knots [6] of one unit."""
    levels = np.arange(INTENSITY_KNOTS, dtype=np.float64)
    shown = probability[intensity > _SHOWN * AU_INTENSITY_MAX]
    start = np.quantile(shown if len(shown) else probability, np.linspace(0.1, 0.9, len(levels)))
    knots = np.maximum.accumulate(start + _LEAST_GAP * levels)
    knots = np.minimum(knots, 1 - _LEAST_GAP * levels[::-1])

    def error(candidate: NDArray[np.float64]) -> float:
        residual = np.interp(probability, candidate, levels) - intensity
        return float((weight * residual**2).sum())

    for _ in range(_SWEEPS):
        for j in range(len(levels)):
            low = knots[j - 1] + _LEAST_GAP if j else 0.0
            high = knots[j + 1] - _LEAST_GAP if j + 1 < len(levels) else 1.0
            tried = [*np.linspace(low, max(low, high), _CANDIDATES), knots[j]]
            options = [np.r_[knots[:j], value, knots[j + 1 :]] for value in tried]
            knots = min(options, key=error)
    return tuple(round(float(value), 5) for value in knots)


def measure_intensity(runner: BundleRunner, folders: dict[str, Path]) -> dict[str, Any]:
    """Metrics of a bundle on held-out renders and known actions, by name.

    Args:
        runner: Its spec has `au_intensity`.
        folders: images, videos and actions.
    """
    knots = runner.spec.au_intensity
    if knots is None:
        raise ValueError(f"{runner.spec.name}: expected au_intensity, got none")
    return {
        "images": intensity_metrics(
            rendered_images(runner, folders["images"], for_fit=False), knots
        ),
        "videos": intensity_metrics(rendered_videos(runner, folders["videos"]), knots),
        "actions": intensity_metrics(
            known_actions(runner, folders["actions"], for_fit=False), knots
        ),
    }


def intensity_metrics(faces: KnownIntensities, knots: Knots) -> dict[str, Any]:
    """Mean absolute error and ICC(3, 1) of each unit, and their means over units.

    The error is over all faces and over those that show the unit.
    """
    predicted = to_intensity(faces.probability, np.asarray(knots, np.float32))
    by_unit = {}
    for k, name in enumerate(AU_NAMES):
        rows = faces.is_known[:, k]
        truth, guess = faces.intensity[rows, k], predicted[rows, k]
        shown = truth > _SHOWN * AU_INTENSITY_MAX
        by_unit[name] = {
            "mae": float(np.abs(guess - truth).mean()),
            "mae shown": float(np.abs(guess - truth)[shown].mean()) if shown.any() else None,
            "icc": metrics.icc(guess, truth),
        }
    return {
        "faces": len(predicted),
        "by_unit": by_unit,
        "mae": float(np.mean([row["mae"] for row in by_unit.values()])),
        "icc": float(np.mean([row["icc"] for row in by_unit.values()])),
    }
