"""Synthetic images as a label table; each identity is a "video", so intervals are over people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from faceaffect.types import FloatArray
from training.datasets.face_table import FaceTable
from training.datasets.synthetic_images import in_threshold_half, load_synthetic_images
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.crop_jitter import aligned_transforms, tracking_transforms
from training.evaluation.label_table import LabelTable, unlabeled
from training.evaluation.prediction_table import PredictionTable
from training.metrics import AU_UNLABELED


def is_synthetic_image_folder(folder: Path) -> bool:
    """Whether a folder contains shards of synthetic images."""
    return any(folder.glob("faces_*.npz"))


def evaluation_faces(folder: Path) -> tuple[FaceTable, NDArray[np.int64]]:
    """Loads images of every other held-out identity, and their identities [N].

    The remaining held-out identities are reserved for choosing thresholds.
    """
    table, held_out, columns = load_synthetic_images(folder)
    identity = columns["identity"].astype(np.int64)
    rows = held_out & ~in_threshold_half(columns)
    if not rows.any():
        raise ValueError(
            f"{folder}: expected held-out identities, got none in {len(table)} faces; render more"
        )
    order = np.argsort(identity[rows], kind="stable")
    return table.select(np.flatnonzero(rows)[order]), identity[rows][order]


def tracked_transforms(table: FaceTable) -> FloatArray:
    """Returns transforms [N, 2, 3] of the true landmarks with the small errors of tracking."""
    return tracking_transforms(
        aligned_transforms(table), seed=7, shift=0.02, scale=0.03, turn_deg=3
    )


def predict_synthetic_images(bundle: Path, folder: Path) -> tuple[LabelTable, PredictionTable]:
    """Returns labels and predictions of the AUs, decided with the thresholds of the bundle."""
    table, identity = evaluation_faces(folder)
    names, video, count = np.unique(identity, return_inverse=True, return_counts=True)
    labels = unlabeled(len(table))
    labels["au"] = np.where(table.au_weight > 0, table.au >= 0.5, AU_UNLABELED).astype(np.int8)
    frame = np.concatenate([np.arange(1, n + 1) for n in count])
    runner = BundleRunner(bundle)
    images = track(table.images, "faces", total=len(table), console=Console(stderr=True))
    affect = runner.affect(runner.predict(images, tracked_transforms(table)))
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
