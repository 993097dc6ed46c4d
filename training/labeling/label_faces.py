"""Labels FER+ and the web faces with the landmark teacher; one .npz per source."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from training.datasets.ferplus import IMAGE_PX, read_ferplus
from training.labeling.mediapipe_teacher import ROI_MARGIN, MediapipeTeacher, Roi, TeacherAnswer

FERPLUS_FILE: Final = "ferplus_mediapipe.npz"
WEBFACES_FILE: Final = "webfaces_mediapipe.npz"
FERPLUS_ROI_PX: Final = (
    66.0  # the face fills the 48 px; the teacher wants a square of 1.5 times the face
)
_CHUNK: Final = 200


def label_ferplus(shared: Path, out: Path, processes: int = 2) -> Path:
    """Two looks at each enlarged 48 px face."""
    images = read_ferplus(shared / "data" / "ferplus").images
    chunks = [images[i : i + _CHUNK] for i in range(0, len(images), _CHUNK)]
    teacher = shared / "teachers" / "mediapipe_face_landmarker"
    with ProcessPoolExecutor(processes, initializer=_start, initargs=(teacher,)) as pool:
        answers = [
            a for part in track(pool.map(_label_gray, chunks), "FER+", len(chunks)) for a in part
        ]
    return _save(out / FERPLUS_FILE, answers, [str(i) for i in range(len(images))])


def label_webfaces(shared: Path, out: Path, processes: int = 2) -> Path:
    """YuNet's box, then two looks."""
    paths = sorted((shared / "data" / "webfaces").glob("*.jpg"))
    chunks = [paths[i : i + _CHUNK] for i in range(0, len(paths), _CHUNK)]
    teachers = (
        shared / "teachers" / "mediapipe_face_landmarker",
        shared / "teachers" / "yunet" / "yunet_s_640_640.onnx",
    )
    with ProcessPoolExecutor(processes, initializer=_start, initargs=teachers) as pool:
        answers = [
            a
            for part in track(pool.map(_label_files, chunks), "web faces", len(chunks))
            for a in part
        ]
    return _save(out / WEBFACES_FILE, answers, [path.name for path in paths])


def label_renders(shared: Path, renders: Path, processes: int = 2) -> int:
    """What the landmark teacher sees in each shard of rendered faces, in a file beside it; shards
    that have one are left.

    The teacher's idea of a landmark and the vertices of the mesh differ by a few per cent of the
    eye distance. Where it sees a rendered face well, its points are learned, so that one
    definition of the 68 points is trained.
    """
    wanted = [
        path for path in sorted(renders.glob("faces_*.npz")) if not teacher_file(path).exists()
    ]
    teacher = shared / "teachers" / "mediapipe_face_landmarker"
    with ProcessPoolExecutor(processes, initializer=_start, initargs=(teacher,)) as pool:
        for _ in track(pool.map(_label_shard, wanted), "renders", len(wanted)):
            pass
    return len(wanted)


def teacher_file(shard: Path) -> Path:
    """Where the teacher's view of a shard stands."""
    return shard.with_name(shard.name.replace("faces_", "teacher_"))


def yunet_roi(detector: Any, bgr: NDArray[np.uint8]) -> Roi | None:
    """The level square around the largest face that YuNet finds."""
    detector.setInputSize((bgr.shape[1], bgr.shape[0]))
    found = detector.detect(bgr)[1]
    if found is None:
        return None
    x, y, width, height, right_x, right_y, left_x, left_y = max(
        found, key=lambda row: row[2] * row[3]
    )[:8]
    angle = float(np.arctan2(left_y - right_y, left_x - right_x))
    return Roi(
        (float(x + width / 2), float(y + height / 2)), float(max(width, height)) * ROI_MARGIN, angle
    )


def open_yunet(path: Path) -> Any:
    """OpenCV's detector with the teacher's weights."""
    return cv2.FaceDetectorYN.create(str(path), "", (320, 320), 0.6, 0.3, 50)


_state: dict[str, Any] = {}  # per worker process


def _start(teacher: Path, yunet: Path | None = None) -> None:
    cv2.setNumThreads(1)
    _state["teacher"] = MediapipeTeacher(teacher)
    if yunet is not None:
        _state["yunet"] = open_yunet(yunet)


def _label_gray(images: NDArray[np.uint8]) -> list[TeacherAnswer]:
    middle = (IMAGE_PX - 1) / 2
    roi = Roi((middle, middle), FERPLUS_ROI_PX)
    return [
        _state["teacher"].look_twice(np.repeat(image[:, :, None], 3, axis=2), roi)
        for image in images
    ]


def _label_files(paths: list[Path]) -> list[TeacherAnswer]:
    return list(_each_file(paths))


def _each_file(paths: list[Path]) -> Iterator[TeacherAnswer]:
    for path in paths:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        roi = yunet_roi(_state["yunet"], bgr)
        side = max(bgr.shape[:2])
        roi = roi or Roi(((bgr.shape[1] - 1) / 2, (bgr.shape[0] - 1) / 2), float(side))
        yield _state["teacher"].look_twice(np.ascontiguousarray(bgr[:, :, ::-1]), roi)


def _label_shard(shard: Path) -> None:
    with np.load(shard, allow_pickle=False) as arrays:
        images, landmarks = arrays["image"], arrays["landmarks_xy"]
    answers = []
    for image, points in zip(images, landmarks, strict=True):
        low, high = points.min(axis=0), points.max(axis=0)
        center = (low + high) / 2
        roi = Roi((float(center[0]), float(center[1])), float((high - low).max()) * ROI_MARGIN)
        answers.append(_state["teacher"].look_twice(np.ascontiguousarray(image), roi))
    path = teacher_file(shard)
    partial = path.with_name("partial_" + path.name)
    _save(partial, answers, [str(i) for i in range(len(answers))])
    partial.replace(path)


def _save(path: Path, answers: list[TeacherAnswer], names: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        points_xyz=np.stack([a.points_xyz for a in answers]),
        blendshapes=np.stack([a.blendshapes for a in answers]),
        presence=np.array([a.presence for a in answers], np.float32),
        names=np.array(names),
    )
    return path
