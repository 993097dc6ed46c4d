"""Where things lie in a copy of Aff-Wild2: annotation files, crops, videos and test lists, under
all names in use.

ABAW1 has `Training_Set`, ABAW2 `Train_Set`, both below `annotations/{AU_Set,EXPR_Set,VA_Set}`;
from ABAW3 on it is
`<Nth>_ABAW_Annotations/{AU_Detection_Challenge,EXPR_Classification_Challenge,VA_Estimation_Challenge}`
and `MTL_Challenge/`. A task folder is known by what stands before its first underscore, a split
likewise.
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
"""Suffixes of a video with more than one person; they belong to the annotation file and the crops,
not to the video.
"""
MAX_FRAMES: Final = 10_000_000
"""Of a video: four days of it. A higher number is a mistake, and none that memory should be laid
out for.
"""

NO_FRAME_NUMBER: Final = f"crop whose name is no frame number from 1 to {MAX_FRAMES:,}"

_TASK_OF: Final[dict[str, Task]] = {"au": "AU", "expr": "EXPR", "expression": "EXPR", "va": "VA"}
_SPLIT_OF: Final = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}
_VIDEO_ENDS: Final = (".mp4", ".avi", ".mov", ".mkv", ".webm")
_CROP_ENDS: Final = (".jpg", ".jpeg", ".png")
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
    """The crops of one video, by number."""

    folder: str  # relative to the root
    numbers: NDArray[np.int32]  # sorted, unique
    names: pa.StringArray


@dataclass(slots=True)
class Affwild2Files:
    """Everything that was found below one root; nothing has been read yet."""

    root: Path
    labels: list[LabelFile] = field(default_factory=list)
    multi_task: list[LabelFile] = field(default_factory=list)
    test_lists: list[LabelFile] = field(default_factory=list)
    crops: dict[str, Crops] = field(default_factory=dict)
    videos: dict[str, Path] = field(default_factory=dict)  # by stem
    silent: set[Path] = field(default_factory=set)  # videos found to have no audio that can be read


def find_files(
    root: Path, report: ScanReport, annotations: str | None = None, *, progress: bool = True
) -> Affwild2Files:
    """Look through a folder. `annotations` names the annotation folder where a copy holds several."""
    if not root.is_dir():
        raise FileNotFoundError(f"Aff-Wild2 must be a folder, {root} is not one")
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
            f"no annotation file in {base}: wanted AU_Set, EXPR_Set or VA_Set (or the ..._Challenge folders of later years) "
            "with Train_Set and Validation_Set in it, and <video>.txt in those"
        )
    layout.test_lists = _test_lists(root)
    layout.crops = _all_crops(root, report, progress)
    layout.videos = _videos(root, report)
    return layout


def without_position(name: str) -> str:
    """The video of an annotation name: `_left`, `_right` or `_main` cut off its end, other
    underscores kept.
    """
    for end in POSITIONS:
        if name.endswith(end) and len(name) > len(end):
            return name[: -len(end)]
    return name


def is_frame_number(text: str) -> bool:
    """Whether a name or cell numbers a frame: decimal digits, from 1 on."""
    return text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= MAX_FRAMES


def holds_annotations(root: Path) -> bool:
    """Whether a folder looks like a copy of Aff-Wild2, of whatever year."""
    return root.is_dir() and bool(_annotation_folders(root))


def video_file(name: str, videos: dict[str, Path]) -> Path | None:
    """The file of an annotation name: the one of that very name, else of the name without the
    person's position.
    """
    return videos.get(name) or videos.get(without_position(name))


def _annotation_folder(root: Path, wanted: str | None) -> Path:
    if wanted is not None:
        if not (root / wanted).is_dir():
            raise FileNotFoundError(f"the annotation folder {root / wanted} is not there")
        return root / wanted
    found = _annotation_folders(root)
    if len(found) > 1:
        names = ", ".join("." if f == root else f.name for f in found)
        raise ValueError(
            f"{root} holds several annotation folders ({names}): name the one that counts (--annotations NAME)"
        )
    if not found:
        there = ", ".join(f.name for f in _folders(root)) or "no folder"
        raise FileNotFoundError(
            f"{root} must hold `annotations` or `<Nth>_ABAW_Annotations`, it holds {there}"
        )
    return found[0]


def _annotation_folders(root: Path) -> list[Path]:
    found = [f for f in _folders(root) if _ANNOTATIONS.fullmatch(f.name)]
    if any(_head(f.name) in _TASK_OF or _head(f.name) == "mtl" for f in _folders(root)):
        found.insert(0, root)
    return found


def _test_lists(root: Path) -> list[LabelFile]:
    """Lists of the test videos: `test_set_AU_Challenge.txt` and the later
    `AU_..._test_set_release.txt`.
    """
    lists = []
    for path in sorted([*root.glob("*test_set*.txt"), *root.glob("*/*test_set*.txt")]):
        words = re.split(r"[_\W]+", path.stem.lower())
        for word in words:
            if not path.name.startswith(".") and (word in _TASK_OF or word == "mtl"):
                lists.append(LabelFile(path, _TASK_OF.get(word), "test"))
                break
    return lists


def _all_crops(root: Path, report: ScanReport, progress: bool) -> dict[str, Crops]:
    places = []
    for folder in _folders(root):
        if folder.name.lower().startswith("cropped_aligned"):
            for inner in _folders(folder):
                places += _folders(inner) if _BATCH.fullmatch(inner.name) else [inner]
    crops: dict[str, Crops] = {}
    for place in track_progress(places, "listing crops", progress=progress):
        if place.name in crops:
            report.skip("second folder of crops of the same video", str(place.relative_to(root)))
        else:
            crops[place.name] = _crops_of(place, root, report)
    return crops


def _crops_of(place: Path, root: Path, report: ScanReport) -> Crops:
    folder = place.relative_to(root).as_posix()
    names: dict[int, str] = {}
    with os.scandir(place) as entries:
        for entry in sorted(e.name for e in entries):
            stem, end = os.path.splitext(entry)
            if entry.startswith(".") or end.lower() not in _CROP_ENDS:
                continue
            if not is_frame_number(stem):
                report.skip(NO_FRAME_NUMBER, f"{folder}/{entry}")
            elif int(stem) in names:
                report.skip("second crop of the same frame", f"{folder}/{entry}")
            else:
                names[int(stem)] = entry
    numbers = np.array(sorted(names), np.int32)
    return Crops(folder, numbers, pa.array([names[int(n)] for n in numbers], pa.string()))


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
            if name.startswith(".") or path.suffix.lower() not in _VIDEO_ENDS:
                continue
            if path.stem in videos:
                report.skip("second video file of the same name", path.relative_to(root).as_posix())
            else:
                videos[path.stem] = path
    return videos


def _head(name: str) -> str:
    return re.split(r"[_.\s]", name, maxsplit=1)[0].lower()


def _folders(place: Path) -> list[Path]:
    return sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))


def _texts(place: Path) -> list[Path]:
    return sorted(
        p
        for p in place.iterdir()
        if p.is_file() and p.suffix.lower() == ".txt" and not p.name.startswith(".")
    )
