"""Reader of DFEW: film clips with one expression each, in five folds.

`EmoLabel_DataSplit/{train,test}(single-labeled)/set_<fold>.csv` has the columns video_name and
label (1 Happy, 2 Sad, 3 Neutral, 4 Angry, 5 Surprise, 6 Disgust, 7 Fear). Images are
`Clip/clip_224x224/<5 digits>/*.jpg`, or sixteen per clip in `Clip/clip_224x224_16f`. Every frame
gets the label of its clip.

Jiang et al., "DFEW: A Large-Scale Database for Recognizing Dynamic Facial Expressions in the
Wild", ACM Multimedia 2020. It requires an agreement. The reader was tested on synthetic files
only, not on the real dataset.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from training.datasets.annotation_files import csv_rows, find_folder, images_by_number, parse_int
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable
from training.datasets.label_maps import DFEW, NO_CLASS
from training.datasets.progress_bar import track_progress
from training.datasets.table_builder import Row, TableBuilder

SOURCE: Final = "DFEW"
FOLDS: Final = 5
_IMAGE_FOLDERS: Final = (
    "Clip/clip_224x224",
    "Clip/clip_224x224_16f",
    "Clip/jpg_256",
    "clip_224x224",
    "clip_224x224_16f",
)


def read_dfew(folder: Path | str, *, fold: int = 1, progress: bool = True) -> FrameTable:
    """Scan a copy of DFEW with the split of one fold: test clips become "validation".

    Args:
        folder: contains `EmoLabel_DataSplit` and `Clip`.
        fold: 1 to 5; every clip is in the test set of one fold.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: labels or images are missing.
        BrokenFileError: a file is not as described in the module, or a clip is listed twice.
        ValueError: `fold` is out of range.
    """
    if not 1 <= fold <= FOLDS:
        raise ValueError(f"fold must be 1 to {FOLDS}, got {fold}")
    root = Path(folder).resolve()
    clips = find_folder(root, _IMAGE_FOLDERS, "the clips' frames")
    rows = TableBuilder(SOURCE, folder)
    for half, split in (("train", "train"), ("test", "validation")):
        path = root / "EmoLabel_DataSplit" / f"{half}(single-labeled)" / f"set_{fold}.csv"
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist")
        for line, cells in track_progress(
            list(csv_rows(path, ("video_name", "label"))), f"{half} clips", progress=progress
        ):
            _add_clip(path, line, cells, split, clips, rows)
    return rows.build()


def _add_clip(
    path: Path, line: int, cells: dict[str, str], split: str, clips: Path, rows: TableBuilder
) -> None:
    name = f"{parse_int(path, line, cells['video_name'], 'video_name', 0, 99_999):05d}"
    expression = DFEW[parse_int(path, line, cells["label"], "label", 0, len(DFEW) - 1)]
    if rows.has_video(name):
        raise BrokenFileError(path, line, f"clip {name} is listed a second time")
    images = images_by_number(clips / name, rows.root)
    if not images:
        rows.report.skip("clip without images", name)
        return
    if expression == NO_CLASS:
        rows.report.skip("clip without annotator agreement", name)
    video = rows.add_video(name, group=name, split=split)
    known = None if expression == NO_CLASS else expression
    for number, image in sorted(images.items()):
        rows.add(video, Row(number, image, expression=known))
