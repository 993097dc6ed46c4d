"""What action units say of held-out real faces: shadows of the expression, false alarms, order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels.activations import softmax
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import FloatArray
from training import metrics
from training.datasets.face_table import FaceTable
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.clip_metrics import lip_gap
from training.evaluation.crop_jitter import aligned_transforms
from training.evaluation.truth.face_sets import (
    FerPlusFaces,
    ferplus_faces,
    validation_rows,
    web_faces,
)

_FOLDS: Final = 5
_RIDGE: Final = 1e-3
_CONTRASTS: Final = (
    ("anger", "AU4"),
    ("anger", "AU24"),
    ("anger", "AU23"),
    ("anger", "AU7"),
    ("sadness", "AU15"),
    ("happiness", "AU6"),
)
_CLOSED_LIPS: Final = 0.07  # gap of the inner lips, in distances between the eyes
_NEED_CLOSED_LIPS: Final = ("AU15", "AU23", "AU24")


def shadow_r2(au_logit: FloatArray, expression_logit: FloatArray) -> dict[str, float]:
    """Returns the share of each AU logit's variance that the expression scores explain.

    Cross-validated ridge regression (five interleaved folds) on the seven logits and the seven
    probabilities; at least 0.

    Args:
        au_logit: [N, 12].
        expression_logit: [N, 7].
    """
    scores = np.concatenate([expression_logit, softmax(expression_logit)], axis=1)
    scores = (scores - scores.mean(axis=0)) / np.maximum(scores.std(axis=0), 1e-6)
    columns = np.concatenate([scores, np.ones((len(scores), 1))], axis=1).astype(np.float64)
    residual = np.empty(au_logit.shape)
    for fold in range(_FOLDS):
        test = np.arange(len(columns)) % _FOLDS == fold
        a, b = columns[~test], au_logit[~test]
        weights = np.linalg.solve(a.T @ a + _RIDGE * len(a) * np.eye(a.shape[1]), a.T @ b)
        residual[test] = au_logit[test] - columns[test] @ weights
    r2 = 1 - (residual**2).mean(axis=0) / np.maximum(au_logit.var(axis=0), 1e-9)
    return dict(zip(AU_NAMES, np.maximum(r2, 0).tolist(), strict=True))


def firing_rates(active: NDArray[np.bool_]) -> dict[str, Any]:
    """Returns active AUs per face and the rate of each AU of decisions [N, 12]."""
    rates = active.mean(axis=0)
    return {
        "faces": len(active),
        "per_face": float(rates.sum()),
        "by_au": dict(zip(AU_NAMES, np.round(rates, 4).tolist(), strict=True)),
    }


def seven_classes(heads: Mapping[str, FloatArray], majority: NDArray[np.int64]) -> dict[str, Any]:
    """Returns accuracy and macro-F1 on faces with a clear majority."""
    known = majority >= 0
    predicted = heads["expression_logit"][known].argmax(axis=1)
    return {
        "faces": int(known.sum()),
        "accuracy": metrics.accuracy(predicted, majority[known]),
        "macro_f1": metrics.macro_f1(predicted, majority[known]),
    }


def _predict(runner: BundleRunner, table: FaceTable) -> dict[str, FloatArray]:
    """Returns the heads of the aligned faces of a table."""
    return runner.predict(table.images, aligned_transforms(table))


def real_face_metrics(runner: BundleRunner, shared: Path, labels: Path) -> dict[str, Any]:
    """Returns all metrics over held-out faces of FER+ and held-out web faces."""
    faces = ferplus_faces(shared, labels)
    heads = _predict(runner, faces.table)
    web, masks = web_faces(shared, labels)
    web_heads = _predict(runner, web)
    held_out = masks["held_out"]
    logits = [
        np.concatenate([heads[name], web_heads[name][held_out]])
        for name in ("au_logit", "expression_logit")
    ]
    split = ferplus_faces(shared, labels, validation_rows(shared))
    return {
        "shadow_r2": shadow_r2(*logits),
        "neutral": _neutral_sources(runner, faces, heads, web_heads, masks),
        "contrast_with_neutral": contrasts(heads["au_logit"], faces),
        "expression": {
            "rows left out by every version": seven_classes(heads, faces.majority),
            "validation split": seven_classes(_predict(runner, split.table), split.majority),
        },
    }


def contrasts(au_logit: FloatArray, faces: FerPlusFaces) -> dict[str, float]:
    """Returns the AUROC of an AU between an expression and neutral faces.

    Most angry faces show teeth, and parted lips cannot be pressed: units of the lips are measured
    on faces with closed lips besides.
    """
    neutral = faces.majority == EXPRESSION_NAMES.index("neutral")

    def contrast(name: str, unit: str, within: NDArray[np.bool_]) -> float:
        shown = faces.majority == EXPRESSION_NAMES.index(name)
        rows = (shown | neutral) & within
        return metrics.auroc(au_logit[rows, AU_NAMES.index(unit)], shown[rows])

    everyone = np.ones(len(neutral), np.bool_)
    closed = np.array([lip_gap(points) < _CLOSED_LIPS for points in faces.table.landmarks_xy])
    return {f"{unit} {name}": contrast(name, unit, everyone) for name, unit in _CONTRASTS} | {
        f"{unit} {name}, lips closed": contrast(name, unit, closed)
        for name, unit in _CONTRASTS
        if unit in _NEED_CLOSED_LIPS
    }


def _neutral_sources(
    runner: BundleRunner,
    faces: FerPlusFaces,
    heads: dict[str, FloatArray],
    web_heads: dict[str, FloatArray],
    masks: dict[str, NDArray[np.bool_]],
) -> dict[str, Any]:
    active = runner.affect(heads).au_active
    web_active = runner.affect(web_heads).au_active
    pitch = heads["pose_deg"][:, 1]
    light = faces.table.images.reshape(len(faces.table), -1).mean(axis=1)
    neutral = faces.neutral
    dark = light < np.quantile(light[neutral], 1 / 3)
    bright = light > np.quantile(light[neutral], 2 / 3)
    lowered = pitch < np.quantile(pitch[neutral], 1 / 5)
    at_rest, generated = masks["at_rest"], masks["generated"]
    sources = {
        "FER+": active[neutral],
        "FER+, darkest third": active[neutral & dark],
        "FER+, lightest third": active[neutral & bright],
        "FER+, head lowered most (a fifth)": active[neutral & lowered],
        "web photographs at rest": web_active[at_rest & ~generated],
        "generated faces at rest": web_active[at_rest & generated],
    }
    return {name: firing_rates(rows) for name, rows in sources.items()}
