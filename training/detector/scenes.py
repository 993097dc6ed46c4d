"""Training scenes: faces of known place at all sizes, laid before clutter; a scene depends on its
number alone.
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
from training.detector.backgrounds import Image, clutter
from training.detector.corrupt import spoil
from training.detector.yunet_teacher import TeacherImage

MEAN, STD = 0.5, 0.25  # of values 0 to 1: the network's normalization
SIZE_WH: Final = (256, 160)
LEAST_PX: Final = 11.0  # smaller faces are neither learned nor denied
_MOST_SHARE: Final = 0.95  # of the image's height that a face may take
_MOST_FACES: Final = 8
_COARSER: Final = 4
_COVERED: Final = 0.3  # of a face's box, from which on it is no longer learned
_MIRRORED: Final = [1, 0, 2, 4, 3]  # the points of a mirrored face


@dataclass(slots=True)
class Scene:
    """An image and what is known of it."""

    pixels: Image  # [H, W, 3] BGR
    boxes: list[FloatArray] = field(default_factory=list)  # [4] each
    points: list[FloatArray] = field(default_factory=list)  # [5, 2] each
    ignored: list[FloatArray] = field(default_factory=list)  # [4] each


class SceneGenerator:
    """Makes scenes of taught images; `clutters` are drawn once, since they are the slowest part."""

    def __init__(
        self, images: list[TeacherImage], data: Path, seed: int = 1, backgrounds: int = 300
    ) -> None:
        self._tight = [one for one in images if len(one.boxes) and one.name.endswith(".jpg")]
        self._wide = [one for one in images if not one.name.endswith(".jpg")]
        self._seed = seed
        rng = np.random.default_rng((seed, 0))
        self._backgrounds = [clutter((320, 200), images, data, rng) for _ in range(backgrounds)]

    def make(self, number: int) -> Scene:
        """Scene `number`."""
        rng = np.random.default_rng((self._seed, 1, number))
        scene = Scene(self._background(rng))
        kind = rng.random()
        if kind < 0.25 and self._wide:  # a rendered person in a room
            self._lay(
                scene,
                self._wide[int(rng.integers(len(self._wide)))],
                rng,
                scale=float(rng.uniform(0.5, 1.5)),
            )
        count = 0 if rng.random() < 0.12 else int(rng.integers(1, 6))
        for _ in range(count):
            use_wide = bool(self._wide) and rng.random() < 0.2
            source = self._wide if use_wide else self._tight
            taught = source[int(rng.integers(len(source)))]
            if len(taught.boxes):
                most = _MOST_SHARE * SIZE_WH[1]
                wanted = float(np.exp(rng.uniform(np.log(10), np.log(most))))
                self._lay(
                    scene,
                    taught,
                    rng,
                    scale=wanted / float(taught.boxes[0, 3] - taught.boxes[0, 1]),
                )
        scene.pixels = spoil(scene.pixels, rng)
        return scene

    def _background(self, rng: np.random.Generator) -> Image:
        image = self._backgrounds[int(rng.integers(len(self._backgrounds)))]
        x, y = (
            int(rng.integers(image.shape[1] - SIZE_WH[0] + 1)),
            int(rng.integers(image.shape[0] - SIZE_WH[1] + 1)),
        )
        cut = image[y : y + SIZE_WH[1], x : x + SIZE_WH[0]]
        return np.ascontiguousarray(cut[:, ::-1] if rng.random() < 0.5 else cut)

    def _lay(
        self, scene: Scene, taught: TeacherImage, rng: np.random.Generator, scale: float
    ) -> None:
        """Lay a taught image over the scene, turned, mirrored and cut out at random."""
        to_scene, mirrored = _placing(scene, taught, rng, scale)
        cover = _cut_out(taught, rng)
        small, from_small = _shrunk(taught.pixels, scale)
        # Only the part of the scene under the image is touched: most faces are small.
        corners = _moved(
            np.array([(0, 0), (1, 0), (0, 1), (1, 1)], np.float32) * taught.pixels.shape[1::-1],
            to_scene,
        )
        left, top = np.clip(np.floor(corners.min(axis=0)), 0, SIZE_WH).astype(int).tolist()
        right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, SIZE_WH).astype(int).tolist()
        if left >= right or top >= bottom:
            return
        whole = np.zeros(SIZE_WH[::-1], np.float32)
        to_part, part_wh = to_scene - [[0, 0, left], [0, 0, top]], (right - left, bottom - top)
        whole[top:bottom, left:right] = cv2.warpAffine(
            cover, to_part, part_wh, flags=cv2.INTER_LINEAR
        )
        small_to_part = (np.vstack([to_part, [0, 0, 1]]) @ from_small)[:2]
        laid = cv2.warpAffine(
            small, small_to_part, part_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        cover, share = whole, whole[top:bottom, left:right, None]
        behind = scene.pixels[top:bottom, left:right]
        behind[:] = (behind * (1 - share) + laid * share).astype(np.uint8)
        _hide_covered(scene, cover)
        for box, points in zip(taught.boxes, taught.points, strict=True):
            _add(
                scene,
                _moved_box(box, to_scene),
                _moved(points[_MIRRORED] if mirrored else points, to_scene),
                cover,
            )
        scene.ignored += [_moved_box(box, to_scene) for box in taught.unsure]


def mirrored(scene: Scene) -> Scene:
    """The scene turned left to right: another one at no cost."""
    width = scene.pixels.shape[1]

    def turned(boxes: list[FloatArray]) -> list[FloatArray]:
        return [
            np.array([width - 1 - box[2], box[1], width - 1 - box[0], box[3]], np.float32)
            for box in boxes
        ]

    points = [
        (points[_MIRRORED] * (-1, 1) + (width - 1, 0)).astype(np.float32) for points in scene.points
    ]
    pixels = np.ascontiguousarray(scene.pixels[:, ::-1])
    return Scene(pixels, turned(scene.boxes), points, turned(scene.ignored))


def _placing(
    scene: Scene, taught: TeacherImage, rng: np.random.Generator, scale: float
) -> tuple[NDArray[np.float64], bool]:
    """A map [2, 3] from the image to the scene, of the tries the one that hides least of other
    faces.
    """
    angle = np.deg2rad(rng.normal(0, 12) if rng.random() < 0.9 else rng.uniform(-45, 45))
    mirrored = bool(rng.random() < 0.5)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    face = (
        taught.boxes[0]
        if len(taught.boxes)
        else np.array([0, 0, *taught.pixels.shape[1::-1]], np.float32)
    )
    middle = 0.5 * (face[:2] + face[2:])
    best: tuple[float, NDArray[np.float64]] | None = None
    for _ in range(4):
        place = rng.uniform(0.02, 0.98, 2) * SIZE_WH
        placed = np.hstack([turn, (place - turn @ middle)[:, None]])
        side = 0.6 * scale * (face[2:] - face[:2]).max()
        hidden = sum(float((np.abs(place - 0.5 * (box[:2] + box[2:])) < side + 0.5 * (box[2:] - box[:2])).all())
                     for box in scene.boxes)  # fmt: skip
        if best is None or hidden < best[0]:
            best = (hidden, placed)
    assert best is not None
    return best[1], mirrored


def _shrunk(pixels: Image, scale: float) -> tuple[Image, NDArray[np.float64]]:
    """The image at about `scale` where that is small, or a small face would be all aliasing; and
    the map back [3, 3].
    """
    if scale >= 0.6:
        return pixels, np.eye(3)
    height, width = pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.diag([width / size[0], height / size[1], 1.0])


def _cut_out(taught: TeacherImage, rng: np.random.Generator) -> FloatArray:
    """How far each pixel of the image covers the scene [H, W]: all of it, with soft edges, or only
    the head.
    """
    height, width = taught.pixels.shape[:2]
    cover = np.zeros(
        (height // _COARSER, width // _COARSER), np.float32
    )  # soft edges need no more pixels
    kind = rng.random()
    if kind < 0.5 and len(taught.boxes):
        for box in taught.boxes / _COARSER:
            middle, half = 0.5 * (box[:2] + box[2:]), 0.5 * (box[2:] - box[:2])
            grown = half * rng.uniform((1.15, 1.1), (1.9, 1.7))
            cv2.ellipse(
                cover,
                middle.astype(int).tolist(),
                grown.astype(int).tolist(),
                0,
                0,
                360,
                1.0,
                -1,
                cv2.LINE_AA,
            )
    else:
        edge = int(rng.uniform(0, 0.08) * len(cover))
        cover[edge : len(cover) - edge, edge : cover.shape[1] - edge] = 1
    if kind < 0.85:
        cover = cv2.GaussianBlur(cover, (0, 0), float(rng.uniform(0.005, 0.04)) * len(cover))
    cover = cv2.resize(cover, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cover, np.float32)


def _moved(points: FloatArray, to_scene: NDArray[np.float64]) -> FloatArray:
    return np.asarray(points @ to_scene[:, :2].T + to_scene[:, 2], np.float32)


def _moved_box(box: FloatArray, to_scene: NDArray[np.float64]) -> FloatArray:
    """An upright box of the same center, and of the size that the map gives it (a turned face is
    not larger).
    """
    middle = _moved(0.5 * (box[:2] + box[2:]), to_scene)
    half = 0.5 * (box[2:] - box[:2]) * np.sqrt(abs(np.linalg.det(to_scene[:, :2])))
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def _add(scene: Scene, box: FloatArray, points: FloatArray, cover: FloatArray) -> None:
    """A face into the scene's list: learned where it is large enough and inside, else ignored."""
    inside = np.clip(box, 0, [*SIZE_WH, *SIZE_WH])
    area = float(np.prod(box[2:] - box[:2]))
    seen = float(np.prod(np.maximum(inside[2:] - inside[:2], 0))) / max(area, 1e-6)
    middle = 0.5 * (box[:2] + box[2:])
    is_in = (
        bool(((middle >= 0) & (middle < SIZE_WH)).all())
        and cover[int(middle[1]), int(middle[0])] > 0.9
    )
    if is_in and seen >= 0.75 and box[3] - box[1] >= LEAST_PX and len(scene.boxes) < _MOST_FACES:
        scene.boxes.append(box)
        scene.points.append(points)
    elif seen > 0.1:
        scene.ignored.append(box)


