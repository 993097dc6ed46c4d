"""Backgrounds without faces: drawn rooms, patches of photographs beside faces, shapes, letters."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.detector.yunet_teacher import TeacherImage
from training.synthesis.backgrounds import draw_background

Image = NDArray[np.uint8]
_LETTERS: Final = "ABCDEFGHJKLMNPRSTUVWXYZabdefghkmnqrstuxy023456789&@?!"
_PATCH_PX: Final = (40, 140)


def patch_beside_faces(image: TeacherImage, rng: np.random.Generator) -> Image | None:
    """A rectangle of the image that shows (almost) nothing of its faces; None if none fits."""
    height, width = image.pixels.shape[:2]
    faces = np.concatenate([image.boxes, image.unsure])
    for _ in range(8):
        size = rng.integers(*_PATCH_PX, 2)
        x, y = (
            int(rng.integers(0, max(1, extent - part)))
            for extent, part in zip((width, height), size, strict=True)
        )
        right, bottom = min(width, x + int(size[0])), min(height, y + int(size[1]))
        across = np.minimum(faces[:, 2], right) - np.maximum(faces[:, 0], x)
        down = np.minimum(faces[:, 3], bottom) - np.maximum(faces[:, 1], y)
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        if not len(faces) or (shared / ((right - x) * (bottom - y))).max() < 0.03:
            return np.ascontiguousarray(image.pixels[y:bottom, x:right])
    return None


def compose_background(
    size_wh: tuple[int, int], images: list[TeacherImage], data: Path, rng: np.random.Generator
) -> Image:
    """BGR [H, W, 3] without a face."""
    width, height = size_wh
    side = max(size_wh)
    drawn = draw_background(rng, side // 2, data)
    canvas = np.rint(255 * cv2.resize(drawn, (side, side)))[:height, :width, ::-1].astype(np.uint8)
    canvas = np.ascontiguousarray(canvas)
    if rng.random() < 0.6:
        for _ in range(int(rng.integers(2, 16))):
            patch = patch_beside_faces(images[int(rng.integers(len(images)))], rng)
            if patch is not None:
                _paste(canvas, patch, rng)
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 12))):
            _draw_shape(canvas, rng)
    return canvas


def _paste(canvas: Image, patch: Image, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    longest = float(np.exp(rng.uniform(np.log(20), np.log(1.2 * width))))
    scale = longest / max(patch.shape[:2])
    size = (max(4, round(patch.shape[1] * scale)), max(4, round(patch.shape[0] * scale)))
    patch = np.asarray(
        cv2.resize(patch, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR),
        np.uint8,
    )
    if rng.random() < 0.5:
        patch = patch[::-1] if rng.random() < 0.3 else patch[:, ::-1]
    x, y = (
        int(rng.integers(-size[0] // 2, width - size[0] // 2)),
        int(rng.integers(-size[1] // 2, height - size[1] // 2)),
    )
    left, top, right, bottom = (
        max(x, 0),
        max(y, 0),
        min(x + size[0], width),
        min(y + size[1], height),
    )
    if left < right and top < bottom:
        canvas[top:bottom, left:right] = patch[top - y : bottom - y, left - x : right - x]


def _draw_shape(canvas: Image, rng: np.random.Generator) -> None:
    """Draw a filled or hollow ellipse, a box, a line or letters: hard negatives."""
    height, width = canvas.shape[:2]
    color = rng.integers(0, 256, 3).tolist()
    position = (int(rng.integers(width)), int(rng.integers(height)))
    radius = np.exp(rng.uniform(np.log(3), np.log(80), 2)).astype(int) + 1
    kind, thickness = rng.random(), -1 if rng.random() < 0.6 else int(rng.integers(1, 5))
    if kind < 0.35:
        cv2.ellipse(
            canvas,
            position,
            radius.tolist(),
            float(rng.uniform(0, 180)),
            0,
            360,
            color,
            thickness,
            cv2.LINE_AA,
        )
    elif kind < 0.55:
        cv2.rectangle(
            canvas,
            position,
            (position[0] + int(radius[0]), position[1] + int(radius[1])),
            color,
            thickness,
        )
    elif kind < 0.75:
        other = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.line(canvas, position, other, color, int(rng.integers(1, 6)), cv2.LINE_AA)
    else:
        text = "".join(
            _LETTERS[i] for i in rng.integers(len(_LETTERS), size=int(rng.integers(1, 9)))
        )
        font, scale = int(rng.integers(0, 8)), float(rng.uniform(0.3, 2.5))
        cv2.putText(
            canvas, text, position, font, scale, color, int(rng.integers(1, 4)), cv2.LINE_AA
        )
