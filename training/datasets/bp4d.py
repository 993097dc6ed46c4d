"""Reader of BP4D and BP4D+: action units of people in a laboratory.

- `AUCoding/AU_OCC/<person>_<task>.csv`: a header with AU numbers after the frame column; 0 absent,
  1 present, 9 not coded.
- `AUCoding/AU_INT/AU06/<person>_<task>_AU06.csv`, without a header: frame, intensity 0 to 5 or 9.
- Images, unpacked: `2D+3D/<person>/<task>/NNNN.jpg` (BP4D+) or `Sequences(2D+3D)/...` (BP4D), with
  numbers of any width.

AU25 and AU26 are coded in neither and are masked. Frames are numbered from 1; if a session's
images are numbered from 0 (some releases of BP4D+), frame f is image f - 1.

Zhang et al., "BP4D-Spontaneous: a high-resolution spontaneous 3D dynamic facial expression
database", Image and Vision Computing 2014; Zhang et al., "Multimodal Spontaneous Emotion Corpus
for Human Behavior Analysis", CVPR 2016 (BP4D+). Both require an agreement. The reader was tested
on synthetic files only, not on the real datasets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from training.datasets.annotation_files import (
    MAX_FRAME,
    find_folder,
    frame_values,
    images_by_number,
    parse_int,
    text_lines,
)
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable
from training.datasets.label_maps import AU_ABSENT, INTENSITY_MAX, au_column
from training.datasets.progress_bar import track_progress
from training.datasets.table_builder import Row, TableBuilder

SOURCE: Final = "BP4D"
_IMAGES: Final = ("2D+3D", "Sequences(2D+3D)", "BP4D/Sequences(2D+3D)", "2D", ".")


def read_bp4d(folder: Path | str, *, name: str = SOURCE, progress: bool = True) -> FrameTable:
    """Scan a copy of BP4D or BP4D+.

    A video is a session `F001_T1`; its group is the person `F001`. There is no split.

    Args:
        folder: contains `AUCoding` and the images.
        name: source name in the table, such as "BP4D+".
        progress: show a progress bar.

    Raises:
        FileNotFoundError: codes or images are missing.
        BrokenFileError: a file is not as described in the module.
    """
    root = Path(folder).resolve()
    codes = find_folder(root, ("AUCoding/AU_OCC", "AU_OCC", "AUCoding"), "the AU codes")
    images = find_folder(root, _IMAGES, "the images")
    rows = TableBuilder(name, folder)
    files = sorted(path for path in codes.glob("*.csv") if not path.name.startswith("."))
    if not files:
        raise FileNotFoundError(f"no <person>_<task>.csv in {codes}")
    for path in track_progress(files, "reading sessions", progress=progress):
        person, _, task = path.stem.rpartition("_")
        if not person:
            raise BrokenFileError(path, None, "expected a file name <person>_<task>.csv")
        _read_session(path, person, task, images, codes.parent / "AU_INT", rows)
    return rows.build()


def _read_session(
    path: Path, person: str, task: str, images: Path, intensities: Path, rows: TableBuilder
) -> None:
    occurrence = _occurrence(path)
    intensity = _intensity(intensities, path.stem)
    folder = images / person / task
    numbered = images_by_number(folder, rows.root)
    if not folder.is_dir():
        packed = " (unpack its .zip first)" if list(images.glob(f"{person}*.zip")) else ""
        rows.report.skip(f"session without images{packed}", f"{person}/{task}")
    shift = -1 if 0 in numbered else 0
    if shift:
        rows.report.note("images are numbered from 0: frame f of the codes is image f - 1")
    video = rows.add_video(path.stem, group=person)
    for frame, au in occurrence.items():
        image = numbered.get(frame + shift)
        if image is None and numbered:
            rows.report.skip("coded frame without an image", f"{path.stem} frame {frame}")
        if not au:
            rows.report.skip("frame without a code of the twelve AUs", f"{path.stem} frame {frame}")
        rows.add(video, Row(frame, image, au=au, intensity=intensity.get(frame)))


def _occurrence(path: Path) -> dict[int, dict[int, float]]:
    """Occurrence (0 or 1) by frame and AU column."""
    lines = text_lines(path)
    if not lines:
        raise BrokenFileError(path, 1, "the file is empty, expected a header with AU numbers")
    header = [cell.strip() for cell in lines[0].split(",")]
    if len(header) < 2 or not all(cell.isdigit() for cell in header[1:]):
        raise BrokenFileError(
            path,
            1,
            f"expected a header of AU numbers after the frame column, got {lines[0][:60]!r}",
        )
    columns = [au_column(int(cell)) for cell in header[1:]]
    frames: dict[int, dict[int, float]] = {}
    for k, line in enumerate(lines[1:], 2):
        cells = line.split(",")
        if len(cells) != len(header):
            raise BrokenFileError(path, k, f"expected {len(header)} fields, got {len(cells)}")
        frame = parse_int(path, k, cells[0], "the frame", 1, MAX_FRAME)
        if frame in frames:
            raise BrokenFileError(path, k, f"frame {frame} appears a second time")
        frames[frame] = {}
        for column, cell in zip(columns, cells[1:], strict=True):
            code = parse_int(path, k, cell, "a code", -1, 999)
            if code not in AU_ABSENT and code not in (0, 1):
                raise BrokenFileError(path, k, f"a code must be 0, 1 or 9, got {cell!r}")
            if column is not None and code not in AU_ABSENT:
                frames[frame][column] = float(code)
    return frames


def _intensity(folder: Path, session: str) -> dict[int, dict[int, float]]:
    """Intensity by frame and AU column; empty if the session has no intensity files."""
    frames: dict[int, dict[int, float]] = {}
    for path in sorted(folder.glob(f"AU*/{session}_AU*.csv")):
        column = au_column(int(path.stem.rpartition("_AU")[2]))
        if column is None:
            continue
        for line, frame, value in frame_values(path, "intensity", -1, 999):
            if value in AU_ABSENT:
                continue
            if not 0 <= value <= INTENSITY_MAX:
                raise BrokenFileError(
                    path, line, f"the intensity must be 0 to {INTENSITY_MAX} or 9, got {value}"
                )
            frames.setdefault(frame, {})[column] = float(value)
    return frames
