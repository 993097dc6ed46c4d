"""Eye openness by the landmarks of a bundle against the blinks of the landmark teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from faceaffect.geometry import closed_eyes_probability, eye_openness
from faceaffect.types import FloatArray
from training import metrics
from training.datasets.real_faces import load_ferplus
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.crop_jitter import aligned_transforms
from training.evaluation.truth.face_sets import blendshape_names, validation_rows
from training.labeling.label_faces import FERPLUS_FILE

CLOSED: Final = 0.5
"""Blink blendshape of the teacher, mean of both eyes, from which eyes count as closed."""

_SURE: Final = 0.9


def eye_metrics(runner: BundleRunner, shared: Path, labels: Path) -> dict[str, Any]:
    """Returns the agreement on FER+ faces of the validation split that the teacher finds."""
    outputs = np.load(labels / FERPLUS_FILE, allow_pickle=False)
    rows = validation_rows(shared)
    rows = rows[outputs["presence"][rows] > _SURE]
    names = blendshape_names(shared)
    columns = [names.index(f"eyeBlink{side}") for side in ("Right", "Left")]
    table = load_ferplus(shared, labels)[0].select(rows)
    landmarks = runner.predict(table.images, aligned_transforms(table))["landmarks_px"]
    return eye_agreement(landmarks, outputs["blendshapes"][rows][:, columns])


def eye_agreement(landmarks: FloatArray, blink: FloatArray) -> dict[str, Any]:
    """Returns the correlation of openness and blink, and how well closed eyes are found (AU45).

    Args:
        landmarks: [N, 68, 2].
        blink: Blendshapes [N, 2] of the right and left eye.
    """
    openness = eye_openness(landmarks).mean(axis=1)
    closed = blink.mean(axis=1) > CLOSED
    found = closed_eyes_probability(landmarks) >= 0.5
    return {
        "faces": len(openness),
        "closed": int(closed.sum()),
        "correlation": float(np.corrcoef(openness, blink.mean(axis=1))[0, 1]),
        "auroc": metrics.auroc(-openness, closed),
        "f1": metrics.f1(found, closed),
        "recall": float(found[closed].mean()),
        "false alarms": float(found[~closed].mean()),
    }
