"""Reader of DISFA: intensities of twelve AUs of 27 people who watch a film.

`ActionUnit_Labels/SN001/SN001_au1.txt` has lines `frame,intensity` (0 to 5). Images are published
as videos, `Videos_LeftCamera/LeftVideoSN001_comp.avi` (the case varies); `python -m training data
extract` writes their frames to `frames/<camera>/<person>/NNNNN.png`, where this reader expects
them.

Of the twelve AUs of the model, 1, 2, 4, 6, 12, 15, 25 and 26 are coded; DISFA's AU5, 9, 17 and 20
are ignored. An AU counts as present from intensity 2 (`label_maps.DISFA_PRESENT_FROM`).

Mavadati et al., "DISFA: A Spontaneous Facial Action Intensity Database", IEEE Transactions on
Affective Computing 2013. It requires an agreement. The reader was tested on synthetic files only,
not on the real dataset.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from training.datasets.annotation_files import find_folder, frame_values, images_by_number
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable
from training.datasets.label_maps import DISFA_AUS, DISFA_PRESENT_FROM, INTENSITY_MAX, au_column
from training.datasets.progress_bar import track_progress
from training.datasets.scan_report import ScanReport
from training.datasets.table_builder import Row, TableBuilder

SOURCE: Final = "DISFA"
FRAMES_FOLDER: Final = "frames"
Camera = Literal["left", "right"]


def read_disfa(
    folder: Path | str,
    *,
    camera: Camera = "left",
    present_from: int = DISFA_PRESENT_FROM,
    progress: bool = True,
) -> FrameTable:
    """Scan a copy of DISFA.

    A video is a person (`SN001`), and so is its group. There is no split.

    Args:
        folder: contains `ActionUnit_Labels` and `frames/<camera>`.
        camera: camera of the images; the labels were made on those of the left one.
        present_from: intensity from which an AU counts as present.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: labels are missing.
        BrokenFileError: a file is not as described in the module.
    """
    root = Path(folder).resolve()
    labels = find_folder(root, ("ActionUnit_Labels",), "the labels")
    rows = TableBuilder(SOURCE, folder)
    people = sorted(
        path for path in labels.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    for person in track_progress(people, "reading people", progress=progress):
        intensity = _intensities(person, rows.report)
        images = images_by_number(root / FRAMES_FOLDER / camera / person.name, root)
        if not images:
            rows.report.skip("person without images", person.name)
            rows.report.note("extract the frames with: python -m training data extract FOLDER")
        video = rows.add_video(person.name, group=person.name)
        for frame, values in intensity.items():
            if images and frame not in images:
                rows.report.skip("coded frame without an image", f"{person.name} frame {frame}")
            au = {column: float(value >= present_from) for column, value in values.items()}
            rows.add(video, Row(frame, images.get(frame), au=au, intensity=values))
    return rows.build()


def camera_videos(folder: Path, camera: Camera) -> dict[str, Path]:
    """Video files of a camera by person."""
    folders = [
        p
        for p in folder.iterdir()
        if p.is_dir() and re.fullmatch(rf"videos?_{camera}camera", p.name, re.IGNORECASE)
    ]
    videos: dict[str, Path] = {}
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        person = re.search(r"SN\d{3}", path.name, re.IGNORECASE)
        if person and path.suffix.lower() in (".avi", ".mp4") and not path.name.startswith("."):
            videos[person.group().upper()] = path
    return videos


def _intensities(folder: Path, report: ScanReport) -> dict[int, dict[int, float]]:
    """Intensity by frame and AU column; the files of all AUs must have the same frames."""
    frames: dict[int, dict[int, float]] = {}
    first: Path | None = None
    for unit in DISFA_AUS:
        column = au_column(unit)
        path = folder / f"{folder.name}_au{unit}.txt"
        if column is None:
            continue
        if not path.is_file():
            report.skip("missing label file (its AU is masked)", path.name)
            continue
        seen = set()
        for line, frame, value in frame_values(path, "intensity", 0, INTENSITY_MAX):
            if frame in seen:
                raise BrokenFileError(path, line, f"frame {frame} appears a second time")
            seen.add(frame)
            frames.setdefault(frame, {})[column] = float(value)
        if first is not None and seen != set(frames):
            raise BrokenFileError(
                path,
                None,
                f"has {len(seen)} frames, but {first.name} and others have {len(frames)}",
            )
        first = first or path
    return dict(sorted(frames.items()))
