"""DISFA: intensities of twelve AUs, 27 people before one film. Tried on made-up files only: it
needs an agreement.

`ActionUnit_Labels/SN001/SN001_au1.txt` has lines `frame,intensity` (0 to 5). Images come as
videos, `Videos_LeftCamera/LeftVideoSN001_comp.avi` (letters' case varies); `python -m training
data extract` writes their frames to `frames/<camera>/<person>/NNNNN.png`, which is where they
are looked for here.

Of our AUs, 1, 2, 4, 6, 12, 15, 25 and 26 are coded; AU5, 9, 17 and 20 are none of ours. An AU
counts as present from intensity 2 (`label_maps.DISFA_PRESENT_FROM`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, Literal

from training.datasets.affwild2_annotations import text_lines
from training.datasets.annotation_files import find_folder, images_by_number, parse_int
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
    """Scan a copy of DISFA. A video is a person (`SN001`), and so is its group; there is no split.

    Args:
        folder: holds `ActionUnit_Labels` and `frames/<camera>`.
        camera: whose images; the labels were made on the left one's.
        present_from: intensity from which an AU counts as present.
        progress: show a progress bar.

    Raises:
        FileNotFoundError, BrokenFileError
    """
    root = Path(folder).resolve()
    labels = find_folder(root, ("ActionUnit_Labels",), "the labels")
    rows = TableBuilder(SOURCE, root, ScanReport(SOURCE, str(folder)))
    people = sorted(
        place for place in labels.iterdir() if place.is_dir() and not place.name.startswith(".")
    )
    for place in track_progress(people, "reading people", progress=progress):
        intensity = _intensities(place, rows.report)
        images = root / FRAMES_FOLDER / camera / place.name
        found = images_by_number(images) if images.is_dir() else {}
        if not found:
            rows.report.skip("person without images", place.name)
            rows.report.note(
                "write the videos' frames with: python -m training data extract FOLDER"
            )
        prefix = os.path.relpath(images, root)
        video = rows.add_video(place.name, group=place.name)
        for frame, values in intensity.items():
            if found and frame not in found:
                rows.report.skip("coded frame without an image", f"{place.name} frame {frame}")
            path = f"{prefix}/{found[frame]}" if frame in found else None
            au = {column: float(value >= present_from) for column, value in values.items()}
            rows.add(video, Row(frame, path, au=au, intensity=values))
    return rows.table()


def camera_videos(folder: Path, camera: Camera) -> dict[str, Path]:
    """The videos of a camera by person."""
    places = [
        p
        for p in folder.iterdir()
        if p.is_dir() and re.fullmatch(rf"videos?_{camera}camera", p.name, re.IGNORECASE)
    ]
    videos: dict[str, Path] = {}
    for path in sorted(each for place in places for each in place.iterdir()):
        person = re.search(r"SN\d{3}", path.name, re.IGNORECASE)
        if person and path.suffix.lower() in (".avi", ".mp4") and not path.name.startswith("."):
            videos[person.group().upper()] = path
    return videos


def _intensities(place: Path, report: ScanReport) -> dict[int, dict[int, float]]:
    """By frame and our column; all AUs' files must hold the same frames."""
    frames: dict[int, dict[int, float]] = {}
    first: Path | None = None
    for unit in DISFA_AUS:
        column = au_column(unit)
        path = place / f"{place.name}_au{unit}.txt"
        if column is None:
            continue
        if not path.is_file():
            report.skip("label file that is not there (its AU is masked)", path.name)
            continue
        seen = set()
        for k, line in enumerate(text_lines(path), 1):
            cells = line.split(",")
            if len(cells) != 2:
                raise BrokenFileError(path, k, f"wanted frame,intensity, got {line[:60]!r}")
            frame = parse_int(path, k, cells[0], "the frame", 1, 10_000_000)
            if frame in seen:
                raise BrokenFileError(path, k, f"frame {frame} stands here a second time")
            seen.add(frame)
            value = parse_int(path, k, cells[1], "an intensity", 0, INTENSITY_MAX)
            frames.setdefault(frame, {})[column] = float(value)
        if first is not None and seen != set(frames):
            raise BrokenFileError(
                path, None, f"holds {len(seen)} frames, {first.name} and others {len(frames)}"
            )
        first = first or path
    return dict(sorted(frames.items()))
