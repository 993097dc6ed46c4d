"""Real faces to choose thresholds on: known actions, and resting faces of several sources."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.datasets.face_table import FaceTable, empty_targets
from training.datasets.real_faces import load_ferplus
from training.datasets.real_skin_images import load_real_skin
from training.evaluation.truth.face_sets import NEUTRAL_FRACTION, validation_rows, web_faces
from training.evaluation.truth.known_actions import SHOWN_BY
from training.real_skin.unit_motions import UNITS

PRESENT_LEVEL: Final = 0.5
_UNCLEAR_BESIDE: Final = {"AU9": ("AU4", "AU10"), "AU17": ("AU24",)}


@dataclass(frozen=True, slots=True)
class ThresholdFaces:
    """Known actions, and resting faces by source, each of which has the same alarm budget."""

    actions: FaceTable
    resting: dict[str, FaceTable]


def threshold_faces(shared: Path, labels: Path, actions: Path) -> ThresholdFaces:
    """Loads the faces; `actions` holds validation images of `training.real_skin`."""
    return ThresholdFaces(action_faces(actions), resting_faces(shared, labels))


def in_threshold_half(person: str) -> bool:
    """Whether a validation person's images may choose thresholds: half, by a hash of the name."""
    return int(hashlib.sha256(f"thresholds {person}".encode()).hexdigest()[:8], 16) % 2 == 0


def action_faces(folder: Path) -> FaceTable:
    """Known actions of half of the validation people, with exact presence of the added units."""
    columns = load_real_skin(folder)
    rows = np.array([in_threshold_half(str(name)) for name in columns["person"]], np.bool_)
    unit, level = columns["unit"][rows], columns["level"][rows]
    targets = empty_targets(int(rows.sum()))
    targets["landmarks_xy"] = columns["landmarks_xy"][rows].astype(np.float32)
    targets["au_weight"][:] = 1
    for k, name in enumerate(UNITS):
        shown = unit == k
        if name in AU_NAMES:
            targets["au"][shown & (level >= PRESENT_LEVEL), AU_NAMES.index(name)] = 1
        unclear = [au for au, others in SHOWN_BY.items() if name in others]
        for au in (*unclear, *_UNCLEAR_BESIDE.get(name, ())):
            targets["au_weight"][shown, AU_NAMES.index(au)] = 0
    return FaceTable(name="known actions", images=columns["image"][rows], **targets)


def resting_faces(shared: Path, labels: Path) -> dict[str, FaceTable]:
    """Resting faces by source; those of FER+ are in its validation split."""
    table, _, _ = load_ferplus(shared, labels)
    faces = table.select(validation_rows(shared))
    share = faces.expression[:, EXPRESSION_NAMES.index("neutral")]
    neutral = faces.select((share >= NEUTRAL_FRACTION) & (faces.expression_weight > 0))
    light = neutral.images.reshape(len(neutral), -1).mean(axis=1)
    web, masks = web_faces(shared, labels)
    return {
        "FER+": neutral,
        "dark FER+": neutral.select(_darkest(light)),
        "web photographs": web.select(masks["at_rest"] & ~masks["generated"]),
        "generated faces": web.select(masks["at_rest"] & masks["generated"]),
    }


def _darkest(light: NDArray[np.floating]) -> NDArray[np.bool_]:
    return np.asarray(light < np.quantile(light, 1 / 3), np.bool_)
