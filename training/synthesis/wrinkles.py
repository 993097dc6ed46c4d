"""Depth maps of skin folds too fine for the mesh, drawn in the front view of the base mesh.

The maps are sampled at base mesh coordinates (x, y in decimeters), so a fold stays at its
anatomical position for every identity and expression. The twelve maps, one per channel, are
blended with one weight per half of the face.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

BOX_XY: Final[tuple[float, float, float, float]] = (-0.8, 6.1, 0.8, 8.1)
"""x0, y0, x1, y1 of the maps in base mesh decimeters."""

MAP_WIDTH_PX: Final[int] = 768

WRINKLE_NAMES: Final[tuple[str, ...]] = (
    "forehead_middle",  # AU1
    "forehead_side",  # AU2
    "glabella",  # AU4
    "crow_feet",  # AU6
    "nasolabial_upper",  # AU9, AU10
    "nasolabial_lower",  # AU12
    "mouth_corner_down",  # AU15
    "chin",  # AU17
    "nose_root",  # AU9
    "lip_edge",  # AU23, AU24
    "lower_lid",  # AU7, AU6
    "cheek_line",  # AU12, AU14: the line beside the mouth corner
)

# points x, y on the subject's left; width; depth
Line = tuple[list[tuple[float, float]], float, float]

_LINES: Final[dict[str, list[Line]]] = {
    "forehead_middle": [
        ([(0.0, 7.63), (0.10, 7.635), (0.19, 7.61)], 0.016, 1.0),
        ([(0.0, 7.71), (0.10, 7.715), (0.20, 7.69)], 0.018, 0.9),
        ([(0.0, 7.79), (0.10, 7.795), (0.19, 7.775)], 0.018, 0.7),
    ],
    "forehead_side": [
        ([(0.18, 7.61), (0.27, 7.635), (0.36, 7.625), (0.45, 7.57)], 0.016, 1.0),
        ([(0.19, 7.69), (0.28, 7.715), (0.38, 7.70), (0.46, 7.65)], 0.018, 0.9),
        ([(0.20, 7.775), (0.29, 7.79), (0.39, 7.77)], 0.018, 0.6),
    ],
    "glabella": [
        ([(0.048, 7.32), (0.040, 7.40), (0.046, 7.47), (0.062, 7.53)], 0.015, 1.0),
        ([(0.095, 7.41), (0.085, 7.47), (0.095, 7.52)], 0.014, 0.6),
        ([(0.0, 7.345), (0.05, 7.335)], 0.012, 0.4),
    ],
    "crow_feet": [
        ([(0.475, 7.33), (0.53, 7.38), (0.585, 7.42)], 0.011, 0.9),
        ([(0.48, 7.285), (0.545, 7.295), (0.61, 7.305)], 0.011, 1.0),
        ([(0.475, 7.245), (0.53, 7.215), (0.59, 7.18)], 0.011, 1.0),
        ([(0.46, 7.20), (0.50, 7.155), (0.545, 7.11)], 0.011, 0.7),
        ([(0.17, 7.175), (0.24, 7.135), (0.32, 7.125), (0.40, 7.145), (0.46, 7.19)], 0.020, 0.9),
    ],
    "nasolabial_upper": [
        ([(0.145, 6.94), (0.185, 6.90), (0.215, 6.84), (0.245, 6.77)], 0.022, 1.0),
        ([(0.10, 7.02), (0.15, 6.95)], 0.014, 0.5),
    ],
    "nasolabial_lower": [([(0.20, 6.87), (0.25, 6.79), (0.295, 6.71), (0.325, 6.63)], 0.024, 1.0)],
    "mouth_corner_down": [
        ([(0.275, 6.615), (0.305, 6.57), (0.315, 6.52)], 0.020, 1.0),
        ([(0.30, 6.50), (0.285, 6.44)], 0.020, 0.5),
    ],
    "chin": [([(0.0, 6.452), (0.08, 6.456), (0.15, 6.475)], 0.022, 0.9)],
    "nose_root": [
        ([(0.0, 7.235), (0.06, 7.225)], 0.012, 0.8),
        ([(0.0, 7.285), (0.05, 7.275)], 0.012, 0.7),
        ([(0.045, 7.20), (0.085, 7.235), (0.115, 7.28)], 0.012, 1.0),
        ([(0.055, 7.12), (0.10, 7.155), (0.14, 7.20)], 0.012, 0.9),
    ],
    "lip_edge": [
        ([(0.0, 6.712), (0.08, 6.735), (0.16, 6.70), (0.23, 6.655)], 0.014, 0.7),
        ([(0.0, 6.478), (0.10, 6.488), (0.19, 6.53), (0.24, 6.565)], 0.016, 0.8),
        ([(0.268, 6.64), (0.278, 6.608), (0.268, 6.575)], 0.014, 0.9),
    ],
    "lower_lid": [
        ([(0.20, 7.175), (0.26, 7.146), (0.33, 7.137), (0.40, 7.150), (0.45, 7.185)], 0.016, 1.0),
        ([(0.44, 7.30), (0.475, 7.315)], 0.010, 0.4),
    ],
    "cheek_line": [([(0.335, 6.66), (0.355, 6.60), (0.34, 6.54)], 0.020, 1.0)],
}

_CHIN_DIMPLES: Final[int] = 26


def _to_px(
    points_xy: list[tuple[float, float]], mirror: bool, height_px: int
) -> NDArray[np.float64]:
    x0, y0, x1, _ = BOX_XY
    points = np.array(points_xy, np.float64)
    if mirror:
        points[:, 0] *= -1
    scale = MAP_WIDTH_PX / (x1 - x0)
    return np.stack([(points[:, 0] - x0) * scale, height_px - (points[:, 1] - y0) * scale], axis=1)


def _smooth_path(points: NDArray[np.float64], count: int = 40) -> NDArray[np.float64]:
    """Returns a Catmull-Rom spline [count, 2] through points [K, 2]."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, len(points) - 1 - 1e-9, count)
    i = t.astype(int)
    f = (t % 1)[:, None]
    p0, p1, p2, p3 = (padded[i + k] for k in range(4))
    curve: NDArray[np.float64] = 0.5 * (
        2 * p1
        + (p2 - p0) * f
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * f**2
        + (3 * p1 - p0 - 3 * p2 + p3) * f**3
    )
    return curve


