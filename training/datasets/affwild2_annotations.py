"""Parses the label files of Aff-Wild2: a header and one line per frame, of one task or (MTL) three.

Line 0 is the header, line k (from 1) is frame k. Trailing spaces and commas, a byte order mark,
Windows line ends and a missing final newline are accepted; anything else is a BrokenFileError
with its line. Codes of absent labels become masks here and appear nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.datasets.affwild2_layout import MAX_FRAMES, is_frame_number
from training.datasets.annotation_files import text_lines
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import Task
from training.datasets.label_maps import (
    ABAW1_AU_NAMES,
    ABAW2_EXPRESSIONS,
    ABAW3_EXPRESSIONS,
    AU_ABSENT,
    EXPRESSION_ABSENT,
    EXPRESSION_IGNORED,
    OTHER,
    VA_ABSENT,
)

VA_HEADER: Final = ("valence", "arousal")
MTL_HEADER: Final = ("image", "valence", "arousal", "expression", "aus")
HEADERS: Final[dict[Task, tuple[tuple[str, ...], ...]]] = {
    "AU": (AU_NAMES, ABAW1_AU_NAMES),
    "EXPR": (ABAW2_EXPRESSIONS, ABAW3_EXPRESSIONS),
    "VA": (VA_HEADER,),
}
"""Headers of the files of each task, that of ABAW2 first; submissions use it too."""


@dataclass(frozen=True, slots=True)
class TaskLabels:
    """The lines of one file; row k is frame k + 1."""

    header: tuple[str, ...]
    values: NDArray[np.float32]  # [L, 12], [L, 1] or [L, 2]; 0 where the mask is off
    mask: NDArray[np.bool_]  # the same shape for AU, else [L]; off for the class "Other"
    other: NDArray[np.bool_]  # [L] lines of the class "Other"
    partly: NDArray[np.bool_]  # [L] AU lines in which some, not all, columns are absent

    def with_other(self) -> TaskLabels:
        """The same with "Other" as an eighth expression."""
        values = np.where(self.other[:, None], np.float32(OTHER), self.values)
        none = np.zeros_like(self.other)
        return replace(self, values=values, mask=self.mask | self.other, other=none)

    def select(self, lines: NDArray[np.int64]) -> TaskLabels:
        """The labels of some lines."""
        return TaskLabels(
            self.header, self.values[lines], self.mask[lines], self.other[lines], self.partly[lines]
        )


@dataclass(frozen=True, slots=True)
class MultiTaskLabels:
    """The lines of an MTL file."""

    videos: list[str]
    frames: NDArray[np.int32]
    by_task: dict[Task, TaskLabels]
    has_header: bool


def read_task_file(path: Path, task: Task) -> TaskLabels:
    """All lines of `<video>.txt`."""
    lines = text_lines(path)
    if not lines:
        raise BrokenFileError(
            path, 1, f"the file is empty, expected the header {','.join(HEADERS[task][0])}"
        )
    header = _header(path, lines[0], task)
    parse = {"AU": _parse_au, "EXPR": _parse_expression, "VA": _parse_va}[task]
    return parse(header, _Lines(path, lines[1:], 2))


def read_multi_task_file(path: Path) -> MultiTaskLabels:
    """All lines `video/NNNNN.jpg,valence,arousal,expression,au1..au12`, with or without header."""
    lines = text_lines(path)
    has_header = bool(lines) and "/" not in lines[0]
    if has_header and tuple(_fields(lines[0].lower()))[:4] != MTL_HEADER[:4]:
        raise BrokenFileError(
            path, 1, f"expected the header {','.join(MTL_HEADER)}, got {_short(lines[0])}"
        )
    first = 1 if has_header else 0
    videos, frames = [], []
    parts: dict[Task, list[str]] = {"AU": [], "EXPR": [], "VA": []}
    for k, line in enumerate(lines[first:], first + 1):
        cells = _fields(line)
        if len(cells) != 4 + len(AU_NAMES):
            raise BrokenFileError(
                path,
                k,
                f"expected an image and {3 + len(AU_NAMES)} numbers, got {len(cells)} fields",
            )
        image = PurePosixPath(cells[0])
        if len(image.parts) != 2 or not _is_name(image.parts[0]) or not is_frame_number(image.stem):
            expected = f"VIDEO/NNNNN.jpg with a frame number from 1 to {MAX_FRAMES:,}"
            raise BrokenFileError(path, k, f"expected {expected}, got {_short(cells[0])}")
        videos.append(image.parts[0])
        frames.append(int(image.stem))
        parts["VA"].append(",".join(cells[1:3]))
        parts["EXPR"].append(cells[3])
        parts["AU"].append(",".join(cells[4:]))
    by_task: dict[Task, TaskLabels] = {
        "AU": _parse_au(AU_NAMES, _Lines(path, parts["AU"], first + 1)),
        "EXPR": _parse_expression(ABAW3_EXPRESSIONS, _Lines(path, parts["EXPR"], first + 1)),
        "VA": _parse_va(VA_HEADER, _Lines(path, parts["VA"], first + 1)),
    }
    return MultiTaskLabels(videos, np.array(frames, np.int32), by_task, has_header)


def read_test_list(path: Path) -> list[str]:
    """Videos of a test list: one per line, or (MTL) one image per line under a header."""
    videos = []
    for k, line in enumerate(text_lines(path), 1):
        name, _, image = line.strip().removesuffix(".txt").partition("/")
        if not (name or image) or name.lower() == "image":
            continue
        if not _is_name(name) or "/" in image:
            raise BrokenFileError(
                path, k, f"expected a video name or VIDEO/NNNNN.jpg, got {_short(line)}"
            )
        videos.append(name)
    return list(dict.fromkeys(videos))


def read_test_images(path: Path) -> list[tuple[str, int]]:
    """Videos and frame numbers of a test list of images, as multi-task challenges have it."""
    images = []
    for k, line in enumerate(text_lines(path), 1):
        name = line.strip().rstrip(",")
        if not name or name.lower() == "image":
            continue
        image = PurePosixPath(name)
        if len(image.parts) != 2 or not _is_name(image.parts[0]) or not is_frame_number(image.stem):
            raise BrokenFileError(path, k, f"expected VIDEO/NNNNN.jpg, got {_short(line)}")
        images.append((image.parts[0], int(image.stem)))
    return images


def _is_name(text: str) -> bool:
    """Whether a text is a valid video name: it must not change paths that are built from it."""
    return text not in ("", ".", "..") and not set(text) & set("/\\\0")


@dataclass(frozen=True, slots=True)
class _Lines:
    path: Path
    lines: list[str]
    first: int  # number of the first line in the file

    def parsed(
        self, width: int, parse: Callable[[str], float], expected: str
    ) -> NDArray[np.float32]:
        """Lines as `width` numbers each; repeated lines are parsed once."""
        known: dict[str, tuple[float, ...]] = {}
        rows = np.empty((len(self.lines), width), np.float32)
        for k, line in enumerate(self.lines):
            row = known.get(line)
            if row is None:
                cells = _fields(line)
                try:
                    row = tuple(parse(cell) for cell in cells)
                except ValueError:
                    row = ()
                if len(row) != width:
                    raise BrokenFileError(
                        self.path, self.first + k, f"expected {expected}, got {_short(line)}"
                    )
                if len(known) < 100_000:
                    known[line] = row
            rows[k] = row
        return rows

    def broken(self, rows: NDArray[np.bool_], expected: str) -> None:
        """Raise BrokenFileError for the first line set in a mask, if any."""
        if rows.any():
            k = int(rows.argmax())
            raise BrokenFileError(
                self.path, self.first + k, f"expected {expected}, got {_short(self.lines[k])}"
            )


def _parse_au(header: tuple[str, ...], lines: _Lines) -> TaskLabels:
    expected = f"{len(header)} numbers 0, 1 or -1"
    read = lines.parsed(len(header), float, expected)
    absent = np.isin(read, list(AU_ABSENT))
    lines.broken(np.asarray((~absent & (read != 0) & (read != 1)).any(axis=1)), expected)
    # The challenge's rule: a row with any column absent counts for no AU.
    dropped = np.asarray(absent.any(axis=1))
    values = np.zeros((len(read), len(AU_NAMES)), np.float32)
    mask = np.zeros(values.shape, bool)
    for column, name in enumerate(header):
        if name in AU_NAMES:
            mask[:, AU_NAMES.index(name)] = ~dropped
            values[:, AU_NAMES.index(name)] = np.where(dropped, 0, read[:, column])
    return TaskLabels(
        header, values, mask, np.zeros(len(read), bool), np.asarray(dropped & ~absent.all(axis=1))
    )


def _parse_expression(header: tuple[str, ...], lines: _Lines) -> TaskLabels:
    expected = f"one integer, 0 to {len(header) - 1} or -1"
    read = lines.parsed(1, float, expected)[:, 0]
    has_other = len(header) > OTHER
    absent = np.isin(read, [*EXPRESSION_ABSENT, *(() if has_other else (EXPRESSION_IGNORED,))])
    lines.broken(~absent & ~np.isin(read, np.arange(len(header))), expected)
    other = (read == OTHER) & has_other
    mask = ~absent & ~other
    values = np.where(mask, read, 0).astype(np.float32)[:, None]
    return TaskLabels(header, values, mask, other, np.zeros(len(read), bool))


def _parse_va(header: tuple[str, ...], lines: _Lines) -> TaskLabels:
    expected = "valence and arousal from -1 to 1, or -5"
    read = lines.parsed(2, float, expected)
    absent = np.isin(read, list(VA_ABSENT))
    lines.broken(np.asarray((~absent & ~(np.abs(read) <= 1)).any(axis=1)), expected)
    mask = np.asarray(~absent.any(axis=1))
    values, none = np.where(mask[:, None], read, 0).astype(np.float32), np.zeros(len(read), bool)
    return TaskLabels(header, values, mask, none, none)


def _header(path: Path, line: str, task: Task) -> tuple[str, ...]:
    got = tuple(cell.lower() for cell in _fields(line))
    for header in HEADERS[task]:
        if got == tuple(name.lower() for name in header):
            return header
    expected = " or ".join(",".join(header) for header in HEADERS[task])
    raise BrokenFileError(path, 1, f"expected the header {expected}, got {_short(line)}")


def _fields(line: str) -> list[str]:
    stripped = line.rstrip(" ,\t")
    return [cell.strip() for cell in stripped.split(",")] if stripped else []


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
