"""Training scenes: faces of known position at all sizes, pasted onto backgrounds.

A scene depends only on its number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceaffect.types import FloatArray
from training.detector.backgrounds import Image, compose_background
from training.detector.corrupt import corrupt
from training.detector.yunet_teacher import TeacherImage

MEAN, STD = 0.5, 0.25  # normalization of pixel values in 0..1
SIZE_WH: Final = (256, 160)
MIN_FACE_PX: Final = 11.0  # smaller faces are ignored
_MAX_FACE_FRACTION: Final = 0.95  # of the image height
_MAX_FACES: Final = 8
_MASK_STRIDE: Final = 4  # masks with soft edges need no more pixels
_MAX_OCCLUSION: Final = 0.3  # of a face's box; a face with more is ignored
_MIRRORED_POINTS: Final = [1, 0, 2, 4, 3]


@dataclass(slots=True)
class Scene:
    """An image with labeled and ignored faces."""

    pixels: Image  # [H, W, 3] BGR
    boxes: list[FloatArray] = field(default_factory=list)  # [4] each
    points: list[FloatArray] = field(default_factory=list)  # [5, 2] each
    ignored: list[FloatArray] = field(default_factory=list)  # [4] each


class SceneGenerator:
    """Generates scenes from labeled images; the slow `backgrounds` are drawn once."""

    def __init__(
        self, images: list[TeacherImage], data: Path, seed: int = 1, backgrounds: int = 300
    ) -> None:
        self._portraits = [
            image for image in images if len(image.boxes) and image.name.endswith(".jpg")
        ]
        self._frames = [image for image in images if not image.name.endswith(".jpg")]
        self._seed = seed
        rng = np.random.default_rng((seed, 0))
        self._backgrounds = [
            compose_background((320, 200), images, data, rng) for _ in range(backgrounds)
        ]

    def generate(self, number: int) -> Scene:
        rng = np.random.default_rng((self._seed, 1, number))
        scene = Scene(self._background(rng))
        kind = rng.random()
        if kind < 0.25 and self._frames:  # a rendered person in a room
            frame = self._frames[int(rng.integers(len(self._frames)))]
            self._paste(scene, frame, rng, scale=float(rng.uniform(0.5, 1.5)))
        count = 0 if rng.random() < 0.12 else int(rng.integers(1, 6))
        for _ in range(count):
            use_frame = bool(self._frames) and rng.random() < 0.2
            source = self._frames if use_frame else self._portraits
            image = source[int(rng.integers(len(source)))]
            if len(image.boxes):
                max_px = _MAX_FACE_FRACTION * SIZE_WH[1]
                height_px = float(np.exp(rng.uniform(np.log(10), np.log(max_px))))
                scale = height_px / float(image.boxes[0, 3] - image.boxes[0, 1])
                self._paste(scene, image, rng, scale)
        scene.pixels = corrupt(scene.pixels, rng)
        return scene

    def _background(self, rng: np.random.Generator) -> Image:
        image = self._backgrounds[int(rng.integers(len(self._backgrounds)))]
        x = int(rng.integers(image.shape[1] - SIZE_WH[0] + 1))
        y = int(rng.integers(image.shape[0] - SIZE_WH[1] + 1))
        cut = image[y : y + SIZE_WH[1], x : x + SIZE_WH[0]]
        return np.ascontiguousarray(cut[:, ::-1] if rng.random() < 0.5 else cut)

    def _paste(
        self, scene: Scene, image: TeacherImage, rng: np.random.Generator, scale: float
    ) -> None:
        """Paste an image onto the scene, rotated, mirrored and masked at random."""
        to_scene, mirrored = _random_placement(scene, image, rng, scale)
        image_mask = _random_mask(image, rng)
        small, from_small = _downscale(image.pixels, scale)
        # Only the region of the scene under the image is processed: most faces are small.
        corners = _transform_points(
            np.array([(0, 0), (1, 0), (0, 1), (1, 1)], np.float32) * image.pixels.shape[1::-1],
            to_scene,
        )
        left, top = np.clip(np.floor(corners.min(axis=0)), 0, SIZE_WH).astype(int).tolist()
        right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, SIZE_WH).astype(int).tolist()
        if left >= right or top >= bottom:
            return
        to_region = to_scene - [[0, 0, left], [0, 0, top]]
        region_wh = (right - left, bottom - top)
        mask = np.zeros(SIZE_WH[::-1], np.float32)
        mask[top:bottom, left:right] = cv2.warpAffine(
            image_mask, to_region, region_wh, flags=cv2.INTER_LINEAR
        )
        foreground = cv2.warpAffine(
            small,
            (np.vstack([to_region, [0, 0, 1]]) @ from_small)[:2],
            region_wh,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        alpha = mask[top:bottom, left:right, None]
        region = scene.pixels[top:bottom, left:right]
        region[:] = (region * (1 - alpha) + foreground * alpha).astype(np.uint8)
        _drop_occluded(scene, mask)
        for box, points in zip(image.boxes, image.points, strict=True):
            _add_face(
                scene,
                _transform_box(box, to_scene),
                _transform_points(points[_MIRRORED_POINTS] if mirrored else points, to_scene),
                mask,
            )
        scene.ignored += [_transform_box(box, to_scene) for box in image.unsure]


def mirrored(scene: Scene) -> Scene:
    """The scene mirrored left to right: another one at almost no cost."""
    width = scene.pixels.shape[1]

    def mirror_boxes(boxes: list[FloatArray]) -> list[FloatArray]:
        return [
            np.array([width - 1 - box[2], box[1], width - 1 - box[0], box[3]], np.float32)
            for box in boxes
        ]

    points = [
        (points[_MIRRORED_POINTS] * (-1, 1) + (width - 1, 0)).astype(np.float32)
        for points in scene.points
    ]
    pixels = np.ascontiguousarray(scene.pixels[:, ::-1])
    return Scene(pixels, mirror_boxes(scene.boxes), points, mirror_boxes(scene.ignored))


def _random_placement(
    scene: Scene, image: TeacherImage, rng: np.random.Generator, scale: float
) -> tuple[NDArray[np.float64], bool]:
    """Transform [2, 3] from the image to the scene, of four random ones the one that occludes the
    fewest faces; and whether it mirrors.
    """
    angle = np.deg2rad(rng.normal(0, 12) if rng.random() < 0.9 else rng.uniform(-45, 45))
    mirrored = bool(rng.random() < 0.5)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    face = (
        image.boxes[0]
        if len(image.boxes)
        else np.array([0, 0, *image.pixels.shape[1::-1]], np.float32)
    )
    center = 0.5 * (face[:2] + face[2:])
    best: tuple[float, NDArray[np.float64]] | None = None
    for _ in range(4):
        position = rng.uniform(0.02, 0.98, 2) * SIZE_WH
        to_scene = np.hstack([turn, (position - turn @ center)[:, None]])
        half_side = 0.6 * scale * (face[2:] - face[:2]).max()
        occluded = 0.0
        for box in scene.boxes:
            distance = np.abs(position - 0.5 * (box[:2] + box[2:]))
            occluded += float((distance < half_side + 0.5 * (box[2:] - box[:2])).all())
        if best is None or occluded < best[0]:
            best = (occluded, to_scene)
    assert best is not None
    return best[1], mirrored


def _downscale(pixels: Image, scale: float) -> tuple[Image, NDArray[np.float64]]:
    """The image downscaled to about `scale` if that is small, against aliasing; and the transform
    back [3, 3].
    """
    if scale >= 0.6:
        return pixels, np.eye(3)
    height, width = pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.diag([width / size[0], height / size[1], 1.0])


def _random_mask(image: TeacherImage, rng: np.random.Generator) -> FloatArray:
    """Opacity [H, W] of the pasted image: all of it with soft edges, or only the heads."""
    height, width = image.pixels.shape[:2]
    mask = np.zeros((height // _MASK_STRIDE, width // _MASK_STRIDE), np.float32)
    kind = rng.random()
    if kind < 0.5 and len(image.boxes):
        for box in image.boxes / _MASK_STRIDE:
            center, half = 0.5 * (box[:2] + box[2:]), 0.5 * (box[2:] - box[:2])
            axes = half * rng.uniform((1.15, 1.1), (1.9, 1.7))
            ellipse = (center.astype(int).tolist(), axes.astype(int).tolist(), 0, 0, 360)
            cv2.ellipse(mask, *ellipse, 1.0, -1, cv2.LINE_AA)
    else:
        edge = int(rng.uniform(0, 0.08) * len(mask))
        mask[edge : len(mask) - edge, edge : mask.shape[1] - edge] = 1
    if kind < 0.85:
        mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.005, 0.04)) * len(mask))
    mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(mask, np.float32)


def _transform_points(points: FloatArray, to_scene: NDArray[np.float64]) -> FloatArray:
    return np.asarray(points @ to_scene[:, :2].T + to_scene[:, 2], np.float32)


def _transform_box(box: FloatArray, to_scene: NDArray[np.float64]) -> FloatArray:
    """Upright box at the transformed center, with the scale but not the rotation applied."""
    center = _transform_points(0.5 * (box[:2] + box[2:]), to_scene)
    half = 0.5 * (box[2:] - box[:2]) * np.sqrt(abs(np.linalg.det(to_scene[:, :2])))
    return np.concatenate([center - half, center + half]).astype(np.float32)


def _add_face(scene: Scene, box: FloatArray, points: FloatArray, mask: FloatArray) -> None:
    """Add a face as labeled if it is large enough and inside the image, else as ignored."""
    inside = np.clip(box, 0, [*SIZE_WH, *SIZE_WH])
    area = float(np.prod(box[2:] - box[:2]))
    visible = float(np.prod(np.maximum(inside[2:] - inside[:2], 0))) / max(area, 1e-6)
    center = 0.5 * (box[:2] + box[2:])
    is_inside = bool(((center >= 0) & (center < SIZE_WH)).all())
    is_opaque = is_inside and mask[int(center[1]), int(center[0])] > 0.9
    is_large = box[3] - box[1] >= MIN_FACE_PX
    if is_opaque and visible >= 0.75 and is_large and len(scene.boxes) < _MAX_FACES:
        scene.boxes.append(box)
        scene.points.append(points)
    elif visible > 0.1:
        scene.ignored.append(box)


def _drop_occluded(scene: Scene, mask: FloatArray) -> None:
    """Remove the labels of faces that an image was pasted over."""
    for index in reversed(range(len(scene.boxes))):
        x1, y1, x2, y2 = np.clip(scene.boxes[index], 0, [*SIZE_WH, *SIZE_WH]).astype(int).tolist()
        occluded = float(mask[y1:y2, x1:x2].mean()) if x1 < x2 and y1 < y2 else 1.0
        if occluded > _MAX_OCCLUSION:
            scene.points.pop(index)
            box = scene.boxes.pop(index)
            if occluded < 0.9:
                scene.ignored.append(box)


def to_batch(scenes: list[Scene]) -> dict[str, Tensor]:
    """Tensors of scenes of one size for `DetectorObjective`; lists are padded with empty boxes."""
    images = np.stack([scene.pixels for scene in scenes]).transpose(0, 3, 1, 2).astype(np.float32)
    faces = max(1, *(len(scene.boxes) for scene in scenes))
    regions = max(1, *(len(scene.ignored) for scene in scenes))
    boxes = np.zeros((len(scenes), faces, 4), np.float32)
    points = np.zeros((len(scenes), faces, 5, 2), np.float32)
    ignored = np.full((len(scenes), regions, 4), -1e6, np.float32)
    for row, scene in enumerate(scenes):
        if scene.boxes:
            boxes[row, : len(scene.boxes)] = scene.boxes
            points[row, : len(scene.boxes)] = scene.points
        if scene.ignored:
            ignored[row, : len(scene.ignored)] = scene.ignored
    return {
        "image": torch.from_numpy((images / 255 - MEAN) / STD),
        "boxes": torch.from_numpy(boxes),
        "points": torch.from_numpy(points),
        "ignored": torch.from_numpy(ignored),
    }
