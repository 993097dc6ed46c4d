"""Locates the annotation files, crops, videos and test lists of a copy of Aff-Wild2.

ABAW1 has `Training_Set`, ABAW2 `Train_Set`, both below `annotations/{AU_Set,EXPR_Set,VA_Set}`;
from ABAW3 on it is
`<Nth>_ABAW_Annotations/{AU_Detection_Challenge,EXPR_Classification_Challenge,VA_Estimation_Challenge}`
and `MTL_Challenge/`. Task and split folders are recognized by the name before the first
underscore. Below a split folder is `<video>.txt` per video; crops are
`cropped_aligned/<video>/NNNNN.jpg`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.datasets.frame_table import Task
from training.datasets.progress_bar import track_progress
from training.datasets.scan_report import ScanReport

LEFT: Final = "_left"
RIGHT: Final = "_right"
POSITIONS: Final = (LEFT, RIGHT, "_main")
"""Suffixes of annotations and crops of a video with more than one person."""
MAX_FRAMES: Final = 10_000_000
"""Maximum frame number (four days of video); a larger one is an error, not worth allocating for."""

NO_FRAME_NUMBER: Final = f"crop whose name is not a frame number from 1 to {MAX_FRAMES:,}"

_TASK_OF: Final[dict[str, Task]] = {"au": "AU", "expr": "EXPR", "expression": "EXPR", "va": "VA"}
_LIST_OF: Final[dict[str, Task | None]] = {
    **_TASK_OF,
    "action": "AU",
    "valence": "VA",
    "mtl": None,
    "multi": None,
}
_SPLIT_OF: Final = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}
_VIDEO_SUFFIXES: Final = (".mp4", ".avi", ".mov", ".mkv", ".webm")
_CROP_SUFFIXES: Final = (".jpg", ".jpeg", ".png")
_BATCH: Final = re.compile(r"batch_?\d+", re.IGNORECASE)
_ANNOTATIONS: Final = re.compile(r"annotations?|.*abaw.*annotations?.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LabelFile:
    path: Path
    task: Task | None  # None for a file of all tasks (MTL)
    split: str

    @property
    def video(self) -> str:
        return self.path.stem


@dataclass(frozen=True, slots=True)
class Crops:
    """The crops of one video, ordered by frame number."""

    folder: str  # relative to the root
    numbers: NDArray[np.int32]  # sorted, unique
    names: pa.StringArray


@dataclass(slots=True)
class Affwild2Files:
    """Files of a copy of Aff-Wild2; none has been read."""

    root: Path
    labels: list[LabelFile] = field(default_factory=list)
    multi_task: list[LabelFile] = field(default_factory=list)
    test_lists: list[LabelFile] = field(default_factory=list)
    crops: dict[str, Crops] = field(default_factory=dict)
    videos: dict[str, Path] = field(default_factory=dict)  # by stem
    silent: set[Path] = field(default_factory=set)  # videos without readable audio


def find_files(
    root: Path, report: ScanReport, annotations: str | None = None, *, progress: bool = True
) -> Affwild2Files:
    """List the files below `root`; `annotations` selects one of several annotation folders."""
    if not root.is_dir():
        raise FileNotFoundError(f"expected a folder, got {root}")
    layout = Affwild2Files(root)
    base = _annotation_folder(root, annotations)
    for folder in _folders(base):
        task = _TASK_OF.get(_head(folder.name))
        if task is not None and (
            splits := [f for f in _folders(folder) if _head(f.name) in _SPLIT_OF]
        ):
            for split in splits:
                layout.labels += [
                    LabelFile(p, task, _SPLIT_OF[_head(split.name)]) for p in _texts(split)
                ]
        elif _head(folder.name) == "mtl":
            named = [(path, _head(path.name)) for path in _texts(folder)]
            layout.multi_task += [
                LabelFile(p, None, _SPLIT_OF[h]) for p, h in named if h in _SPLIT_OF
            ]
    if not layout.labels and not layout.multi_task:
        raise FileNotFoundError(
            f"no annotation file in {base}; expected AU_Set, EXPR_Set or VA_Set (or the "
            "..._Challenge folders of later years) with Train_Set and Validation_Set, and "
            "<video>.txt in those"
        )
    layout.test_lists = find_test_lists(root)
    layout.crops = _all_crops(root, report, progress)
    layout.videos = _videos(root, report)
    return layout


def without_position(name: str) -> str:
    """The source video of an annotation name: without a `_left`, `_right` or `_main` suffix."""
    for suffix in POSITIONS:
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def is_frame_number(text: str) -> bool:
    """Whether a text is a frame number: decimal digits, from 1."""
    return text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= MAX_FRAMES


def holds_annotations(root: Path) -> bool:
    """Whether a folder looks like a copy of Aff-Wild2 of any year."""
    return root.is_dir() and bool(_annotation_folders(root))


def video_file(name: str, videos: dict[str, Path]) -> Path | None:
    """Video file of an annotation name, or else of the name without the position suffix."""
    return videos.get(name) or videos.get(without_position(name))


def _annotation_folder(root: Path, name: str | None) -> Path:
    if name is not None:
        if not (root / name).is_dir():
            raise FileNotFoundError(f"the annotation folder {root / name} does not exist")
        return root / name
    folders = _annotation_folders(root)
    if len(folders) > 1:
        names = ", ".join("." if f == root else f.name for f in folders)
        raise ValueError(
            f"{root} has several annotation folders ({names}); select one with --annotations NAME"
        )
    if not folders:
        content = ", ".join(f.name for f in _folders(root)) or "no folder"
        raise FileNotFoundError(
            f"expected `annotations` or `<Nth>_ABAW_Annotations` in {root}, got {content}"
        )
    return folders[0]


def _annotation_folders(root: Path) -> list[Path]:
    folders = [f for f in _folders(root) if _ANNOTATIONS.fullmatch(f.name)]
    if any(_head(f.name) in _TASK_OF or _head(f.name) == "mtl" for f in _folders(root)):
        folders.insert(0, root)
    return folders


def find_test_lists(root: Path) -> list[LabelFile]:
    """Test lists: `test_set_AU_Challenge.txt` and the later
    `Valence_Arousal_Estimation_Challenge_test_set_release.txt`; those of all tasks (MTL) without
    a task.
    """
    lists = []
    for path in sorted([*root.glob("*test_set*.txt"), *root.glob("*/*test_set*.txt")]):
        words = re.split(r"[_\W]+", path.stem.lower())
        for word in words:
            if not path.name.startswith(".") and word in _LIST_OF:
                lists.append(LabelFile(path, _LIST_OF[word], "test"))
                break
    return lists


def _all_crops(root: Path, report: ScanReport, progress: bool) -> dict[str, Crops]:
    folders: list[Path] = []
    for top in _folders(root):
        if _is_crop_root(top):
            folders += _video_folders(top, report)
    crops: dict[str, Crops] = {}
    from_zero: list[str] = []
    for folder in track_progress(folders, "listing crops", progress=progress):
        if folder.name in crops:
            report.skip("second crop folder of the same video", str(folder.relative_to(root)))
        else:
            crops[folder.name] = _crops_of(folder, root, report, from_zero)
    if from_zero:
        raise ValueError(
            f"expected crops numbered from 1, as those of the organizers, got crops of frame 0 in "
            f"{len(from_zero)} folders, such as {from_zero[0]}; raise all numbers there by one, "
            "since labels are joined to crops by number"
        )
    return crops


def _is_crop_root(folder: Path) -> bool:
    return folder.name.lower().startswith("cropped_aligned")


def _video_folders(top: Path, report: ScanReport) -> list[Path]:
    """Crop folders of videos below `top`; archives that were packed into a folder of their own name
    are looked through.
    """
    folders: list[Path] = []
    for inner in _folders(top):
        if _is_crop_root(inner):
            report.note(f"{inner} lies in a folder of its kind: its crops are read")
            folders += _video_folders(inner, report)
        elif _BATCH.fullmatch(inner.name):
            folders += _folders(inner)
        elif _folders(inner) == [inner / inner.name]:
            report.note(f"{inner / inner.name} lies in a folder of its name: its crops are read")
            folders.append(inner / inner.name)
        else:
            folders.append(inner)
    return folders


def _crops_of(folder: Path, root: Path, report: ScanReport, from_zero: list[str]) -> Crops:
    """Crops of a folder; one of frame 0 is added to `from_zero`."""
    prefix = folder.relative_to(root).as_posix()
    names: dict[int, str] = {}
    with os.scandir(folder) as entries:
        for entry in sorted(e.name for e in entries):
            stem, suffix = os.path.splitext(entry)
            if entry.startswith(".") or suffix.lower() not in _CROP_SUFFIXES:
                continue
            if stem.isdigit() and int(stem) == 0:
                from_zero.append(f"{prefix}/{entry}")
            elif not is_frame_number(stem):
                report.skip(NO_FRAME_NUMBER, f"{prefix}/{entry}")
            elif int(stem) in names:
                report.skip("second crop of the same frame", f"{prefix}/{entry}")
            else:
                names[int(stem)] = entry
    numbers = np.array(sorted(names), np.int32)
    return Crops(prefix, numbers, pa.array([names[int(n)] for n in numbers], pa.string()))


def _videos(root: Path, report: ScanReport) -> dict[str, Path]:
    videos: dict[str, Path] = {}
    for folder, inner, names in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        inner[:] = sorted(
            d
            for d in inner
            if depth < 3 and not d.startswith(".") and not d.lower().startswith("cropped")
        )
        for name in sorted(names):
            path = Path(folder) / name
            if name.startswith(".") or path.suffix.lower() not in _VIDEO_SUFFIXES:
                continue
            if path.stem in videos:
                report.skip("second video file of the same name", path.relative_to(root).as_posix())
            else:
                videos[path.stem] = path
    return videos


def _head(name: str) -> str:
    return re.split(r"[_.\s]", name, maxsplit=1)[0].lower()


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _texts(folder: Path) -> list[Path]:
    return sorted(
        p
        for p in folder.iterdir()
        if p.is_file() and p.suffix.lower() == ".txt" and not p.name.startswith(".")
    )