def _hide_covered(scene: Scene, cover: FloatArray) -> None:
    """Faces that an image was laid over are no longer learned."""
    for index in reversed(range(len(scene.boxes))):
        x1, y1, x2, y2 = np.clip(scene.boxes[index], 0, [*SIZE_WH, *SIZE_WH]).astype(int).tolist()
        hidden = float(cover[y1:y2, x1:x2].mean()) if x1 < x2 and y1 < y2 else 1.0
        if hidden > _COVERED:
            scene.points.pop(index)
            box = scene.boxes.pop(index)
            if hidden < 0.9:
                scene.ignored.append(box)


def as_batch(scenes: list[Scene]) -> dict[str, Tensor]:
    """Tensors of scenes of one size, as `DetectorObjective` wants them; lists are filled up with
    empty boxes.
    """
    images = np.stack([scene.pixels for scene in scenes]).transpose(0, 3, 1, 2).astype(np.float32)
    most = max(1, *(len(scene.boxes) for scene in scenes))
    most_ignored = max(1, *(len(scene.ignored) for scene in scenes))
    boxes, points = (
        np.zeros((len(scenes), most, 4), np.float32),
        np.zeros((len(scenes), most, 5, 2), np.float32),
    )
    ignored = np.full((len(scenes), most_ignored, 4), -1e6, np.float32)
    for row, scene in enumerate(scenes):
        if scene.boxes:
            boxes[row, : len(scene.boxes)], points[row, : len(scene.boxes)] = (
                scene.boxes,
                scene.points,
            )
        if scene.ignored:
            ignored[row, : len(scene.ignored)] = scene.ignored
    return {
        "image": torch.from_numpy((images / 255 - MEAN) / STD),
        "boxes": torch.from_numpy(boxes), "points": torch.from_numpy(points), "ignored": torch.from_numpy(ignored),
    }  # fmt: skip