def _draw_line(canvas: NDArray[np.float32], line: Line, mirror: bool) -> None:
    points_xy, width, depth = line
    height_px = canvas.shape[0]
    path = _smooth_path(_to_px(points_xy, mirror, height_px))
    sigma = width * MAP_WIDTH_PX / (BOX_XY[2] - BOX_XY[0]) * 0.60
    layer = np.zeros_like(canvas)
    taper = np.minimum(
        1.0, np.minimum(np.arange(len(path)) + 2, len(path) - np.arange(len(path)) + 1) / 9.0
    )
    for a, b, strength in zip(path[:-1], path[1:], taper, strict=False):
        cv2.line(layer, _to_fixed_point(a), _to_fixed_point(b), float(strength), 2, cv2.LINE_AA, 4)
    layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), sigma), np.float32)
    peak = float(layer.max())
    np.maximum(canvas, layer * (depth / max(peak, 1e-6)), out=canvas)


def _to_fixed_point(point: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(point[0]) * 16), round(float(point[1]) * 16)


def _map_height_px() -> int:
    x0, y0, x1, y1 = BOX_XY
    return round(MAP_WIDTH_PX * (y1 - y0) / (x1 - x0))


def draw_wrinkle_maps() -> list[NDArray[np.uint8]]:
    """Draws three RGBA maps [H, W, 4], top row first: depths 0..255 of `WRINKLE_NAMES` in order."""
    planes = []
    for name in WRINKLE_NAMES:
        canvas = np.zeros((_map_height_px(), MAP_WIDTH_PX), np.float32)
        for line in _LINES[name]:
            for mirror in (False, True):
                _draw_line(canvas, line, mirror)
        if name == "chin":
            _draw_chin_dimples(canvas)
        planes.append((np.clip(canvas, 0.0, 1.0) * 255).astype(np.uint8))
    return [np.stack(planes[k : k + 4], axis=2) for k in (0, 4, 8)]


def _draw_chin_dimples(canvas: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(17)
    for _ in range(_CHIN_DIMPLES):
        x, y = rng.normal(0.0, 0.075), rng.normal(6.35, 0.05)
        tilt = rng.uniform(-0.02, 0.02)
        _draw_line(
            canvas,
            ([(x - 0.012, y - tilt / 2), (x, y), (x + 0.012, y + tilt / 2)], 0.010, 0.55),
            False,
        )


def draw_skin_areas() -> NDArray[np.uint8]:
    """Draws one RGBA map [H, W, 4], top row first: red is the beard area, green the lips."""
    height_px = _map_height_px()
    beard = np.zeros((height_px, MAP_WIDTH_PX), np.float32)
    lips = np.zeros_like(beard)
    jaw = [(0.66, 6.95), (0.60, 6.80), (0.40, 6.66), (0.31, 6.74), (0.20, 6.79), (0.0, 6.78)]
    outline = [
        *jaw,
        *[(-x, y) for x, y in jaw[::-1]],
        (-0.79, 6.9),
        (-0.79, 6.11),
        (0.79, 6.11),
        (0.79, 6.9),
    ]
    cv2.fillPoly(beard, [_to_px(outline, False, height_px).astype(np.int32)], 1.0)
    half = [(0.0, 6.69), (0.08, 6.71), (0.18, 6.68), (0.262, 6.61), (0.18, 6.545), (0.0, 6.505)]
    mouth = [*half, *[(-x, y) for x, y in half[::-1]]]
    cv2.fillPoly(lips, [_to_px(mouth, False, height_px).astype(np.int32)], 1.0)
    lips = np.asarray(cv2.GaussianBlur(lips, (0, 0), 5), np.float32)
    beard = np.asarray(cv2.GaussianBlur(beard, (0, 0), 16), np.float32)
    beard = beard * (1.0 - np.clip(lips * 1.6, 0, 1))
    grain = np.random.default_rng(5).uniform(0.55, 1.0, beard.shape).astype(np.float32)
    beard *= cv2.GaussianBlur(grain, (0, 0), 1.2)
    empty = np.zeros_like(beard)
    stacked = np.stack([beard, lips, empty, empty], axis=2)
    return np.asarray(np.clip(stacked, 0, 1) * 255).astype(np.uint8)
