"""Light of a photograph from its skin, and how an action changes the skin's brightness.

After Liu, Shan & Zhang, "Expressive Expression Mapping with Ratio Images", SIGGRAPH 2001, with the
ratio computed from a mesh under fitted light instead of taken from another person.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from training.real_skin.array import Array
from training.real_skin.map_renderer import HeadMaps
from training.real_skin.unit_motions import smooth_step
from training.synthesis.wrinkles import BOX_XY, WRINKLE_NAMES, draw_skin_areas, draw_wrinkle_maps

GAMMA: Final = 2.2
_SHAPE_RANGE: Final = (0.6, 1.4)
_FOLD_RANGE: Final = (0.62, 1.15)  # a fold is dark; its bright rim is faint on real skin
_FOLD_GAIN: Final = 0.6
_LIP_SHADE: Final = 0.35  # share of the change that lips get: the mesh is coarse there
_FOLD_BUMP_DM: Final = 0.026
_MESH_EDGE_DM: Final = 0.035
_HOLLOW_GAIN: Final = 2.0
_HOLLOW_RANGE: Final = (-0.2, 0.25)
_FOLD_OCCLUSION: Final = 0.35
_AMBIENT: Final = 0.25
_LEAST_SKIN: Final = 50  # pixels
_SKIN_TINT: Final = np.array([0.85, 1.05, 1.1], np.float32)  # shade on skin is bluish
_DEFAULT_LIGHT: Final = np.array([0.75, 0, 0.15, 0.25, 0, 0, 0, 0, 0])
_FADE_OUT: Final = {"glabella": (7.41, 7.48), "crow_feet": (7.33, 7.38)}
"""Heights on the base head between which a fold map ends."""


class FoldMaps:
    """Depth of skin folds and the area of the lips, by place on the base head."""

    def __init__(self) -> None:
        depth = np.concatenate(draw_wrinkle_maps(), axis=2).astype(np.float32) / 255
        _, bottom, _, top = BOX_XY
        rows = top - (np.arange(len(depth)) + 0.5) / len(depth) * (top - bottom)
        for name, (low, high) in _FADE_OUT.items():
            depth[..., WRINKLE_NAMES.index(name)] *= 1 - smooth_step(rows, low, high)[:, None]
        # Read at half of the resolution: faces are smaller than the maps.
        self._depth = np.asarray(depth[::2, ::2], np.float32)
        self._lips = draw_skin_areas()[::2, ::2, 1].astype(np.float32) / 255

    def depth(self, maps: HeadMaps, weights: Array) -> Array:
        """Returns the depth [S, S] of folds with weights [12]."""
        if not weights.any():
            return np.zeros(maps.hollow.shape, np.float32)
        used = np.flatnonzero(weights)
        drawn = self._depth[..., used] @ weights[used].astype(np.float32)
        return _read(np.ascontiguousarray(drawn), maps)

    def lips(self, maps: HeadMaps) -> Array:
        """Returns the share [S, S] of lips."""
        return _read(self._lips, maps)


def _read(drawn: Array, maps: HeadMaps) -> Array:
    x0, y0, x1, y1 = BOX_XY
    height, width = drawn.shape
    u = (maps.base_xy[..., 0] - x0) / (x1 - x0) * width
    v = height - (maps.base_xy[..., 1] - y0) / (y1 - y0) * height
    values = cv2.remap(drawn, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(values * maps.is_skin, np.float32)


def harmonics(normal: Array) -> Array:
    """Returns nine real spherical harmonics [..., 9] of unit vectors, without their constants."""
    x, y, z = normal[..., 0], normal[..., 1], normal[..., 2]
    one = np.ones_like(x)
    return np.stack([one, x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], axis=-1)


def fit_light(linear: Array, normal: Array, skin: Array) -> Array:
    """Returns light coefficients [9] that explain the brightness of skin by its normals.

    Robust ridge regression towards light from the front and above; brightness is relative to the
    median of the skin.

    Args:
        linear: Brightness [S, S] in linear light.
        normal: Normals [S, S, 3].
        skin: Share of skin [S, S]; pixels above 0.5 count.
    """
    use = skin > 0.5
    if use.sum() < _LEAST_SKIN:
        return np.array(_DEFAULT_LIGHT)
    level = max(float(np.median(linear[use])), 1e-3)
    a, b = harmonics(normal[use]).astype(np.float64), linear[use].astype(np.float64) / level
    ridge = np.diag([1e-3, 0.02, 0.02, 0.02, 0.2, 0.2, 0.2, 0.2, 0.2]) * len(b)
    weight = np.ones(len(b))
    light = _DEFAULT_LIGHT
    for _ in range(4):
        left = (a * weight[:, None]).T @ a + ridge
        light = _DEFAULT_LIGHT + np.linalg.solve(left, a.T @ (weight * (b - a @ _DEFAULT_LIGHT)))
        weight = 1 / (1 + ((b - a @ light) / 0.15) ** 2)
    return np.asarray(light)


def shade(light: Array, normal: Array) -> Array:
    """Returns the brightness [...] of normals [..., 3] under a light [9]; at least the ambient."""
    value = harmonics(normal) @ light.astype(np.float32)
    return np.asarray(np.maximum(value, 0) + _AMBIENT, np.float32)


def skin_share(photo: Array, maps: HeadMaps) -> Array:
    """Returns how much each pixel [S, S] of an RGB photograph in 0..1 looks like its skin."""
    lab = cv2.cvtColor(cv2.GaussianBlur(photo, (0, 0), 1.0), cv2.COLOR_RGB2LAB)
    inside = maps.is_skin & (maps.normal[..., 2] > 0.55)
    if inside.sum() < _LEAST_SKIN:
        return np.zeros(inside.shape, np.float32)
    colors = lab[inside]
    middle = np.median(colors, axis=0)
    near = np.ones(len(colors), np.bool_)
    for _ in range(2):
        near = np.linalg.norm((colors - middle) / (25, 12, 12), axis=1) < 1.2
        middle = np.median(colors[near], axis=0)
    spread = np.maximum(colors[near].std(axis=0), (9, 4, 4)) * (1.0, 1.2, 1.2)
    distance = np.linalg.norm((lab - middle) / spread, axis=-1)
    return np.asarray((1 - smooth_step(distance, 2.2, 4.2)) * maps.is_skin, np.float32)


def brightness_ratio(
    rest: HeadMaps,
    moved: HeadMaps,
    light: Array,
    skin: Array,
    fold_depth: Array,
    lips: Array,
    source: tuple[Array, Array],
    px_per_dm: float,
    *,
    is_gray: bool,
) -> Array:
    """Returns the factor [S, S, 3] in linear light: soft for the shape, sharp for the folds.

    Args:
        rest: Maps of the head at rest.
        moved: Maps of the head in action.
        light: Light coefficients [9].
        skin: Share of skin [S, S] in the photograph.
        fold_depth: Depth of the folds [S, S] in the image of the action.
        lips: Share of lips [S, S] in the image of the action.
        source: Columns and rows [S, S] of the photograph that each pixel comes from.
        px_per_dm: Size of the head.
        is_gray: Whether all channels change alike.
    """
    before = shade(light, rest.normal) * _openness(rest)
    before = cv2.remap(before, *source, cv2.INTER_LINEAR)
    known = cv2.remap(rest.is_skin.astype(np.float32), *source, cv2.INTER_LINEAR) > 0.99
    flat = shade(light, moved.normal)
    bent = shade(light, _bend(moved.normal, fold_depth, px_per_dm))
    fold = bent / flat * (1 - _FOLD_OCCLUSION * np.clip(fold_depth, 0, 1.3))
    fold = np.clip(fold, *_FOLD_RANGE) ** _FOLD_GAIN
    after = flat * _openness(moved)
    ratio = np.clip(after / np.maximum(before, 0.05), *_SHAPE_RANGE)
    shape: Array = np.where(moved.is_skin & known, np.log(ratio), 0).astype(np.float32)
    share = cv2.remap(skin, *source, cv2.INTER_LINEAR)
    share = share * smooth_step(moved.normal[..., 2], 0.15, 0.5) * moved.is_skin
    share = share.astype(np.float32)
    shape *= 1 - (1 - _LIP_SHADE) * lips
    soft = _MESH_EDGE_DM * px_per_dm
    weight = cv2.GaussianBlur(share, (0, 0), soft)
    shape = cv2.GaussianBlur(shape * share, (0, 0), soft) / np.maximum(weight, 0.05)
    change = (shape + np.log(fold)) * cv2.GaussianBlur(share, (0, 0), 1.0)
    tint = np.ones(3, np.float32) if is_gray else _SKIN_TINT
    return np.asarray(np.exp(change[..., None] * tint), np.float32)


def _openness(maps: HeadMaps) -> Array:
    return np.exp(-_HOLLOW_GAIN * np.clip(maps.hollow, *_HOLLOW_RANGE)).astype(np.float32)


def _bend(normal: Array, depth: Array, px_per_dm: float) -> Array:
    """Returns normals [S, S, 3] over grooves of a depth [S, S]."""
    gx = cv2.Sobel(depth, cv2.CV_32F, 1, 0, ksize=3) / 8 * px_per_dm
    gy = -cv2.Sobel(depth, cv2.CV_32F, 0, 1, ksize=3) / 8 * px_per_dm
    bent = normal + _FOLD_BUMP_DM * np.stack([gx, gy, np.zeros_like(gx)], axis=-1)
    return np.asarray(bent / np.maximum(np.linalg.norm(bent, axis=-1, keepdims=True), 1e-6))
