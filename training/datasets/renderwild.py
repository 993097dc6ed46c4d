"""Frames of RenderWild, the synthetic videos of `training.synthesis`, as a face table.

Reads the videos and `truth/<name>.{json,npz}`, which hold the exact AUs, expressions, valence,
arousal, landmarks and pose of every frame.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.geometry import (
    TEMPLATE_SIZE_PX,
    estimate_crop_to_frame,
    keypoints_from_landmarks,
    transform_points,
)
from faceaffect.types import FloatArray
from training.datasets.face_table import FaceTable, empty_targets
from training.datasets.synthetic_images import RIGS, au_target

IMAGE_PX: Final = 160
CROP_MARGIN: Final = 1.6  # width of an image in aligned crops, as for the synthetic images
# The mesh landmarks only place the crops; those of the landmark teacher are learned elsewhere.
LANDMARK_WEIGHT: Final = 0.0
EXPRESSION_WEIGHT: Final = 0.5
SAMPLE_RATE_HZ: Final = 3.0  # closer frames are too similar to be worth their memory
_NAMES: Final = ("landmarks_xy", "pose_deg", "au", "expression", "va")


Origin = tuple[str, int]
"""Video name and frame number, from 1 as in the label files."""


def load_renderwild(
    folder: Path, split: str = "Train_Set", rate_hz: float = SAMPLE_RATE_HZ
) -> tuple[FaceTable, NDArray[np.int64]]:
    """About `rate_hz` frames per second of a split, and their rigs [N] (index in RIGS)."""
    return load_renderwild_frames(folder, split, rate_hz)[:2]


def load_renderwild_frames(
    folder: Path, split: str = "Train_Set", rate_hz: float = SAMPLE_RATE_HZ
) -> tuple[FaceTable, NDArray[np.int64], list[Origin]]:
    """Load with the origin of each frame; FileNotFoundError without videos."""
    notes = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((folder / "truth").glob("*.json"))
    ]
    notes = [note for note in notes if note["split"] == split]
    if not notes:
        raise FileNotFoundError(f"expected videos of split {split} in {folder}/truth, got none")
    images: list[NDArray[np.uint8]] = []
    columns: dict[str, list[NDArray[np.float32]]] = {name: [] for name in _NAMES}
    rigs: list[int] = []
    origins: list[Origin] = []
    for note in notes:
        with np.load(folder / "truth" / f"{note['name']}.npz", allow_pickle=False) as truth:
            stride = max(1, round(note["fps"] / rate_hz))
            for k, bgr in _frames(folder / note["video"], len(truth["time_s"]), stride):
                image, points = _crop_face(bgr, truth["landmarks_xy"][k])
                images.append(image)
                values = (
                    points,
                    truth["pose_deg"][k],
                    au_target(truth["au_intensity"][k]),
                    truth["strength"][k],
                    truth["va"][k],
                )
                for name, value in zip(_NAMES, values, strict=True):
                    columns[name].append(value)
                rigs.append(RIGS.index(note["rig"]))
                origins.append((note["name"], k + 1))
    table = _table(
        images, {name: np.stack(values).astype(np.float32) for name, values in columns.items()}
    )
    return table, np.array(rigs, np.int64), origins


def neutral_keep_mask(table: FaceTable, fraction: float, seed: int = 0) -> NDArray[np.bool_]:
    """Rows [N] without a random fraction of the neutral frames, which are the most frequent."""
    random = np.random.default_rng(seed)
    return np.asarray((table.expression[:, 0] < 0.9) | (random.random(len(table)) >= fraction))


def _table(images: list[NDArray[np.uint8]], columns: dict[str, NDArray[np.float32]]) -> FaceTable:
    targets = empty_targets(len(images))
    targets.update(columns)
    for name, weight in (
        ("landmark_weight", LANDMARK_WEIGHT),
        ("expression_weight", EXPRESSION_WEIGHT),
    ):
        targets[name][:] = weight
    for name in ("pose_weight", "au_weight", "va_weight"):
        targets[name][:] = 1
    table = FaceTable(name="RenderWild", images=np.stack(images), **targets)
    return replace(
        table,
        expression=table.expression / np.maximum(table.expression.sum(axis=1, keepdims=True), 1e-6),
    )


def _crop_face(
    bgr: NDArray[np.uint8], landmarks_xy: FloatArray
) -> tuple[NDArray[np.uint8], FloatArray]:
    """Axis-aligned RGB square around a face, and the landmarks in it."""
    crop_to_frame = estimate_crop_to_frame(keypoints_from_landmarks(landmarks_xy[None]))[0]
    scale = (
        float(np.hypot(crop_to_frame[0, 0], crop_to_frame[1, 0]))
        * TEMPLATE_SIZE_PX
        * CROP_MARGIN
        / IMAGE_PX
    )
    center = transform_points(
        crop_to_frame[None], np.full((1, 1, 2), (TEMPLATE_SIZE_PX - 1) / 2, np.float32)
    )[0, 0]
    offset = center - scale * (IMAGE_PX - 1) / 2
    to_frame = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image = cv2.warpAffine(
        bgr, to_frame, (IMAGE_PX, IMAGE_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.ascontiguousarray(image[:, :, ::-1]), ((landmarks_xy - offset) / scale).astype(
        np.float32
    )


def _frames(video: Path, count: int, stride: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """(index, BGR image) of every `stride`-th of the first `count` frames."""
    capture = cv2.VideoCapture(str(video))
    try:
        for k in range(count):
            if not capture.grab():
                if k == 0:
                    raise ValueError(f"{video} is not a readable video: no frame decoded")
                return
            if k % stride == 0:
                is_decoded, bgr = capture.retrieve()
                if is_decoded:
                    yield k, bgr
    finally:
        capture.release()
