"""The text files of Aff-Wild2: one line a frame under a header, of one task or (MTL) of all three.

Line 0 is the header, line k (from 1) belongs to frame k. Spaces and commas at a line's end, a
byte order mark, Windows line ends and a missing newline at the end of the file occur and are
accepted; anything else is a BrokenFileError that names the line. Codes of absent labels become
masks here and are met nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.datasets.affwild2_layout import MAX_FRAMES, is_frame_number
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import Task
from training.datasets.label_maps import (
    ABAW1_AU_NAMES,
    ABAW2_EXPRESSIONS,
    ABAW3_EXPRESSIONS,
    AU_ABSENT,
    EXPRESSION_ABSENT,
    EXPRESSION_IGNORED,
    VA_ABSENT,
)

VA_HEADER: Final = ("valence", "arousal")
MTL_HEADER: Final = ("image", "valence", "arousal", "expression", "aus")
HEADERS: Final[dict[Task, tuple[tuple[str, ...], ...]]] = {
    "AU": (AU_NAMES, ABAW1_AU_NAMES),
    "EXPR": (ABAW2_EXPRESSIONS, ABAW3_EXPRESSIONS),
    "VA": (VA_HEADER,),
}
"""First lines of a task's files, those of ABAW2 first: submissions have them too."""
OTHER: Final = len(ABAW2_EXPRESSIONS)  # class 7 of ABAW3 and later


@dataclass(frozen=True, slots=True)
class TaskLabels:
    """The lines of one file; row k is frame k + 1."""

    header: tuple[str, ...]
    values: NDArray[np.float32]  # [L, 12], [L, 1] or [L, 2]; 0 where the mask is off
    mask: NDArray[np.bool_]  # the same shape for AU, else [L]
    other: NDArray[np.bool_]  # [L] lines of the class "Other"
    partly: NDArray[np.bool_]  # [L] AU lines in which some, not all, columns are absent

    def select(self, lines: NDArray[np.int64]) -> TaskLabels:
        """The same, of some lines."""
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
            path, 1, f"the file is empty, wanted the header {','.join(HEADERS[task][0])}"
        )
    header = _header(path, lines[0], task)
    parse = {"AU": _parse_au, "EXPR": _parse_expression, "VA": _parse_va}[task]
    return parse(header, _Lines(path, lines[1:], 2))


def read_multi_task_file(path: Path) -> MultiTaskLabels:
    """All lines `video/NNNNN.jpg,valence,arousal,expression,au1..au12` of an MTL file; some copies
    lack the header.
    """
    lines = text_lines(path)
    has_header = bool(lines) and "/" not in lines[0]
    if has_header and tuple(_fields(lines[0].lower()))[:4] != MTL_HEADER[:4]:
        raise BrokenFileError(
            path, 1, f"wanted the header {','.join(MTL_HEADER)}, got {_short(lines[0])}"
        )
    first = 1 if has_header else 0
    videos, frames = [], []
    parts: dict[Task, list[str]] = {"AU": [], "EXPR": [], "VA": []}
    for k, line in enumerate(lines[first:], first + 1):
        cells = _fields(line)
        if len(cells) != 4 + len(AU_NAMES):
            raise BrokenFileError(
                path, k, f"wanted an image and {3 + len(AU_NAMES)} numbers, got {len(cells)} fields"
            )
        image = PurePosixPath(cells[0])
        if len(image.parts) != 2 or not _is_name(image.parts[0]) or not is_frame_number(image.stem):
            wanted = f"VIDEO/NNNNN.jpg with a frame number from 1 to {MAX_FRAMES:,}"
            raise BrokenFileError(path, k, f"wanted {wanted}, got {_short(cells[0])}")
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
    """The videos of a test list, one a line, or (MTL) one image a line under a header."""
    videos = []
    for k, line in enumerate(text_lines(path), 1):
        name, _, image = line.strip().removesuffix(".txt").partition("/")
        if not (name or image) or name.lower() == "image":
            continue
        if not _is_name(name) or "/" in image:
            raise BrokenFileError(
                path, k, f"wanted the name of a video, or VIDEO/NNNNN.jpg, got {_short(line)}"
            )
        videos.append(name)
    return list(dict.fromkeys(videos))


