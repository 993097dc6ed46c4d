"""FER+ and web faces as face tables, with targets from teacher models and annotator votes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.datasets.emotion_to_va import valence_arousal
from training.datasets.face_table import FaceTable, empty_targets
from training.datasets.ferplus import expression_distribution, no_face_majority, read_ferplus
from training.labeling.blendshape_aus import aus_from_blendshapes, refine_with_votes
from training.labeling.head_pose import angles_deg, frontal_reference, rigid_points, rotations
from training.labeling.label_faces import FERPLUS_FILE, WEBFACES_FILE
from training.labeling.mediapipe_teacher import LANDMARKS_68

HELD_OUT_FRACTION: Final = 0.1
_WEB_IMAGE_PX: Final = 192
_PRESENT: Final = 0.5


def is_held_out(name: str) -> bool:
    """Whether a web face is held out for evaluation: a tenth, by a hash of the file name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 1000 < HELD_OUT_FRACTION * 1000


def _pose_reference(labels: Path) -> NDArray[np.float64]:
    outputs = np.load(labels / WEBFACES_FILE, allow_pickle=False)
    return frontal_reference(rigid_points(outputs["points_xyz"][outputs["presence"] > _PRESENT]))


def _teacher_targets(
    outputs: Any, labels: Path, shared: Path, landmark_weight: float
) -> dict[str, NDArray[np.float32]]:
    count = len(outputs["presence"])
    targets = empty_targets(count)
    present = (outputs["presence"] > _PRESENT).astype(np.float32)
    points = outputs["points_xyz"]
    targets["landmarks_xy"] = points[:, LANDMARKS_68, :2].astype(np.float32)
    targets["landmark_weight"] = present * landmark_weight
    targets["pose_deg"] = angles_deg(rotations(rigid_points(points), _pose_reference(labels)))
    targets["pose_weight"] = present * landmark_weight
    order = shared / "teachers" / "mediapipe_face_landmarker" / "blendshape_order.json"
    names = tuple(json.loads(order.read_text(encoding="utf-8")))
    targets["au"], weight = aus_from_blendshapes(outputs["blendshapes"], names)
    targets["au_weight"] = weight * present[:, None]
    return targets


def load_ferplus(
    shared: Path, labels: Path
) -> tuple[FaceTable, NDArray[np.int64], NDArray[np.str_]]:
    """Table of FER+, the votes [N, 10] and the usage [N]."""
    source = read_ferplus(shared / "data" / "ferplus")
    outputs = np.load(labels / FERPLUS_FILE, allow_pickle=False)
    targets = _teacher_targets(outputs, labels, shared, landmark_weight=0.3)
    distribution, weight = expression_distribution(source.votes)
    no_face = no_face_majority(source.votes)
    targets["expression"], targets["va"] = distribution, valence_arousal(distribution)
    targets["expression_weight"] = np.where(no_face, 0, weight).astype(np.float32)
    targets["va_weight"] = targets["expression_weight"].copy()
    refine_with_votes(targets["au"], targets["au_weight"], distribution)
    targets["au_weight"][no_face] = 0
    # Without a detected face the crop is placed by the median landmarks, with weight 0.
    undetected = outputs["presence"] <= _PRESENT
    targets["landmarks_xy"][undetected] = np.median(targets["landmarks_xy"][~undetected], axis=0)
    targets["face"] = np.where(no_face, 0, 1).astype(np.float32)
    return FaceTable(name="FER+", images=source.images, **targets), source.votes, source.usage


def load_webfaces(shared: Path, labels: Path) -> tuple[FaceTable, NDArray[np.bool_]]:
    """Table of the web faces that the teacher detected, and which are held out [N]."""
    outputs = np.load(labels / WEBFACES_FILE, allow_pickle=False)
    detected = np.flatnonzero(outputs["presence"] > _PRESENT)
    names = outputs["names"][detected]
    detected_outputs = {key: outputs[key][detected] for key in outputs.files}
    targets = _teacher_targets(detected_outputs, labels, shared, landmark_weight=1.0)
    images = np.empty((len(detected), _WEB_IMAGE_PX, _WEB_IMAGE_PX, 3), np.uint8)
    for row, name in enumerate(names):
        path = shared / "data" / "webfaces" / str(name)
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise FileNotFoundError(f"{path} is not a readable image")
        scale = _WEB_IMAGE_PX / bgr.shape[0]
        small = cv2.resize(bgr, (_WEB_IMAGE_PX, _WEB_IMAGE_PX), interpolation=cv2.INTER_AREA)
        images[row] = small[:, :, ::-1]
        targets["landmarks_xy"][row] = (targets["landmarks_xy"][row] + 0.5) * scale - 0.5
    held_out = np.array([is_held_out(str(name)) for name in names])
    return FaceTable(name="web faces", images=images, **targets), held_out
