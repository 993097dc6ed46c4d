"""Random backgrounds: gradients, noise, rectangles, and photographs without recognizable faces."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthesis.camera import CameraView
from training.synthesis.draw_call import Appearance
from training.synthesis.head_mesh import FloatArray

# Of a 256 px photograph of a centered face: the upper corners show background or hair.
_CORNER_PX = 72


@lru_cache(maxsize=1)
def _photo_paths(data_dir: Path) -> tuple[Path, ...]:
    return tuple(sorted((data_dir / "webfaces").glob("*.jpg")))


def _gradient(rng: np.random.Generator, size_px: int) -> FloatArray:
    corners = rng.random((2, 2, 3)).astype(np.float32) ** rng.uniform(0.5, 2.0)
    image: FloatArray = np.asarray(
        cv2.resize(corners, (size_px, size_px), interpolation=cv2.INTER_CUBIC), np.float32
    )
    gray: FloatArray = image.mean(axis=2, keepdims=True)
    return image * 0.45 + gray * 0.55


def _noise(rng: np.random.Generator, size_px: int) -> FloatArray:
    image = np.zeros((size_px, size_px, 3), np.float32)
    tone = rng.random(3).astype(np.float32)
    for octave in range(2, 7):
        cells = rng.random((2**octave, 2**octave, 1 if rng.random() < 0.6 else 3)).astype(
            np.float32
        )
        layer = cv2.resize(cells, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
        image += layer.reshape(size_px, size_px, -1) * 0.5 ** (octave - 1)
    return image * (0.4 + tone)


def _blocks(rng: np.random.Generator, size_px: int) -> FloatArray:
    """Uniform rectangles that resemble furniture and walls."""
    image = np.empty((size_px, size_px, 3), np.float32)
    image[:] = rng.random(3)
    for _ in range(rng.integers(3, 10)):
        corner = rng.integers(-size_px // 2, size_px, 2)
        size = rng.integers(size_px // 10, size_px, 2)
        cv2.rectangle(image, corner.tolist(), (corner + size).tolist(), rng.random(3).tolist(), -1)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 6))), np.float32)


def _photo(rng: np.random.Generator, size_px: int, data_dir: Path) -> FloatArray | None:
    paths = _photo_paths(data_dir)
    if not paths:
        return None
    image = cv2.imread(str(paths[rng.integers(len(paths))]))
    if image is None:
        return None
    if rng.random() < 0.6:
        column = 0 if rng.random() < 0.5 else image.shape[1] - _CORNER_PX
        image = image[:_CORNER_PX, column : column + _CORNER_PX]
        blur = size_px * rng.uniform(0.002, 0.03)
    else:  # quadrants swapped and flipped: the face can no longer be recognized
        half = image.shape[0] // 2
        image = np.roll(image, (half, half), axis=(0, 1))[::-1]
        blur = size_px * rng.uniform(0.05, 0.10)
    image = (
        cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        / 255
    )
    return np.asarray(cv2.GaussianBlur(image[..., ::-1], (0, 0), float(blur)), np.float32)


def draw_background(rng: np.random.Generator, size_px: int, data_dir: Path) -> NDArray[np.float32]:
    """Returns a random background, RGB [S, S, 3] in 0..1."""
    kind = rng.random()
    image: FloatArray | None = None
    if kind < 0.45:
        image = _photo(rng, size_px, data_dir)
    elif kind < 0.62:
        image = _noise(rng, size_px)
    elif kind < 0.80:
        image = _blocks(rng, size_px)
    if image is None:
        image = _gradient(rng, size_px)
    return np.asarray(np.clip(image * rng.uniform(0.5, 1.1), 0, 1), np.float32)


_TORSO = np.array(
    [(-0.55, 6.05), (0.55, 6.05), (1.45, 5.72), (1.85, 5.35)]
    + [(2.3, 2.0), (-2.3, 2.0), (-1.85, 5.35), (-1.45, 5.72)],
    np.float32,
)
"""Front view outline of the upper body in head decimeters; hides the lower edge of the mesh."""

_NECK = np.array([[0.0, 5.95, 0.1]], np.float32)


def draw_torso(background: FloatArray, camera: CameraView, appearance: Appearance) -> FloatArray:
    """Draws a flat, shirt-colored upper body on a background RGB [S, S, 3].

    The body stays upright when the head rolls.
    """
    span = camera.project(_NECK + np.array([[0.0, 0.0, 0.0], [0.0, -0.5, 0.0]], np.float32))
    scale_px = (
        float(np.linalg.norm(span[1] - span[0]))
        / 0.5
        / max(abs(float(camera.head_to_camera[1, 1])), 0.5)
    )
    outline = span[0] + (_TORSO - _NECK[0, :2]) * np.array([1.0, -1.0]) * scale_px
    mask = np.zeros(background.shape[:2], np.float32)
    cv2.fillPoly(mask, [np.rint(outline * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.7), np.float32)[..., None]
    light = 0.5 * (appearance.sky_rgb + appearance.ground_rgb) + 0.3 * appearance.light_rgb[0]
    rgb = np.clip(appearance.materials.shirt_rgb * light, 0, 1) ** (1 / 2.2)
    return np.asarray(background * (1 - soft) + rgb * soft, np.float32)
