"""Glasses, masks, hands and bars drawn over a finished image, placed by its landmarks."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthesis.head_mesh import FloatArray

GLASSES_SHARE: Final[float] = 0.14
OCCLUDED_SHARE: Final[float] = 0.09

_SHIFT: Final[int] = 4  # cv2 draws with 1/16 pixel


def add_occluders(
    rng: np.random.Generator, image: FloatArray, landmarks_xy: FloatArray
) -> tuple[FloatArray, bool]:
    """Image RGB [S, S, 3] in 0..1 with things in front of the face, and whether they hide part of
    it.

    Clear glasses hide nothing; sunglasses, masks, hands and bars do.
    """
    covered, is_occluded = cover_face(rng, image, landmarks_xy)[:2]
    return covered, is_occluded


def _is_hidden(
    draw: Callable[[np.random.Generator, FloatArray], FloatArray],
    rng: np.random.Generator,
    like: FloatArray,
) -> NDArray[np.bool_]:
    """Pixels [S, S] through which less than half of what lies behind is seen: drawn over black and
    over white.
    """
    black, white = (draw(deepcopy(rng), np.full_like(like, tone)) for tone in (0.0, 1.0))
    return (white - black).mean(axis=2) < 0.5


def cover_face(
    rng: np.random.Generator, image: FloatArray, landmarks_xy: FloatArray
) -> tuple[FloatArray, bool, NDArray[np.bool_]]:
    """As `add_occluders`, and the pixels [S, S] that are hidden."""
    hidden = np.zeros(image.shape[:2], np.bool_)
    is_occluded = False
    bare = image  # a hand takes its color from the skin, not from glasses
    if rng.random() < GLASSES_SHARE:
        is_dark = rng.random() < 0.15
        if is_dark:
            hidden |= _is_hidden(lambda r, p: _glasses(r, p, landmarks_xy, is_dark), rng, image)
        image = _glasses(rng, image, landmarks_xy, is_dark)
        is_occluded |= is_dark
    if rng.random() < OCCLUDED_SHARE:
        kind = rng.integers(3)
        skin_rgb = _skin_rgb(bare, landmarks_xy)

        def draw(r: np.random.Generator, p: FloatArray) -> FloatArray:
            return (
                _hand(r, p, landmarks_xy, skin_rgb)
                if kind == 1
                else (_bar if kind else _mask)(r, p, landmarks_xy)
            )

        hidden |= _is_hidden(draw, rng, image)
        image = draw(rng, image)
        is_occluded = True
    return image, is_occluded, hidden


def _blend(image: FloatArray, cover: NDArray[np.float32], rgb: FloatArray) -> FloatArray:
    soft = cv2.GaussianBlur(cover, (0, 0), 0.6)[..., None]
    return (image * (1 - soft) + rgb * soft).astype(np.float32)


def _fill(size_px: int, polygon_xy: FloatArray) -> NDArray[np.float32]:
    cover = np.zeros((size_px, size_px), np.float32)
    cv2.fillPoly(cover, [np.rint(polygon_xy * 16).astype(np.int32)], 1.0, cv2.LINE_AA, _SHIFT)
    return cover


def _glasses(
    rng: np.random.Generator, image: FloatArray, landmarks: FloatArray, is_dark: bool
) -> FloatArray:
    size_px = image.shape[0]
    right, left = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    across = left - right
    span = float(np.linalg.norm(across)) + 1e-6
    down = np.array([-across[1], across[0]]) / span
    face_span = (
        float(np.linalg.norm(landmarks[27] - landmarks[8])) / 2.0
    )  # keeps its length when the head turns
    half_height = face_span * rng.uniform(0.27, 0.40)
    squareness = rng.uniform(1.0, 3.5)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    u = np.sign(cos) * np.abs(cos) ** (2 / (squareness + 1))
    v = np.sign(sin) * np.abs(sin) ** (2 / (squareness + 1))
    frame_rgb = (
        rng.random(3) ** 2.5 if rng.random() < 0.3 else 0.02 + 0.4 * rng.random() ** 2 * np.ones(3)
    ).astype(np.float32)
    lines, lenses = (
        np.zeros((size_px, size_px), np.float32),
        np.zeros((size_px, size_px), np.float32),
    )
    thickness = int(rng.choice([1, 1, 2])) * max(1, round(size_px / 200))
    for eye, outer in ((right, landmarks[36]), (left, landmarks[45])):
        half_width = across * 0.43
        center = eye + down * half_height * 0.12
        rim = center + u[:, None] * half_width + v[:, None] * down * half_height
        lenses = np.maximum(lenses, _fill(size_px, rim))
        cv2.polylines(
            lines, [np.rint(rim * 16).astype(np.int32)], True, 1.0, thickness, cv2.LINE_AA, _SHIFT
        )
        ear = landmarks[0] if eye is right else landmarks[16]
        temple = np.stack(
            [outer + (outer - eye) * 0.6, ear + (landmarks[27] - landmarks[28]) * 0.6]
        )
        if np.linalg.norm(temple[1] - landmarks[30]) > 1.3 * np.linalg.norm(
            temple[0] - landmarks[30]
        ):
            cv2.polylines(
                lines,
                [np.rint(temple * 16).astype(np.int32)],
                False,
                1.0,
                thickness,
                cv2.LINE_AA,
                _SHIFT,
            )
    bridge = np.stack([right + across * 0.42, left - across * 0.42])
    cv2.polylines(
        lines, [np.rint(bridge * 16).astype(np.int32)], False, 1.0, thickness, cv2.LINE_AA, _SHIFT
    )
    tint = 0.93 if is_dark else rng.uniform(0.0, 0.12)
    shade = np.array([0.02, 0.02, 0.03]) if is_dark else rng.random(3)
    return _blend(_blend(image, lenses * np.float32(tint), shade), lines, frame_rgb)


def _mask(rng: np.random.Generator, image: FloatArray, landmarks: FloatArray) -> FloatArray:
    top = landmarks[28] if rng.random() < 0.7 else landmarks[29]
    chin = landmarks[4:13] + (landmarks[4:13] - landmarks[30]) * 0.06
    outline = np.concatenate([landmarks[[2, 3]], chin, landmarks[[13, 14]], top[None]])
    cover = _fill(image.shape[0], outline)
    rgb = np.array([0.75, 0.85, 0.92]) if rng.random() < 0.6 else rng.random(3)
    rows = np.linspace(1.05, 0.8, image.shape[0], dtype=np.float32)[:, None, None]
    return _blend(image, cover, (rgb * rows).astype(np.float32).clip(0, 1))


def _skin_rgb(image: FloatArray, landmarks: FloatArray) -> FloatArray:
    """Color [3] of the bridge of the nose, which hair seldom covers."""
    x, y = np.clip(np.rint(landmarks[29]).astype(int), 2, image.shape[0] - 3)
    return image[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))


def _hand(
    rng: np.random.Generator, image: FloatArray, landmarks: FloatArray, skin_rgb: FloatArray
) -> FloatArray:
    """Four fingers and a palm."""
    size_px = image.shape[0]
    rgb = skin_rgb * rng.uniform(0.75, 1.1)
    unit = float(np.linalg.norm(landmarks[27] - landmarks[8])) / 3.2
    target = landmarks[rng.choice([2, 14, 5, 11, 8, 51, 48, 54, 19, 24])]
    angle = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    side = np.array([-along[1], along[0]])
    cover = np.zeros((size_px, size_px), np.float32)
    shadow = np.zeros_like(cover)
    for k in range(4):
        tip = target + side * unit * 0.36 * (k - 1.5) + along * unit * rng.uniform(-0.15, 0.15)
        root = tip - along * unit * 1.5
        width = max(2, round(unit * 0.33))
        ends = np.rint(np.stack([tip, root]) * 16).astype(np.int32)
        cv2.line(shadow, ends[0].tolist(), ends[1].tolist(), 1.0, width + 2, cv2.LINE_AA, _SHIFT)
        cv2.line(cover, ends[0].tolist(), ends[1].tolist(), 1.0, width, cv2.LINE_AA, _SHIFT)
    palm = np.rint(target - along * unit * 2.3).astype(int)
    cv2.circle(cover, palm.tolist(), round(unit * 1.05), 1.0, -1, cv2.LINE_AA)
    return _blend(_blend(image, shadow * 0.5, rgb * 0.35), cover, rgb)


def _bar(rng: np.random.Generator, image: FloatArray, landmarks: FloatArray) -> FloatArray:
    """A straight thing such as a microphone stand, a phone or the edge of another head."""
    size_px = image.shape[0]
    center = landmarks[rng.integers(0, 68)] + rng.normal(0, 4, 2)
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)]) * size_px * rng.uniform(0.15, 1.0)
    side = np.array([-np.sin(angle), np.cos(angle)]) * size_px * rng.uniform(0.03, 0.11)
    corners = np.stack(
        [center + along + side, center + along - side, center - along - side, center - along + side]
    )
    return _blend(image, _fill(size_px, corners), rng.random(3))
