"""How outputs change, and whether the quality score tells, when a face is degraded or covered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks
from faceaffect.kernels.activations import sigmoid
from faceaffect.types import FloatArray
from training import metrics
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.truth.face_sets import web_faces

Image = NDArray[np.uint8]
Change = Callable[[Image, FloatArray], Image]
"""A new image [H, W, 3] of an image and the landmarks [68, 2] in it."""

_GRAY: Final = (118, 112, 108)
_BLACK: Final = (20, 20, 24)


def _eye_distance(points: FloatArray) -> float:
    return float(np.linalg.norm(points[36:42].mean(axis=0) - points[42:48].mean(axis=0)))


def _jpeg(image: Image, points: FloatArray) -> Image:
    return np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 10])[1], 1), np.uint8
    )


def _blur(image: Image, points: FloatArray) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.1 * _eye_distance(points)), np.uint8)


def _shrink(eye_distance_px: float) -> Change:
    def change(image: Image, points: FloatArray) -> Image:
        scale = eye_distance_px / _eye_distance(points)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        back = cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(back, np.uint8)

    return change


def _darken(gain: float) -> Change:
    def change(image: Image, points: FloatArray) -> Image:
        random = np.random.default_rng(len(points))
        noisy = image * gain + random.normal(0, 4, image.shape)
        return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)

    return change


def _mask(image: Image, points: FloatArray) -> Image:
    outline = np.concatenate([points[1:16], points[28:29]])
    return _filled(image, outline, _GRAY)


def _half(image: Image, points: FloatArray) -> Image:
    across = points[36:48].mean(axis=0) - points[36:42].mean(axis=0)
    down = points[8] - points[27]
    corners = [points[27] - down, points[8] + down]
    outline = np.array([*corners, corners[1] + 4 * across, corners[0] + 4 * across])
    return _filled(image, outline, _GRAY)


def _sunglasses(image: Image, points: FloatArray) -> Image:
    result: Image = image.copy()
    radius = 0.36 * _eye_distance(points)
    for eye in (points[36:42], points[42:48]):
        cv2.circle(
            result, np.rint(eye.mean(axis=0)).astype(int).tolist(), round(radius), _BLACK, -1
        )
    return np.asarray(result, np.uint8)


def _roll(degrees: float) -> Change:
    def change(image: Image, points: FloatArray) -> Image:
        x, y = points[27:36].mean(axis=0).tolist()
        turn = cv2.getRotationMatrix2D((x, y), degrees, 1)
        border = cv2.BORDER_REPLICATE
        return np.asarray(cv2.warpAffine(image, turn, image.shape[1::-1], borderMode=border))

    return change


def _filled(image: Image, outline: FloatArray, color: tuple[int, int, int]) -> Image:
    result: Image = image.copy()
    cv2.fillPoly(result, [np.rint(outline).astype(np.int32)], color)
    return np.asarray(result, np.uint8)


CHANGES: Final[dict[str, Change]] = {
    "JPEG quality 10": _jpeg,
    "blur, a tenth of the eye distance": _blur,
    "eyes 12 px apart": _shrink(12),
    "eyes 6 px apart": _shrink(6),
    "a tenth of the light": _darken(0.1),
    "a fortieth of the light": _darken(0.025),
    "mouth and nose covered": _mask,
    "half covered": _half,
    "sunglasses": _sunglasses,
    "roll of 20 degrees, not followed": _roll(20),
}
"""Changes of an image by name; crops stay where the unchanged face is."""


def robustness_metrics(runner: BundleRunner, shared: Path, labels: Path) -> dict[str, Any]:
    """Returns `changed_outputs` of each of `CHANGES` on held-out web photographs."""
    table, masks = web_faces(shared, labels)
    table = table.select(masks["held_out"] & ~masks["generated"])
    transforms = estimate_crop_to_frame(keypoints_from_landmarks(table.landmarks_xy))
    plain = runner.predict(table.images, transforms)
    rows = {}
    for name, change in CHANGES.items():
        images = [change(*one) for one in zip(table.images, table.landmarks_xy, strict=True)]
        rows[name] = changed_outputs(runner, plain, runner.predict(images, transforms))
    return {"faces": len(table), "changes": rows}


def changed_outputs(
    runner: BundleRunner, plain: dict[str, FloatArray], changed: dict[str, FloatArray]
) -> dict[str, float]:
    """Compares the heads of faces with those of the same faces changed.

    Returns:
        Fraction of AU decisions and of expressions that change, mean quality, and the AUROC of
        plain against changed faces by their quality.
    """
    before, after = runner.affect(plain), runner.affect(changed)
    quality = sigmoid(plain["quality_logit"]), sigmoid(changed["quality_logit"])
    is_plain = np.repeat([True, False], [len(quality[0]), len(quality[1])])
    return {
        "au decisions": float((before.au_active != after.au_active).mean()),
        "expressions": float(
            np.mean(
                before.expression_probability.argmax(axis=1)
                != after.expression_probability.argmax(axis=1)
            )
        ),
        "quality before": float(quality[0].mean()),
        "quality after": float(quality[1].mean()),
        "quality auroc": metrics.auroc(np.concatenate(quality), is_plain),
        "below 0.3 before": float((quality[0] < 0.3).mean()),
        "below 0.3 after": float((quality[1] < 0.3).mean()),
    }
