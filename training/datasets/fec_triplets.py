"""FEC: triplets of faces, of which people said which two look most alike. Tried on made-up files
only.

`faceexp-comparison-data-{train,test}-public.csv` has no header. A line is, for each of three
images, its URL and the face's box as left, right, top, bottom (shares of width and height); then
the kind of triplet; then pairs of annotator and answer. The answer 1, 2 or 3 names the image
that is least like the other two. Only URLs are given out: images that were fetched are looked
for by the last part of their URL.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from training.datasets.annotation_files import FileIndex, parse_float, parse_int
from training.datasets.broken_data import BrokenFileError
from training.datasets.progress_bar import track_progress
from training.datasets.scan_report import ScanReport

SOURCE: Final = "FEC"
KINDS: Final = ("ONE_CLASS_TRIPLET", "TWO_CLASS_TRIPLET", "THREE_CLASS_TRIPLET")
_PER_IMAGE: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class TripletTable:
    """N triplets. `odd` is what a triplet loss needs: the other two are anchor and positive, either
    way round.
    """

    urls: NDArray[np.str_]  # [N, 3]
    paths: NDArray[np.str_]  # [N, 3] "" where the image is not there
    boxes: NDArray[np.float32]  # [N, 3, 4] x1, y1, x2, y2 as shares of width and height
    kind: NDArray[np.int8]  # [N] index in KINDS
    votes: NDArray[np.int16]  # [N, 3] how many said that this one is the odd one
    report: ScanReport = field(default_factory=lambda: ScanReport("", ""))

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def odd(self) -> NDArray[np.int8]:
        """The image [N] that most people said is least like the others, 0 to 2; -1 for a tie."""
        best = self.votes.max(axis=1, keepdims=True)
        is_clear = (self.votes == best).sum(axis=1) == 1
        return np.where(is_clear, self.votes.argmax(axis=1), -1).astype(np.int8)

    @property
    def agreement(self) -> NDArray[np.float32]:
        """Share [N] of the annotators who gave the most frequent answer."""
        return np.asarray(
            self.votes.max(axis=1) / np.maximum(self.votes.sum(axis=1), 1), np.float32
        )

    def usable(self, min_agreement: float = 2 / 3) -> NDArray[np.int64]:
        """Triplets whose three images are there and whose answer is clear."""
        there = (self.paths != "").all(axis=1)
        return np.flatnonzero(there & (self.odd >= 0) & (self.agreement >= min_agreement - 1e-6))


def read_fec(
    path: Path | str, images: Path | str | None = None, *, progress: bool = True
) -> TripletTable:
    """Read one of the two files.

    Args:
        path: the .csv.
        images: the folder of fetched images; None for the folder `images` beside the file.
        progress: show a progress bar.

    Raises:
        FileNotFoundError, BrokenFileError
    """
    path = Path(path)
    folder = Path(images) if images is not None else path.parent / "images"
    there, report = FileIndex(folder), ScanReport(SOURCE, str(path))
    urls, paths, boxes, kinds, votes = [], [], [], [], []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        for cells in track_progress(reader, path.name, progress=progress):
            line = reader.line_num
            if not cells:
                continue
            kind, answers = _kind_and_answers(path, line, cells)
            trio = [cells[k : k + _PER_IMAGE] for k in range(0, 3 * _PER_IMAGE, _PER_IMAGE)]
            urls.append([part[0].strip() for part in trio])
            boxes.append([_box(path, line, part[1:]) for part in trio])
            names = [file_name(part[0]) for part in trio]
            paths.append([str(folder / name) if name in there else "" for name in names])
            report.skip("image that is not there", names[0], paths[-1].count(""))
            kinds.append(kind)
            votes.append(answers)
    if not urls:
        raise BrokenFileError(path, 1, "the file is empty, wanted triplets")
    table = TripletTable(
        urls=np.array(urls),
        paths=np.array(paths),
        boxes=np.array(boxes, np.float32),
        kind=np.array(kinds, np.int8),
        votes=np.array(votes, np.int16),
        report=report,
    )
    report.count("triplets", len(table))
    report.count(
        "triplets whose answer is clear (two thirds agree) and whose images are there",
        len(table.usable()),
    )
    report.skip("triplet with a tie", str(path.name), int((table.odd < 0).sum()))
    return table


def file_name(url: str) -> str:
    """The name under which a fetched image is looked for."""
    return unquote(urlsplit(url.strip()).path).rpartition("/")[2]


def _kind_and_answers(path: Path, line: int, cells: list[str]) -> tuple[int, list[int]]:
    first = 3 * _PER_IMAGE
    if len(cells) < first + 3 or (len(cells) - first - 1) % 2:
        raise BrokenFileError(
            path,
            line,
            f"wanted 3 images of 5 fields, a kind and pairs of answers, got {len(cells)} fields",
        )
    kind = cells[first].strip()
    if kind not in KINDS:
        raise BrokenFileError(
            path, line, f"the kind must be one of {', '.join(KINDS)}, got {kind!r}"
        )
    answers = [parse_int(path, line, cell, "an answer", 1, 3) for cell in cells[first + 2 :: 2]]
    return KINDS.index(kind), [answers.count(k) for k in (1, 2, 3)]


def _box(path: Path, line: int, cells: list[str]) -> tuple[float, float, float, float]:
    left, right, top, bottom = (parse_float(path, line, cell, "a box", -0.5, 1.5) for cell in cells)
    if right <= left or bottom <= top:
        raise BrokenFileError(
            path, line, f"a box must be left, right, top, bottom, got {', '.join(cells)}"
        )
    return left, top, right, bottom
