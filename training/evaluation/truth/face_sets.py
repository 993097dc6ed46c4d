"""Held-out real faces with what the evaluation needs to know of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import EXPRESSION_NAMES
from training.datasets.face_table import FaceTable
from training.datasets.ferplus import clear_majority, read_ferplus
from training.datasets.ferplus_split import training_and_validation
from training.datasets.real_faces import is_held_out, load_ferplus, load_webfaces
from training.default_model.build_trainer import split_ferplus
from training.labeling.label_faces import WEBFACES_FILE

NEUTRAL_FRACTION: Final = 0.8
"""Fraction of votes for neutral from which a face counts as neutral."""

GENERATED_PREFIX: Final = "fake_"
REST_LIMITS: Final = {
    "jawOpen": 0.06,
    "mouthSmile": 0.2,
    "browInnerUp": 0.35,
    "browDown": 0.25,
    "browOuterUp": 0.3,
    "mouthUpperUp": 0.1,
    "mouthLowerDown": 0.1,
    "mouthPucker": 0.5,
    "mouthFrown": 0.1,
    "mouthPress": 0.25,
    "mouthRollLower": 0.2,
    "mouthRollUpper": 0.2,
    "eyeBlink": 0.4,
    "eyeSquint": 0.6,
}
"""A face is at rest where these blendshapes of the teacher (the stronger side) stay below."""


@dataclass(frozen=True, slots=True)
class FerPlusFaces:
    """Faces of FER+ "Training" with votes."""

    table: FaceTable
    majority: NDArray[np.int64]  # [N] class of a clear majority, or -1
    neutral: NDArray[np.bool_]  # [N] strongly agreed neutral


def ferplus_faces(
    shared: Path, labels: Path, rows: NDArray[np.int64] | None = None
) -> FerPlusFaces:
    """Rows of FER+, by default those of "Training" that no version of the model was trained on."""
    table, votes, usage = load_ferplus(shared, labels)
    rows = split_ferplus(usage)[1] if rows is None else rows
    table = table.select(rows)
    neutral = table.expression[:, EXPRESSION_NAMES.index("neutral")] >= NEUTRAL_FRACTION
    return FerPlusFaces(table, clear_majority(votes[rows]), neutral & (table.expression_weight > 0))


def validation_rows(shared: Path) -> NDArray[np.int64]:
    """Rows of FER+ in the fixed validation split."""
    source = read_ferplus(shared / "data" / "ferplus")
    return training_and_validation(source.names, source.usage)[1]


def web_faces(shared: Path, labels: Path) -> tuple[FaceTable, dict[str, NDArray[np.bool_]]]:
    """All web faces, and masks [N] by name: held_out, generated, at_rest."""
    table, held_out = load_webfaces(shared, labels)
    outputs = np.load(labels / WEBFACES_FILE, allow_pickle=False)
    detected = outputs["presence"] > 0.5
    names = [str(name) for name in outputs["names"][detected]]
    masks = {
        "held_out": held_out,
        "generated": np.array([name.startswith(GENERATED_PREFIX) for name in names]),
        "at_rest": at_rest(outputs["blendshapes"][detected], blendshape_names(shared)),
    }
    if [is_held_out(name) for name in names] != held_out.tolist():
        raise ValueError(f"{labels / WEBFACES_FILE} and the table list different web faces")
    return table, masks


def blendshape_names(shared: Path) -> tuple[str, ...]:
    """Names of the teacher's blendshapes in order."""
    path = shared / "teachers" / "mediapipe_face_landmarker" / "blendshape_order.json"
    return tuple(json.loads(path.read_text(encoding="utf-8")))


def at_rest(
    blendshapes: NDArray[np.float32],
    names: tuple[str, ...],
    limits: dict[str, float] = REST_LIMITS,
) -> NDArray[np.bool_]:
    """Whether faces [N] with blendshapes [N, 52] are at rest."""
    rest = np.ones(len(blendshapes), np.bool_)
    for shape, limit in limits.items():
        columns = [names.index(n) for n in (shape, f"{shape}Left", f"{shape}Right") if n in names]
        rest &= blendshapes[:, columns].max(axis=1) < limit
    return rest
