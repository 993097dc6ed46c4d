"""Photographs of faces at rest, and who is in training or validation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.datasets.ferplus import VOTE_NAMES, read_ferplus
from training.datasets.ferplus_split import is_validation
from training.datasets.real_faces import is_held_out
from training.default_model.build_trainer import split_ferplus
from training.evaluation.truth.face_sets import at_rest, blendshape_names
from training.labeling.head_pose import angles_deg, frontal_reference, rigid_points, rotations
from training.labeling.label_faces import FERPLUS_FILE, WEBFACES_FILE
from training.real_skin.array import Array

SPLITS: Final = ("training", "validation")
MIN_NEUTRAL_VOTES: Final = 9  # of ten
_MAX_YAW_DEG: Final = 22.0
_MIN_PRESENCE: Final = 0.9
_LIPS: Final = (13, 14)  # middle of the inner upper and lower lip
_EYES: Final = (33, 263)
_MAX_LIP_GAP: Final = 0.03  # of the distance between the outer eye corners


@dataclass(frozen=True, slots=True)
class Person:
    """A photograph of a face at rest; no two photographs are taken for one person."""

    name: str
    photo: Array  # [H, W, 3] uint8 RGB
    points_xyz: Array  # [478, 3] of the landmark teacher, pixels


def ferplus_people(shared: Path, labels: Path, split: str) -> list[Person]:
    """Returns FER+ faces that at least nine of ten annotators called neutral.

    Validation: faces of the fixed validation split and those that the shipped model was not
    trained on. A face of another usage than "Training" is in neither.
    """
    source = read_ferplus(shared / "data" / "ferplus")
    points, presence = _teacher_outputs(labels / FERPLUS_FILE)
    untrained = np.zeros(len(source.names), np.bool_)
    untrained[split_ferplus(source.usage)[1]] = True
    held_out = np.array([is_validation(str(name)) for name in source.names]) | untrained
    neutral = source.votes[:, VOTE_NAMES.index("neutral")] >= MIN_NEUTRAL_VOTES
    rows = neutral & (source.usage == "Training") & (held_out == _is_validation(split))
    rows &= _usable(points, presence)
    return [
        Person(
            f"ferplus/{source.names[i]}",
            np.repeat(source.images[i][:, :, None], 3, axis=2),
            points[i].copy(),
        )
        for i in np.flatnonzero(rows)
    ]


def web_people(shared: Path, labels: Path, split: str) -> list[Person]:
    """Returns web faces whose blendshapes are those of a face at rest."""
    outputs = np.load(labels / WEBFACES_FILE, allow_pickle=False)
    names = [str(name) for name in outputs["names"]]
    held_out = np.array([is_held_out(name) for name in names])
    rows = at_rest(outputs["blendshapes"], blendshape_names(shared))
    rows &= held_out == _is_validation(split)
    points, presence = _teacher_outputs(labels / WEBFACES_FILE)
    rows &= _usable(points, presence)
    people = []
    for i in np.flatnonzero(rows):
        bgr = cv2.imread(str(shared / "data" / "webfaces" / names[i]), cv2.IMREAD_COLOR)
        if bgr is None:
            raise FileNotFoundError(f"failed to read the web face {names[i]}")
        photo = np.ascontiguousarray(bgr[:, :, ::-1])
        people.append(Person(f"web/{names[i]}", photo, points[i].copy()))
    return people


def _teacher_outputs(path: Path) -> tuple[Array, Array]:
    """Returns points [N, 478, 3] and presence [N]; an archive reads an array at every access."""
    with np.load(path, allow_pickle=False) as outputs:
        return outputs["points_xyz"], outputs["presence"]


def _is_validation(split: str) -> bool:
    if split not in SPLITS:
        raise ValueError(f"expected a split of {', '.join(SPLITS)}, got {split!r}")
    return split == "validation"


def _usable(points_xyz: Array, presence: Array) -> NDArray[np.bool_]:
    """Returns which faces [N] are surely detected, nearly frontal and have closed lips."""
    sure = presence > _MIN_PRESENCE
    rigid = rigid_points(points_xyz)
    yaw = angles_deg(rotations(rigid, frontal_reference(rigid[sure])))[:, 0]
    eyes = np.linalg.norm(points_xyz[:, _EYES[0], :2] - points_xyz[:, _EYES[1], :2], axis=1)
    gap = np.linalg.norm(points_xyz[:, _LIPS[0], :2] - points_xyz[:, _LIPS[1], :2], axis=1)
    return np.asarray(sure & (np.abs(yaw) < _MAX_YAW_DEG) & (gap < _MAX_LIP_GAP * eyes))
