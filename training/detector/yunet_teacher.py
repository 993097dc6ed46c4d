"""YuNet says where faces are; its answers on web faces and on frames of RenderWild are kept in one
file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.detectors.yunet import YunetDetector
from faceaffect.types import FloatArray, Frame
from training.datasets.real_faces import is_held_out

TEACHER: Final = Path("teachers") / "yunet" / "yunet_s_640_640.onnx"
_BORDER_PX: Final = 48  # YuNet knows few faces that fill the image: room around one helps
_SURE: Final = 0.8
_LEAST: Final = 0.4  # what the teacher half sees is neither learned nor denied
_FRAMES_EACH: Final = 2  # of a rendered video


@dataclass(frozen=True, slots=True)
class TeacherImage:
    """An image and its faces; `unsure` are boxes of which nothing is said."""

    name: str
    pixels: NDArray[np.uint8]  # [H, W, 3] BGR
    boxes: FloatArray  # [K, 4]
    points: FloatArray  # [K, 5, 2]
    unsure: FloatArray  # [U, 4]
    held_out: bool


def save_teacher_images(images: list[TeacherImage], path: Path) -> None:
    """One file of plain arrays: pixels of all images one after the other, and rows with the number
    of their image.
    """
    values: dict[str, Any] = {
        "name": np.array([one.name for one in images]), "held_out": np.array([one.held_out for one in images]),
        "shape": np.array([one.pixels.shape for one in images]),
        "pixels": np.concatenate([one.pixels.ravel() for one in images]),
    }  # fmt: skip
    for part in ("boxes", "points", "unsure"):
        rows = [getattr(one, part) for one in images]
        values[part], values[f"{part}_of"] = (
            np.concatenate(rows),
            np.repeat(np.arange(len(rows)), [len(row) for row in rows]),
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **values)
    partial.replace(path)


def load_teacher_images(path: Path) -> list[TeacherImage]:
    """What `save_teacher_images` wrote."""
    with np.load(path, allow_pickle=False) as file:
        values = {name: file[name] for name in file.files}
    ends = np.cumsum(values["shape"].prod(axis=1))
    found = []
    for row, (name, shape, end) in enumerate(
        zip(values["name"], values["shape"], ends, strict=True)
    ):
        pixels = values["pixels"][end - shape.prod() : end].reshape(shape)
        own = {
            part: values[part][values[f"{part}_of"] == row]
            for part in ("boxes", "points", "unsure")
        }
        found.append(TeacherImage(str(name), pixels, held_out=bool(values["held_out"][row]), **own))
    return found


class YunetTeacher:
    """Answers for an image."""

    def __init__(self, shared: Path) -> None:
        self._detector = YunetDetector(shared / TEACHER, min_score=_LEAST)

    def teach(
        self, name: str, pixels: NDArray[np.uint8], held_out: bool, border_px: int = 0
    ) -> TeacherImage:
        """The image with the teacher's boxes and points, taken with `border_px` more around it."""
        padded = (
            cv2.copyMakeBorder(
                pixels, border_px, border_px, border_px, border_px, cv2.BORDER_REPLICATE
            )
            if border_px
            else pixels
        )
        found = self._detector.detect(Frame(np.asarray(padded, np.uint8)))
        sure = found.score >= _SURE
        boxes, points = found.box_xyxy - border_px, found.keypoints_xy - border_px
        return TeacherImage(name, pixels, boxes[sure], points[sure], boxes[~sure], held_out)


def label_web_faces(shared: Path) -> Iterator[TeacherImage]:
    """The web faces; a tenth is held out, the same as for the default model."""
    teacher = YunetTeacher(shared)
    for path in sorted((shared / "data" / "webfaces").glob("*.jpg")):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        yield teacher.teach(
            path.name, np.asarray(image, np.uint8), is_held_out(path.name), _BORDER_PX
        )


def label_synthetic_frames(shared: Path, wild: Path) -> Iterator[TeacherImage]:
    """Some frames of each video of RenderWild; its validation videos are held out.

    A face of the rendering that the teacher does not see becomes unsure, so that the student is
    not told that it is none.
    """
    teacher = YunetTeacher(shared)
    for described in sorted((wild / "truth").glob("*.json")):
        about = json.loads(described.read_text(encoding="utf-8"))
        truth = np.load(described.with_suffix(".npz"), allow_pickle=False)
        yield from _frames_of(teacher, wild / about["video"], about, truth)


def _frames_of(
    teacher: YunetTeacher, video: Path, about: Any, truth: Any
) -> Iterator[TeacherImage]:
    capture = cv2.VideoCapture(str(video))
    wanted = set(np.linspace(0, about["frame_count"] - 1, _FRAMES_EACH).astype(int).tolist())
    for index in range(about["frame_count"]):
        good, pixels = capture.read()
        if not good:
            break
        if index not in wanted:
            continue
        taught = teacher.teach(
            f"{about['name']}#{index}", np.asarray(pixels, np.uint8), about["split"] != "Train_Set"
        )
        low, high = (
            truth["landmarks_xy"][index].min(axis=0),
            truth["landmarks_xy"][index].max(axis=0),
        )
        middle = 0.5 * (low + high)
        inside = ((middle >= taught.boxes[:, :2]) & (middle <= taught.boxes[:, 2:])).all(axis=1)
        if not inside.any():
            own = np.concatenate([low, high])[None].astype(np.float32)
            taught = TeacherImage(
                taught.name,
                taught.pixels,
                taught.boxes,
                taught.points,
                np.concatenate([taught.unsure, own]),
                taught.held_out,
            )
        yield taught
    capture.release()
