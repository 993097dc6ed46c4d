"""Pseudo-labels FER+, web faces and synthetic images with the landmark teacher, as .npz files."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from training.datasets.ferplus import IMAGE_PX, read_ferplus
from training.labeling.mediapipe_teacher import ROI_MARGIN, LandmarkerOutputs, MediaPipeTeacher, Roi

FERPLUS_FILE: Final = "ferplus_mediapipe.npz"
WEBFACES_FILE: Final = "webfaces_mediapipe.npz"
# The face fills the 48 px image; the teacher expects a square of 1.5 times the face.
FERPLUS_ROI_PX: Final = 66.0
_CHUNK: Final = 200


def label_ferplus(shared: Path, out: Path, processes: int = 2) -> Path:
    """Labels the 48 px faces of FER+."""
    images = read_ferplus(shared / "data" / "ferplus").images
    outputs = _label_chunks(shared, _label_gray, images, "FER+", processes)
    return _save(out / FERPLUS_FILE, outputs, [str(i) for i in range(len(images))])


def label_web_faces(shared: Path, out: Path, processes: int = 2) -> Path:
    """Labels the web faces; the initial region is the box of YuNet."""
    paths = sorted((shared / "data" / "webfaces").glob("*.jpg"))
    outputs = _label_chunks(shared, _label_files, paths, "web faces", processes)
    return _save(out / WEBFACES_FILE, outputs, [path.name for path in paths])


def _label_chunks(
    shared: Path,
    label: Callable[[Any], list[LandmarkerOutputs]],
    faces: Any,
    title: str,
    processes: int,
) -> list[LandmarkerOutputs]:
    chunks = [faces[i : i + _CHUNK] for i in range(0, len(faces), _CHUNK)]
    with ProcessPoolExecutor(processes, initializer=_start, initargs=(shared,)) as pool:
        results = track(pool.map(label, chunks), title, len(chunks))
        return [output for chunk in results for output in chunk]


def label_synthetic_images(shared: Path, folder: Path, processes: int = 2) -> int:
    """Labels shards of synthetic images; writes one file beside each, skips labeled shards.

    The teacher's landmarks and the vertices of the mesh differ by a few percent of the interocular
    distance. Where the teacher detects a synthetic face well, training uses its landmarks, so that
    the 68 points have a single definition.
    """
    shards = [
        path for path in sorted(folder.glob("faces_*.npz")) if not teacher_path(path).exists()
    ]
    with ProcessPoolExecutor(processes, initializer=_start, initargs=(shared,)) as pool:
        for _ in track(pool.map(_label_shard, shards), "synthetic images", len(shards)):
            pass
    return len(shards)


def teacher_path(shard: Path) -> Path:
    """Returns the path of the teacher outputs of a shard."""
    return shard.with_name(shard.name.replace("faces_", "teacher_"))


def yunet_roi(detector: Any, bgr: NDArray[np.uint8]) -> Roi | None:
    """Returns the roll-aligned square around the largest face detected by YuNet, or None."""
    detector.setInputSize((bgr.shape[1], bgr.shape[0]))
    detections = detector.detect(bgr)[1]
    if detections is None:
        return None
    x, y, width, height, right_x, right_y, left_x, left_y = max(
        detections, key=lambda row: row[2] * row[3]
    )[:8]
    angle = float(np.arctan2(left_y - right_y, left_x - right_x))
    return Roi(
        (float(x + width / 2), float(y + height / 2)), float(max(width, height)) * ROI_MARGIN, angle
    )


def open_yunet(shared: Path) -> Any:
    """Opens the YuNet face detector of OpenCV."""
    path = shared / "teachers" / "yunet" / "yunet_s_640_640.onnx"
    return cv2.FaceDetectorYN.create(str(path), "", (320, 320), 0.6, 0.3, 50)


_state: dict[str, Any] = {}  # per worker process


def _start(shared: Path) -> None:
    cv2.setNumThreads(1)
    _state["teacher"] = MediaPipeTeacher(shared / "teachers" / "mediapipe_face_landmarker")
    _state["shared"] = shared


def _label_gray(images: NDArray[np.uint8]) -> list[LandmarkerOutputs]:
    center = (IMAGE_PX - 1) / 2
    roi = Roi((center, center), FERPLUS_ROI_PX)
    return [
        _state["teacher"].predict_refined(np.repeat(image[:, :, None], 3, axis=2), roi)
        for image in images
    ]


def _label_files(paths: list[Path]) -> list[LandmarkerOutputs]:
    return [_label_file(path) for path in paths]


def _label_file(path: Path) -> LandmarkerOutputs:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise OSError(f"failed to read {path}")
    bgr = np.asarray(image, np.uint8)
    height, width = bgr.shape[:2]
    full_image = Roi(((width - 1) / 2, (height - 1) / 2), float(max(height, width)))
    if "yunet" not in _state:
        _state["yunet"] = open_yunet(_state["shared"])
    roi = yunet_roi(_state["yunet"], bgr) or full_image
    teacher: MediaPipeTeacher = _state["teacher"]
    return teacher.predict_refined(np.ascontiguousarray(bgr[:, :, ::-1]), roi)


def _label_shard(shard: Path) -> None:
    with np.load(shard, allow_pickle=False) as arrays:
        images = arrays["image"]
        landmarks = arrays["landmarks_xy"]
    outputs = []
    for image, points in zip(images, landmarks, strict=True):
        low, high = points.min(axis=0), points.max(axis=0)
        center = (low + high) / 2
        roi = Roi((float(center[0]), float(center[1])), float((high - low).max()) * ROI_MARGIN)
        outputs.append(_state["teacher"].predict_refined(np.ascontiguousarray(image), roi))
    path = teacher_path(shard)
    partial = path.with_name("partial_" + path.name)
    _save(partial, outputs, [str(i) for i in range(len(outputs))])
    partial.replace(path)


def _save(path: Path, outputs: list[LandmarkerOutputs], names: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        points_xyz=np.stack([output.points_xyz for output in outputs]),
        blendshapes=np.stack([output.blendshapes for output in outputs]),
        presence=np.array([output.presence for output in outputs], np.float32),
        names=np.array(names),
    )
    return path
