"""Labels and crops of a folder in the layout of Aff-Wild2 (ABAW2), as far as evaluation needs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.sources.quiet_opencv import quiet_opencv
from training.evaluation.label_table import TASKS, LabelTable, unlabelled

ANNOTATIONS: Final = "annotations"
CROPS: Final = "cropped_aligned"
SPLITS: Final = {"training": ("Train_Set",), "validation": ("Validation_Set",), "all": ("Train_Set", "Validation_Set")}
TEST_LISTS: Final = {
    "AU_Set": "test_set_AU_Challenge.txt",
    "EXPR_Set": "test_set_Expr_Challenge.txt",
    "VA_Set": "test_set_VA_Challenge.txt",
}
HEADERS: Final = {
    "AU_Set": ",".join(AU_NAMES),
    "EXPR_Set": ",".join(name.capitalize() for name in EXPRESSION_NAMES),
    "VA_Set": "valence,arousal",
}
"""First line of a task's files, of labels and submissions alike."""

_COLUMNS: Final = {"AU_Set": len(AU_NAMES), "EXPR_Set": 1, "VA_Set": 2}
LEFT: Final = "_left"
RIGHT: Final = "_right"
_VIDEO_SUFFIXES: Final = (".mp4", ".avi")
_MOST_FRAMES: Final = 10_000_000  # of a video; a number beyond it is no frame number

Labels = dict[str, dict[str, NDArray[np.float32]]]
"""Task -> video -> rows of its label file."""


class LabelError(ValueError):
    """Labels that cannot be read: file, line, what was wanted and what came."""


def is_affwild2(folder: Path) -> bool:
    return any((folder / ANNOTATIONS / task).is_dir() for task in TASKS)


def load_labels(folder: Path, split: str = "validation") -> LabelTable:
    """Frames of all videos that a task's `split` (training, validation, all) or a test list names.

    A task's labels are those of this split only: a video that trains one task may validate another. A video has as many
    frames as its file says, or as the labels or crops reach where they reach further. Raises LabelError.
    """
    labels = _read_split(folder, split)
    listed = {task: frozenset(labels[task]) | _test_list(folder, task) for task in TASKS}
    videos = tuple(sorted(frozenset().union(*listed.values())))
    if not videos:
        wanted = " or ".join(f"{ANNOTATIONS}/<task>/{name}" for name in SPLITS[split])
        raise LabelError(f"{folder}: label files were wanted in {wanted}, with tasks {', '.join(TASKS)}; there are none")
    files = {path.stem: path for path in (folder / "videos").rglob("*") if path.suffix.lower() in _VIDEO_SUFFIXES}
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in ("video", "frame", "au", "expression", "va")}
    crop: list[str | None] = []
    for position, name in enumerate(videos):
        crops = _crops(folder / CROPS / name)
        rows = {task: labels[task][name] for task in TASKS if name in labels[task]}
        file = files.get(name) or files.get(source_name(name))
        count = max([_frame_count(file), *crops, *map(len, rows.values())])
        arrays = unlabelled(count)
        for task, column in zip(TASKS, ("au", "expression", "va"), strict=True):
            if task in rows:
                arrays[column][: len(rows[task])] = rows[task].reshape(-1, *arrays[column].shape[1:])
        for column, values in arrays.items():
            parts[column].append(values)
        parts["video"].append(np.full(count, position, np.int64))
        parts["frame"].append(np.arange(1, count + 1))
        crop += [crops.get(number) for number in range(1, count + 1)]
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    return LabelTable(videos=videos, crop=tuple(crop), listed=listed, **columns)


def source_name(name: str) -> str:
    """The video of an annotation: two people of one video have `_left` and `_right` behind its name."""
    for side in (LEFT, RIGHT):
        if name.endswith(side):
            return name[: -len(side)]
    return name


def _read_split(folder: Path, split: str) -> Labels:
    if split not in SPLITS:
        raise LabelError(f"split must be one of {sorted(SPLITS)}, got {split!r}")
    labels: Labels = {task: {} for task in TASKS}
    for task in TASKS:
        for part in SPLITS[split]:
            for path in sorted((folder / ANNOTATIONS / task / part).glob("[!.]*.txt")):
                if path.stem in labels[task]:
                    raise LabelError(f"{path}: {path.stem} already has labels of {task} in another split; keep one")
                labels[task][path.stem] = read_label_file(path, task)
    return labels


def read_label_file(path: Path, task: str) -> NDArray[np.float32]:
    """Rows [F, 12], [F, 1] or [F, 2] of a label or submission file; row i is frame i + 1. Raises LabelError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: labels were wanted, the file cannot be read: {error}") from None
    header = ",".join(part.strip() for part in lines[0].rstrip(" ,").split(",")) if lines else ""
    if header.lower() != HEADERS[task].lower():
        raise LabelError(f"{path}:1: the header must be {HEADERS[task]!r} as in ABAW2, got {header!r}")
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    return np.array([_parse(line, task, f"{path}:{i}") for i, line in enumerate(lines[1:], 2)], np.float32).reshape(
        -1, _COLUMNS[task]
    )


def _parse(line: str, task: str, where: str) -> list[float]:
    try:
        values = [float(part) for part in line.rstrip(" ,").split(",")]
    except ValueError:
        values = []
    if len(values) != _COLUMNS[task] or not all(_ALLOWED[task](value) for value in values):
        raise LabelError(f"{where}: wanted {_WANTED[task]}, got {line!r}")
    return values


_ALLOWED: Final[dict[str, Callable[[float], bool]]] = {
    "AU_Set": lambda value: value in (-1, 0, 1),
    "EXPR_Set": lambda value: value in range(-1, len(EXPRESSION_NAMES)),
    "VA_Set": lambda value: -1 <= value <= 1 or value == -5,
}
_WANTED: Final = {
    "AU_Set": "12 numbers, each 0, 1 or -1",
    "EXPR_Set": f"one number from -1 to {len(EXPRESSION_NAMES) - 1}",
    "VA_Set": "two numbers, each in [-1, 1] or -5",
}


def _test_list(folder: Path, task: str) -> frozenset[str]:
    path = folder / TEST_LISTS[task]
    if not path.is_file():
        return frozenset()
    names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    for i, name in enumerate(names, 1):
        if name and Path(name).name != name:
            raise LabelError(f"{path}:{i}: wanted the name of a video, got {name!r}")
    return frozenset(name for name in names if name)


def _crops(folder: Path) -> dict[int, str]:
    """Paths of a video's crops by frame number; files whose names are no number are no crops."""
    if not folder.is_dir():
        return {}
    pictures = (path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    crops = {int(path.stem): str(path) for path in pictures if path.stem.isdecimal() and int(path.stem) > 0}
    if crops and max(crops) > _MOST_FRAMES:
        raise LabelError(f"{crops[max(crops)]}: crops must be named after their frame, from 00001 on; remove this file")
    return crops


def _frame_count(video: Path | None) -> int:
    """Frames that a video file says it has; 0 without a file or where it does not say."""
    if video is None:
        return 0
    cv2 = quiet_opencv()
    capture = cv2.VideoCapture(str(video))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    return count if 0 < count <= _MOST_FRAMES else 0
