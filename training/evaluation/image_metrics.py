"""Metrics on images: expressions against votes, landmarks and pose against the teacher, AUs against
synthetic images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceaffect.geometry import keypoints_from_landmarks, transform_points, transform_roll_deg
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import FloatArray
from training import metrics
from training.datasets.face_table import FaceTable
from training.datasets.ferplus import clear_majority
from training.datasets.real_faces import load_ferplus, load_webfaces
from training.evaluation.bundle_runner import BundleRunner, face_probability
from training.evaluation.crop_jitter import aligned_transforms, tracking_transforms
from training.evaluation.face_metrics import hard_face_recall, off_face_scores
from training.evaluation.synthetic_images import evaluation_faces, tracked_transforms

Metrics = dict[str, Any]


def expression_metrics(runner: BundleRunner, shared: Path, labels: Path) -> Metrics:
    """Evaluates PublicTest images of FER+ (not trained on) with a clear majority for one class."""
    table, votes, usage = load_ferplus(shared, labels)
    truth = clear_majority(votes)
    rows = (usage == "PublicTest") & (truth >= 0)
    table, truth = table.select(rows), truth[rows]
    heads = runner.predict(table.images, aligned_transforms(table))
    affect = runner.affect(heads)
    predicted = heads["expression_logit"].argmax(axis=1)
    matrix = metrics.confusion(predicted, truth)
    return {
        "faces": len(truth),
        "total_faces": int((usage == "PublicTest").sum()),
        "accuracy": metrics.accuracy(predicted, truth),
        "macro_f1": metrics.macro_f1(predicted, truth),
        "f1": {
            name: metrics.f1(predicted == k, truth == k) for k, name in enumerate(EXPRESSION_NAMES)
        },
        "confusion": matrix.tolist(),
        "valence_ccc_to_mapping": metrics.ccc(affect.valence, table.va[:, 0]),
        "arousal_ccc_to_mapping": metrics.ccc(affect.arousal, table.va[:, 1]),
        "face_recall": float((face_probability(heads) > 0.5).mean()),
    }


def landmark_error(
    heads: dict[str, FloatArray], transforms: FloatArray, table: FaceTable
) -> NDArray[np.float64]:
    """Returns the mean landmark error [N] relative to the interocular distance."""
    predicted = transform_points(transforms, heads["landmarks_px"])
    eyes = keypoints_from_landmarks(table.landmarks_xy)
    distance = np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=1)
    return np.asarray(
        np.linalg.norm(predicted - table.landmarks_xy, axis=2).mean(axis=1) / distance, np.float64
    )


def pose_error(
    heads: dict[str, FloatArray], transforms: FloatArray, table: FaceTable
) -> list[float]:
    """Returns the mean absolute error of yaw, pitch and roll in image axes, degrees."""
    pose = heads["pose_deg"].astype(np.float64)
    pose[:, 2] += transform_roll_deg(transforms)
    return [float(v) for v in np.abs((pose - table.pose_deg + 180) % 360 - 180).mean(axis=0)]


def web_face_metrics(runner: BundleRunner, shared: Path, labels: Path) -> Metrics:
    """Evaluates landmarks, pose, AUs (against the teacher) and face scores on web faces."""
    table, held_out = load_webfaces(shared, labels)
    table = table.select(held_out)
    aligned = aligned_transforms(table)
    tracked = tracking_transforms(aligned, seed=5)
    static = runner.predict(table.images, aligned)
    moving = runner.predict(table.images, tracked)
    missed = off_face_scores(runner, table)
    error = landmark_error(static, aligned, table)
    moving_error = landmark_error(moving, tracked, table)
    frontal = np.abs(table.pose_deg[:, 0]) < 30
    au = runner.affect(static).au_active
    has_target = table.au_weight.max(axis=0) > 0
    return {
        "faces": len(table),
        "landmark_error_percent": {
            "aligned_mean": 100 * float(error.mean()),
            "aligned_median": 100 * float(np.median(error)),
            "moved_mean": 100 * float(moving_error.mean()),
            "moved_frontal_mean": 100 * float(moving_error[frontal].mean()),
            "moved_p95": 100 * float(np.percentile(moving_error, 95)),
        },
        "pose_to_teacher_deg": pose_error(moving, tracked, table),
        "au_f1_to_teacher": {
            name: metrics.f1(au[:, k], table.au[:, k] >= 0.5)
            for k, name in enumerate(AU_NAMES)
            if has_target[k]
        },
        "face_recall": hard_face_recall(runner, table),
        "off_face_below_0.2": float((missed < 0.2).mean()),
        "off_face_above_0.5": float((missed > 0.5).mean()),
    }


def synthetic_image_metrics(runner: BundleRunner, folder: Path) -> Metrics:
    """Evaluates AUs, landmarks and pose on synthetic images of held-out identities.

    Every other held-out identity is used; the others chose the thresholds.
    """
    table, _ = evaluation_faces(folder)
    transforms = tracked_transforms(table)
    heads = runner.predict(table.images, transforms)
    affect = runner.affect(heads)
    on = affect.au_active
    known = table.au_weight > 0
    truth = table.au >= 0.5
    curves = metrics.au_reliability(
        affect.au_probability, np.where(known, truth, metrics.AU_UNLABELED).astype(np.int64)
    )
    f1 = {
        name: metrics.f1(on[known[:, k], k], truth[known[:, k], k])
        for k, name in enumerate(AU_NAMES)
    }
    always = {
        name: metrics.f1(known[known[:, k], k], truth[known[:, k], k])
        for k, name in enumerate(AU_NAMES)
    }
    return {
        "faces": len(table),
        "au_f1": f1,
        "au_f1_mean": float(np.mean(list(f1.values()))),
        "au_calibration_error": dict(zip(AU_NAMES, [curve.error for curve in curves], strict=True)),
        "au_f1_mean_if_always_active": float(np.mean(list(always.values()))),
        "landmark_error_percent": 100
        * float(landmark_error(heads, transforms, table)[table.landmark_weight > 0].mean()),
        "pose_mae_deg": pose_error(heads, transforms, table),
    }
