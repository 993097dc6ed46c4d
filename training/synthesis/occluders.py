"""Draws glasses, masks, hands and bars over an image at its landmarks."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthesis.head_mesh import FloatArray

GLASSES_PROBABILITY: Final[float] = 0.14
OCCLUDER_PROBABILITY: Final[float] = 0.09

_SHIFT: Final[int] = 4  # fractional bits of cv2 coordinates: 1/16 pixel


def _hidden_pixels(
    draw: Callable[[np.random.Generator, FloatArray], FloatArray],
    rng: np.random.Generator,
    like: FloatArray,
) -> NDArray[np.bool_]:
    """Returns the mask [S, S] of pixels through which less than half of the background is visible.

    Compares the occluder drawn on black and on white.
    """
    black, white = (draw(deepcopy(rng), np.full_like(like, tone)) for tone in (0.0, 1.0))
    return np.asarray((white - black).mean(axis=2) < 0.5)


def add_occluders(
    rng: np.random.Generator, image: FloatArray, landmarks_xy: FloatArray
) -> tuple[FloatArray, bool, NDArray[np.bool_]]:
    """Draws random occluders in front of a face, or none.

    Clear glasses hide nothing; sunglasses, masks, hands and bars do.

    Args:
        rng: Random generator.
        image: RGB [S, S, 3] in 0..1.
        landmarks_xy: Landmarks [68, 2] in pixels.

    Returns:
        The image, whether part of the face is hidden, and the mask [S, S] of hidden pixels.
    """
    hidden = np.zeros(image.shape[:2], np.bool_)
    is_occluded = False
    bare = image  # the skin color of a hand is measured without glasses
    if rng.random() < GLASSES_PROBABILITY:
        is_dark = rng.random() < 0.15
        if is_dark:
            hidden |= _hidden_pixels(lambda r, i: _glasses(r, i, landmarks_xy, is_dark), rng, image)
        image = _glasses(rng, image, landmarks_xy, is_dark)
        is_occluded |= is_dark
    if rng.random() < OCCLUDER_PROBABILITY:
        kind = rng.integers(3)
        skin_rgb = _skin_rgb(bare, landmarks_xy)

        def draw(r: np.random.Generator, i: FloatArray) -> FloatArray:
            return (
                _hand(r, i, landmarks_xy, skin_rgb)
                if kind == 1
                else (_bar if kind else _mask)(r, i, landmarks_xy)
            )

        hidden |= _hidden_pixels(draw, rng, image)
        image = draw(rng, image)
        is_occluded = True
    return image, is_occluded, hidden


def _blend(
    image: FloatArray, mask: NDArray[np.float32], rgb: NDArray[np.floating[Any]]
) -> FloatArray:
    soft = cv2.GaussianBlur(mask, (0, 0), 0.6)[..., None]
    return (image * (1 - soft) + rgb * soft).astype(np.float32)


def _fill(size_px: int, polygon_xy: FloatArray) -> NDArray[np.float32]:
    mask = np.zeros((size_px, size_px), np.float32)
    cv2.fillPoly(mask, [np.rint(polygon_xy * 16).astype(np.int32)], 1.0, cv2.LINE_AA, _SHIFT)
    return mask


def _draw_polyline(
    canvas: NDArray[np.float32], points_xy: FloatArray, thickness: int, *, is_closed: bool = False
) -> None:
    points = [np.rint(points_xy * 16).astype(np.int32)]
    cv2.polylines(canvas, points, is_closed, 1.0, thickness, cv2.LINE_AA, _SHIFT)


def _glasses(
    rng: np.random.Generator, image: FloatArray, landmarks: FloatArray, is_dark: bool
) -> FloatArray:
    size_px = image.shape[0]
    right, left = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    across = left - right
    span = float(np.linalg.norm(across)) + 1e-6
    down = np.array([-across[1], across[0]]) / span
    # Nose bridge to chin: unlike the interocular distance it is not shortened by yaw.
    face_span = float(np.linalg.norm(landmarks[27] - landmarks[8])) / 2.0
    half_height = face_span * rng.uniform(0.27, 0.40)
    squareness = rng.uniform(1.0, 3.5)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    u = np.sign(cos) * np.abs(cos) ** (2 / (squareness + 1))
    v = np.sign(sin) * np.abs(sin) ** (2 / (squareness + 1))
    frame_rgb = (
        rng.random(3) ** 2.5 if rng.random() < 0.3 else 0.02 + 0.4 * rng.random() ** 2 * np.ones(3)
    ).astype(np.float32)
    lines = np.zeros((size_px, size_px), np.float32)
    lenses = np.zeros((size_px, size_px), np.float32)
    thickness = int(rng.choice([1, 1, 2])) * max(1, round(size_px / 200))
    for eye, outer in ((right, landmarks[36]), (left, landmarks[45])):
        half_width = across * 0.43
        center = eye + down * half_height * 0.12
        rim = center + u[:, None] * half_width + v[:, None] * down * half_height
        lenses = np.maximum(lenses, _fill(size_px, rim))
        _draw_polyline(lines, rim, thickness, is_closed=True)
        ear = landmarks[0] if eye is right else landmarks[16]
        temple = np.stack(
            [outer + (outer - eye) * 0.6, ear + (landmarks[27] - landmarks[28]) * 0.6]
        )
        near, far = np.linalg.norm(temple - landmarks[30], axis=1)
        if far > 1.3 * near:
            _draw_polyline(lines, temple, thickness)
    bridge = np.stack([right + across * 0.42, left - across * 0.42])
    _draw_polyline(lines, bridge, thickness)
    tint = 0.93 if is_dark else rng.uniform(0.0, 0.12)
    shade = np.array([0.02, 0.02, 0.03]) if is_dark else rng.random(3)
    return _blend(_blend(image, lenses * np.float32(tint), shade), lines, frame_rgb)


def _mask(rng: np.random.Generator, image: FloatArray, landmarks: FloatArray) -> FloatArray:
    top = landmarks[28] if rng.random() < 0.7 else landmarks[29]
    chin = landmarks[4:13] + (landmarks[4:13] - landmarks[30]) * 0.06
    outline = np.concatenate([landmarks[[2, 3]], chin, landmarks[[13, 14]], top[None]])
    mask = _fill(image.shape[0], outline)
    rgb = np.array([0.75, 0.85, 0.92]) if rng.random() < 0.6 else rng.random(3)
    rows = np.linspace(1.05, 0.8, image.shape[0], dtype=np.float32)[:, None, None]
    return _blend(image, mask, (rgb * rows).astype(np.float32).clip(0, 1))


def _skin_rgb(image: FloatArray, landmarks: FloatArray) -> FloatArray:
    """Returns the color [3] of the nose bridge, which hair rarely covers."""
    x, y = np.clip(np.rint(landmarks[29]).astype(int), 2, image.shape[0] - 3)
    return np.asarray(image[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1)))


def _hand(
    rng: np.random.Generator, image: FloatArray, landmarks: FloatArray, skin_rgb: FloatArray
) -> FloatArray:
    """Draws four fingers and a palm."""
    size_px = image.shape[0]
    rgb = skin_rgb * rng.uniform(0.75, 1.1)
    unit = float(np.linalg.norm(landmarks[27] - landmarks[8])) / 3.2
    target = landmarks[rng.choice([2, 14, 5, 11, 8, 51, 48, 54, 19, 24])]
    angle = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    side = np.array([-along[1], along[0]])
    mask = np.zeros((size_px, size_px), np.float32)
    shadow = np.zeros_like(mask)
    for k in range(4):
        tip = target + side * unit * 0.36 * (k - 1.5) + along * unit * rng.uniform(-0.15, 0.15)
        root = tip - along * unit * 1.5
        width = max(2, round(unit * 0.33))
        ends = np.rint(np.stack([tip, root]) * 16).astype(np.int32)
        cv2.line(shadow, ends[0].tolist(), ends[1].tolist(), 1.0, width + 2, cv2.LINE_AA, _SHIFT)
        cv2.line(mask, ends[0].tolist(), ends[1].tolist(), 1.0, width, cv2.LINE_AA, _SHIFT)
    palm = np.rint(target - along * unit * 2.3).astype(int)
    cv2.circle(mask, palm.tolist(), round(unit * 1.05), 1.0, -1, cv2.LINE_AA)
    return _blend(_blend(image, shadow * 0.5, rgb * 0.35), mask, rgb)


def _bar(rng: np.random.Generator, image: FloatArray, landmarks: FloatArray) -> FloatArray:
    """Draws a straight object such as a microphone stand, a phone or the edge of another head."""
    size_px = image.shape[0]
    center = landmarks[rng.integers(0, 68)] + rng.normal(0, 4, 2)
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)]) * size_px * rng.uniform(0.15, 1.0)
    side = np.array([-np.sin(angle), np.cos(angle)]) * size_px * rng.uniform(0.03, 0.11)
    corners = np.stack(
        [center + along + side, center + along - side, center - along - side, center - along + side]
    )
    return _blend(image, _fill(size_px, corners), rng.random(3))