def _is_name(text: str) -> bool:
    """Whether a text can be the name of a video: files are found and written under it."""
    return text not in ("", ".", "..") and not set(text) & set("/\\\0")


def text_lines(path: Path) -> list[str]:
    """Lines without their ends; empty lines after the last one are dropped, others stay and keep
    the count right.
    """
    try:
        # Not splitlines(): it also splits at characters that are no line ends to an editor, and
        # would shift the frames.
        lines = path.read_text(encoding="utf-8-sig").replace("\r", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise BrokenFileError(path, line, f"not UTF-8 text ({error.reason})") from None
    while lines and not lines[-1].strip(" ,\t"):
        lines.pop()
    return lines


@dataclass(frozen=True, slots=True)
class _Lines:
    path: Path
    lines: list[str]
    first: int  # number of the first of them in the file

    def parsed(self, width: int, parse: Callable[[str], float], wanted: str) -> NDArray[np.float32]:
        """Every line as `width` numbers; lines that occurred before are not parsed again."""
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
                        self.path, self.first + k, f"wanted {wanted}, got {_short(line)}"
                    )
                if len(known) < 100_000:
                    known[line] = row
            rows[k] = row
        return rows

    def broken(self, rows: NDArray[np.bool_], wanted: str) -> None:
        """Raise for the first line of a mask that has one."""
        if rows.any():
            k = int(rows.argmax())
            raise BrokenFileError(
                self.path, self.first + k, f"wanted {wanted}, got {_short(self.lines[k])}"
            )


def _parse_au(header: tuple[str, ...], lines: _Lines) -> TaskLabels:
    wanted = f"{len(header)} numbers 0, 1 or -1"
    read = lines.parsed(len(header), float, wanted)
    absent = np.isin(read, list(AU_ABSENT))
    lines.broken(np.asarray((~absent & (read != 0) & (read != 1)).any(axis=1)), wanted)
    dropped = np.asarray(
        absent.any(axis=1)
    )  # the rule of the challenge: a row with any column absent counts for no AU
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
    wanted = f"one whole number, 0 to {len(header) - 1} or -1"
    read = lines.parsed(1, float, wanted)[:, 0]
    has_other = len(header) > OTHER
    absent = np.isin(read, [*EXPRESSION_ABSENT, *(() if has_other else (EXPRESSION_IGNORED,))])
    lines.broken(~absent & ~np.isin(read, np.arange(len(header))), wanted)
    other = (read == OTHER) & has_other
    mask = ~absent & ~other
    values = np.where(mask, read, 0).astype(np.float32)[:, None]
    return TaskLabels(header, values, mask, other, np.zeros(len(read), bool))


def _parse_va(header: tuple[str, ...], lines: _Lines) -> TaskLabels:
    wanted = "valence and arousal from -1 to 1, or -5"
    read = lines.parsed(2, float, wanted)
    absent = np.isin(read, list(VA_ABSENT))
    lines.broken(np.asarray((~absent & ~(np.abs(read) <= 1)).any(axis=1)), wanted)
    mask = np.asarray(~absent.any(axis=1))
    values, none = np.where(mask[:, None], read, 0).astype(np.float32), np.zeros(len(read), bool)
    return TaskLabels(header, values, mask, none, none)


def _header(path: Path, line: str, task: Task) -> tuple[str, ...]:
    got = tuple(cell.lower() for cell in _fields(line))
    for header in HEADERS[task]:
        if got == tuple(name.lower() for name in header):
            return header
    wanted = " or ".join(",".join(header) for header in HEADERS[task])
    raise BrokenFileError(path, 1, f"wanted the header {wanted}, got {_short(line)}")


def _fields(line: str) -> list[str]:
    stripped = line.rstrip(" ,\t")
    return [cell.strip() for cell in stripped.split(",")] if stripped else []


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
