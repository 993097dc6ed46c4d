"""Reader of FEC (Google Facial Expression Comparison): triplets of faces ranked by similarity.

`faceexp-comparison-data-{train,test}-public.csv` has no header. A line is, for each of three
images, its URL and face box as left, right, top, bottom (fractions of width and height); then the
kind of triplet; then pairs of annotator and answer. The answer 1, 2 or 3 is the image least
similar to the other two. Only URLs are published: downloaded images are expected under the last
part of their URL.

Vemulapalli & Agarwala, "A Compact Embedding for Facial Expression Similarity", CVPR 2019. The
reader was tested on synthetic files only, not on the real dataset.
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
    """N triplets. In a triplet loss, `odd` is the negative and the others anchor and positive."""

    urls: NDArray[np.str_]  # [N, 3]
    paths: NDArray[np.str_]  # [N, 3] "" if the image is missing
    boxes: NDArray[np.float32]  # [N, 3, 4] x1, y1, x2, y2 as fractions of width and height
    kind: NDArray[np.int8]  # [N] index in KINDS
    votes: NDArray[np.int16]  # [N, 3] number of annotators who chose this image
    report: ScanReport = field(default_factory=lambda: ScanReport("", ""))

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def odd(self) -> NDArray[np.int8]:
        """Image [N], 0 to 2, that most annotators found least similar; -1 for a tie."""
        best = self.votes.max(axis=1, keepdims=True)
        is_clear = (self.votes == best).sum(axis=1) == 1
        return np.where(is_clear, self.votes.argmax(axis=1), -1).astype(np.int8)

    @property
    def agreement(self) -> NDArray[np.float32]:
        """Fraction [N] of the annotators who gave the most frequent answer."""
        return np.asarray(
            self.votes.max(axis=1) / np.maximum(self.votes.sum(axis=1), 1), np.float32
        )

    def usable(self, min_agreement: float = 2 / 3) -> NDArray[np.int64]:
        """Indices of the triplets with all three images and a clear answer."""
        is_complete = (self.paths != "").all(axis=1)
        return np.flatnonzero(
            is_complete & (self.odd >= 0) & (self.agreement >= min_agreement - 1e-6)
        )


def read_fec(
    path: Path | str, images: Path | str | None = None, *, progress: bool = True
) -> TripletTable:
    """Read the training or the test file.

    Args:
        path: the CSV file.
        images: folder of the downloaded images; None for the folder `images` beside the file.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: `path` does not exist.
        BrokenFileError: a line is not as described in the module.
    """
    path = Path(path)
    folder = Path(images) if images is not None else path.parent / "images"
    files = FileIndex(folder)
    report = ScanReport(SOURCE, str(path))
    urls, paths, boxes, kinds, votes = [], [], [], [], []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        for cells in track_progress(reader, path.name, progress=progress):
            line = reader.line_num
            if not cells:
                continue
            kind, answers = _kind_and_answers(path, line, cells)
            triplet = [cells[k : k + _PER_IMAGE] for k in range(0, 3 * _PER_IMAGE, _PER_IMAGE)]
            urls.append([part[0].strip() for part in triplet])
            boxes.append([_box(path, line, part[1:]) for part in triplet])
            names = [file_name(part[0]) for part in triplet]
            paths.append([str(folder / name) if name in files else "" for name in names])
            report.skip("missing image", names[0], paths[-1].count(""))
            kinds.append(kind)
            votes.append(answers)
    if not urls:
        raise BrokenFileError(path, 1, "expected triplets, the file is empty")
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
        "triplets with a clear answer (two thirds agree) and all images",
        len(table.usable()),
    )
    report.skip("triplet with a tie", str(path.name), int((table.odd < 0).sum()))
    return table


def file_name(url: str) -> str:
    """File name of a downloaded image."""
    return unquote(urlsplit(url.strip()).path).rpartition("/")[2]


def _kind_and_answers(path: Path, line: int, cells: list[str]) -> tuple[int, list[int]]:
    first = 3 * _PER_IMAGE
    if len(cells) < first + 3 or (len(cells) - first - 1) % 2:
        raise BrokenFileError(
            path,
            line,
            f"expected 3 images of 5 fields, a kind and pairs of answers, got {len(cells)} fields",
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
