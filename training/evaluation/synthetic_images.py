"""Rendered stills as a label table: each identity is a "video", so that intervals are drawn over
people.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks
from faceaffect.types import FloatArray
from training.datasets.face_table import FaceTable
from training.datasets.synthetic_images import load_synthetic_images, in_threshold_half
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.crop_jitter import tracking_maps
from training.evaluation.label_table import LabelTable, unlabeled
from training.evaluation.prediction_table import PredictionTable
from training.metrics import AU_UNLABELED


def is_stills(folder: Path) -> bool:
    return any(folder.glob("faces_*.npz"))


def judged_faces(folder: Path) -> tuple[FaceTable, NDArray[np.int64]]:
    """Renders of every other held-out identity (the rest may choose thresholds), and their
    identities [N].
    """
    table, held_out, columns = load_synthetic_images(folder)
    identity = columns["identity"].astype(np.int64)
    rows = held_out & ~in_threshold_half(columns)
    if not rows.any():
        raise ValueError(
            f"{folder}: held-out identities to judge by were wanted, none among {len(table)}; render more"
        )
    order = np.argsort(identity[rows], kind="stable")
    return table.select(np.flatnonzero(rows)[order]), identity[rows][order]


def followed_maps(table: FaceTable) -> FloatArray:
    """Maps [N, 2, 3] about the true landmarks, a little off as those of a followed face are."""
    aligned = estimate_crop_to_frame(keypoints_from_landmarks(table.landmarks_xy))
    return tracking_maps(aligned, seed=7, shift=0.02, scale=0.03, turn_deg=3)


def predict_stills(bundle: Path, folder: Path) -> tuple[LabelTable, PredictionTable]:
    """Labels and predictions of the judged faces; AUs only, decided with the bundle's thresholds."""
    table, identity = judged_faces(folder)
    names, video, count = np.unique(identity, return_inverse=True, return_counts=True)
    labels = unlabeled(len(table))
    labels["au"] = np.where(table.au_weight > 0, table.au >= 0.5, AU_UNLABELED).astype(np.int8)
    frame = np.concatenate([np.arange(1, n + 1) for n in count])
    runner = BundleRunner(bundle)
    maps = followed_maps(table)
    faces = track(
        zip(table.images, maps, strict=True),
        "faces",
        total=len(table),
        console=Console(stderr=True),
    )
    affect = runner.affect(runner.heads(runner.crop(image, crop_map) for image, crop_map in faces))
    return (
        LabelTable(
            videos=tuple(f"identity {name}" for name in names.tolist()),
            video=video.astype(np.int64),
            frame=frame,
            crop=(None,) * len(table),
            listed={},
            **labels,
        ),
        PredictionTable(
            known=np.ones(len(table), np.bool_),
            au_probability=affect.au_probability,
            au_active=affect.au_active,
            expression_probability=affect.expression_probability,
            va=np.stack([affect.valence, affect.arousal], axis=1),
        ),
    )
