"""Known actions on real skin: is an added unit found among a person's own images?"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks
from faceaffect.kernels.activations import sigmoid
from faceaffect.labels import AU_NAMES
from faceaffect.types import FloatArray
from training.datasets.real_skin_images import load_real_skin
from training.evaluation.bundle_runner import BundleRunner
from training.real_skin.unit_motions import UNITS

STRENGTHS: Final = (0.5, 0.9)
SHOWN_BY: Final = {"AU25": {"AU10", "AU26"}}
"""Units whose images also show the key: they are no negatives for it."""


def known_action_metrics(runner: BundleRunner, folder: Path) -> dict[str, Any]:
    """Runs a bundle on the test plan of `training.real_skin` and returns the metrics."""
    columns = load_real_skin(folder)
    transforms = estimate_crop_to_frame(keypoints_from_landmarks(columns["landmarks_xy"]))
    crops = (
        runner.crop(image, transform)
        for image, transform in zip(columns["image"], transforms, strict=True)
    )
    logit = runner.heads(crops)["au_logit"]
    return known_actions(logit, columns, np.asarray(runner.spec.au_thresholds))


def known_actions(
    au_logit: FloatArray, columns: dict[str, NDArray[Any]], thresholds: NDArray[np.float64]
) -> dict[str, Any]:
    """Returns figures by unit, and the least of the AUROCs.

    Args:
        au_logit: Logits [N, 12].
        columns: unit, level and person [N] of the images.
        thresholds: Thresholds [12] on probabilities.
    """
    units = [unit for unit in UNITS if unit in AU_NAMES]
    by_unit = {unit: _unit_metrics(unit, au_logit, columns, thresholds) for unit in units}
    smile = _shown(columns, "AU12", STRENGTHS[-1])
    rest = columns["unit"] < 0
    cheek = sigmoid(au_logit[:, AU_NAMES.index("AU6")])
    return {
        "people": len(np.unique(columns["person"])),
        "images": len(au_logit),
        "by_unit": by_unit,
        "least_auroc": min(row["auroc 0.9"] for row in by_unit.values()),
        "AU6 raised by AU12": float(cheek[smile].mean() - cheek[rest].mean()),
    }


def _shown(columns: dict[str, NDArray[Any]], unit: str, level: float) -> NDArray[np.bool_]:
    return np.asarray(
        (columns["unit"] == UNITS.index(unit)) & (np.abs(columns["level"] - level) < 1e-3)
    )


def _unit_metrics(
    unit: str,
    au_logit: FloatArray,
    columns: dict[str, NDArray[Any]],
    thresholds: NDArray[np.float64],
) -> dict[str, float]:
    k = AU_NAMES.index(unit)
    score, rest = au_logit[:, k], columns["unit"] < 0
    limit = np.log(thresholds[k] / (1 - thresholds[k]))
    same = {UNITS.index(unit), *(UNITS.index(other) for other in SHOWN_BY.get(unit, ()))}
    other = ~np.isin(columns["unit"], list(same))
    figures = {"on at rest": float((score[rest] >= limit).mean())}
    for level in STRENGTHS:
        shown = _shown(columns, unit, level)
        negative = other & (rest | (np.abs(columns["level"] - STRENGTHS[-1]) < 1e-3))
        figures[f"auroc {level}"] = within_person_auroc(score, shown, negative, columns["person"])
        figures[f"rise {level}"] = float(sigmoid(score[shown]).mean() - sigmoid(score[rest]).mean())
        figures[f"on {level}"] = float((score[shown] >= limit).mean())
    return figures


def within_person_auroc(
    score: FloatArray,
    positive: NDArray[np.bool_],
    negative: NDArray[np.bool_],
    person: NDArray[Any],
) -> float:
    """Returns the mean over people of the AUROC among each person's own images."""
    values = []
    for name in np.unique(person[positive]):
        own = person == name
        on, off = score[own & positive], score[own & negative]
        if len(off):
            difference = on[:, None] - off[None]
            values.append(float((difference > 0).mean() + 0.5 * (difference == 0).mean()))
    if not values:
        raise ValueError("expected people with positive and negative images, got none")
    return float(np.mean(values))
