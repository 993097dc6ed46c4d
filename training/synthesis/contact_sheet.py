"""Contact sheets for visual inspection: each action unit in isolation, and random samples."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks
from faceaffect.labels import AU_NAMES
from training.synthesis.expression_sampler import EXTRA_AU_NAMES, Expression
from training.synthesis.face_renderer import FaceRenderer
from training.synthesis.head_mesh import load_head

CROP_PX = 112

_Pixel = TypeVar("_Pixel", np.uint8, np.float32)


def crop_face(image: NDArray[_Pixel], landmarks_xy: NDArray[np.float32]) -> NDArray[_Pixel]:
    """Returns the aligned crop [112, 112, C] of an image [H, W, C] with landmarks [68, 2]."""
    crop_to_frame = estimate_crop_to_frame(keypoints_from_landmarks(landmarks_xy)[None])[0]
    crop = cv2.warpAffine(
        image, crop_to_frame, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    return np.asarray(crop, image.dtype)


def _label(tile: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    white = (255, 255, 255)
    bordered = cv2.copyMakeBorder(tile, 14, 2, 1, 1, cv2.BORDER_CONSTANT, value=white)
    cv2.putText(bordered, text, (2, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return np.asarray(bordered, np.uint8)


def _grid(tiles: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 255))
    return np.vstack([np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles), columns)])


def au_sheet(data_dir: Path, rig: str, seed: int, people: int = 3) -> NDArray[np.uint8]:
    """Returns a BGR grid: one row per action unit, intensities 0, 0.5 and 1 for each person."""
    renderer = FaceRenderer(load_head(data_dir), 160, data_dir)
    tiles = []
    for unit in [*AU_NAMES, *EXTRA_AU_NAMES]:
        for person in range(people):
            identity = renderer.identity(seed, person)
            for value in (0.0, 0.5, 1.0):
                expression = Expression({unit: (value, value)}, (0.0, 0.0), {unit: person})
                vertices, intensity = renderer.deform_head(identity, rig, expression)
                image, camera = renderer.draw_on_gray(
                    identity, vertices, expression, 8.0 * person - 8, [seed, person]
                )
                pixels = np.rint(image).astype(np.uint8)
                crop = crop_face(pixels, camera.project(vertices[renderer.landmark_index]))
                tiles.append(_label(crop[..., ::-1], f"{unit} {value} lip {intensity[10]:.2f}"))
    return _grid(tiles, 3 * people)


def sample_sheet(
    data_dir: Path, rig: str, seed: int, count: int, *, with_landmarks: bool = False
) -> NDArray[np.uint8]:
    """Returns a BGR grid of random faces as they are stored, captioned with the AUs present."""
    renderer = FaceRenderer(load_head(data_dir), 160, data_dir)
    tiles = []
    for index in range(count):
        face = renderer.render(seed, index * 5, rig)
        image = np.ascontiguousarray(face.image[..., ::-1])
        if with_landmarks:
            for point in face.landmarks_xy:
                cv2.circle(
                    image,
                    np.rint(point * 16).astype(int).tolist(),
                    14,
                    (0, 255, 0),
                    -1,
                    cv2.LINE_AA,
                    4,
                )
        present = " ".join(AU_NAMES[k][2:] for k in np.flatnonzero(face.au_present))
        tiles.append(_label(image, ("x " if face.occluded else "") + present))
    return _grid(tiles, 10)
