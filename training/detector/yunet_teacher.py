"""Labels web faces and frames of RenderWild with YuNet and keeps them in one file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.detectors.yunet import YunetDetector
from faceaffect.types import FloatArray, Frame
from training.datasets.real_faces import is_held_out
from training.engine.checkpoint import write_arrays

TEACHER: Final = Path("teachers") / "yunet" / "yunet_s_640_640.onnx"
_BORDER_PX: Final = 48  # YuNet misses faces that fill the image without a border
_MIN_LABEL_SCORE: Final = 0.8
_MIN_SCORE: Final = 0.4  # faces between the two scores are ignored in training
_FRAMES_PER_VIDEO: Final = 2


@dataclass(frozen=True, slots=True)
class TeacherImage:
    """An image and its labeled faces; `unsure` are boxes ignored in training."""

    name: str
    pixels: NDArray[np.uint8]  # [H, W, 3] BGR
    boxes: FloatArray  # [K, 4]
    points: FloatArray  # [K, 5, 2]
    unsure: FloatArray  # [U, 4]
    held_out: bool


def save_teacher_images(images: list[TeacherImage], path: Path) -> None:
    """Write one file of plain arrays: pixels of all images concatenated, and rows with the index of
    their image.
    """
    arrays = {
        "name": np.array([image.name for image in images]),
        "held_out": np.array([image.held_out for image in images]),
        "shape": np.array([image.pixels.shape for image in images]),
        "pixels": np.concatenate([image.pixels.ravel() for image in images]),
    }
    for part in ("boxes", "points", "unsure"):
        rows = [getattr(image, part) for image in images]
        arrays[part] = np.concatenate(rows)
        arrays[f"{part}_of"] = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    write_arrays(path, arrays)


def load_teacher_images(path: Path) -> list[TeacherImage]:
    """Read the images that `save_teacher_images` wrote."""
    with np.load(path, allow_pickle=False) as file:
        values = {name: file[name] for name in file.files}
    ends = np.cumsum(values["shape"].prod(axis=1))
    images = []
    for row, (name, shape, end) in enumerate(
        zip(values["name"], values["shape"], ends, strict=True)
    ):
        pixels = values["pixels"][end - shape.prod() : end].reshape(shape)
        faces = {
            part: values[part][values[f"{part}_of"] == row]
            for part in ("boxes", "points", "unsure")
        }
        held_out = bool(values["held_out"][row])
        images.append(TeacherImage(str(name), pixels, held_out=held_out, **faces))
    return images


class YunetTeacher:
    """Labels images with YuNet."""

    def __init__(self, assets: Path) -> None:
        self._detector = YunetDetector(assets / TEACHER, min_score=_MIN_SCORE)

    def label(
        self, name: str, pixels: NDArray[np.uint8], held_out: bool, border_px: int = 0
    ) -> TeacherImage:
        """The image with YuNet's boxes and points, detected with a border of `border_px`."""
        padded = (
            cv2.copyMakeBorder(
                pixels, border_px, border_px, border_px, border_px, cv2.BORDER_REPLICATE
            )
            if border_px
            else pixels
        )
        detections = self._detector.detect(Frame(np.asarray(padded, np.uint8)))
        is_sure = detections.score >= _MIN_LABEL_SCORE
        boxes = detections.box_xyxy - border_px
        points = detections.keypoints_xy - border_px
        return TeacherImage(
            name, pixels, boxes[is_sure], points[is_sure], boxes[~is_sure], held_out
        )


def label_web_faces(assets: Path) -> Iterator[TeacherImage]:
    """The labeled web faces; the same tenth is held out as for the default model."""
    teacher = YunetTeacher(assets)
    for path in sorted((assets / "data" / "webfaces").glob("*.jpg")):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        yield teacher.label(
            path.name, np.asarray(image, np.uint8), is_held_out(path.name), _BORDER_PX
        )


def label_synthetic_frames(assets: Path, folder: Path) -> Iterator[TeacherImage]:
    """Two labeled frames of each RenderWild video in `folder`; validation videos are held out.

    A rendered face that YuNet misses becomes unsure, so that the student is not trained to miss
    it.
    """
    teacher = YunetTeacher(assets)
    for described in sorted((folder / "truth").glob("*.json")):
        about = json.loads(described.read_text(encoding="utf-8"))
        truth = np.load(described.with_suffix(".npz"), allow_pickle=False)
        yield from _frames_of(teacher, folder / about["video"], about, truth)


def _frames_of(
    teacher: YunetTeacher, video: Path, about: Any, truth: Any
) -> Iterator[TeacherImage]:
    capture = cv2.VideoCapture(str(video))
    selected = set(np.linspace(0, about["frame_count"] - 1, _FRAMES_PER_VIDEO).astype(int).tolist())
    for index in range(about["frame_count"]):
        is_read, pixels = capture.read()
        if not is_read:
            break
        if index not in selected:
            continue
        image = teacher.label(
            f"{about['name']}#{index}", np.asarray(pixels, np.uint8), about["split"] != "Train_Set"
        )
        low = truth["landmarks_xy"][index].min(axis=0)
        high = truth["landmarks_xy"][index].max(axis=0)
        center = 0.5 * (low + high)
        is_inside = (center >= image.boxes[:, :2]) & (center <= image.boxes[:, 2:])
        if not is_inside.all(axis=1).any():
            box = np.concatenate([low, high])[None].astype(np.float32)
            image = replace(image, unsure=np.concatenate([image.unsure, box]))
        yield image
    capture.release()
