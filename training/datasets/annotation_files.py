"""Text annotation files (.csv, .lst, .txt): lines with numbers, checked values, existing images."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.datasets.broken_data import BrokenFileError

MAX_FRAME = 10_000_000
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


def text_lines(path: Path) -> list[str]:
    """Lines without line ends; trailing empty lines are dropped, inner ones keep their number."""
    try:
        # splitlines() would also split at characters such as U+2028 and shift line numbers.
        lines = path.read_text(encoding="utf-8-sig").replace("\r", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise BrokenFileError(path, line, f"not UTF-8 text ({error.reason})") from None
    while lines and not lines[-1].strip(" ,\t"):
        lines.pop()
    return lines


def frame_values(path: Path, name: str, low: int, high: int) -> Iterator[tuple[int, int, int]]:
    """(line, frame, value) of a file of `frame,value` lines, with values in [low, high]."""
    for line, text in enumerate(text_lines(path), 1):
        cells = text.split(",")
        if len(cells) != 2:
            raise BrokenFileError(path, line, f"expected frame,{name}, got {text[:60]!r}")
        frame = parse_int(path, line, cells[0], "the frame", 1, MAX_FRAME)
        yield line, frame, parse_int(path, line, cells[1], f"the {name}", low, high)


def csv_rows(
    path: Path, columns: Sequence[str], *, may_lack_header: bool = False
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of a CSV file with at least `columns`, ignoring case and outer spaces.

    With `may_lack_header`, a first line that contains none of the names is read as a row of
    exactly `columns`.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="strict") as file:
        reader = csv.reader(file)
        try:
            yield from _rows(path, reader, columns, may_lack_header)
        except UnicodeDecodeError as error:
            raise BrokenFileError(
                path, reader.line_num + 1, f"not UTF-8 text ({error.reason})"
            ) from None
        except csv.Error as error:
            raise BrokenFileError(path, reader.line_num, str(error)) from None


def _rows(
    path: Path, reader: Iterator[list[str]], columns: Sequence[str], may_lack_header: bool
) -> Iterator[tuple[int, dict[str, str]]]:
    line, first = 1, next(reader, None)
    if first is None:
        raise BrokenFileError(path, 1, f"the file is empty, expected columns {','.join(columns)}")
    names = [cell.strip().lower() for cell in first]
    expected = [column.lower() for column in columns]

    def named(cells: list[str]) -> dict[str, str]:
        if len(cells) < len(names):
            raise BrokenFileError(path, line, f"expected {len(names)} fields, got {len(cells)}")
        index = {name: k for k, name in enumerate(names)}
        return {
            column: cells[index[low]].strip() for column, low in zip(columns, expected, strict=True)
        }

    if may_lack_header and not set(names) & set(expected):
        names = expected
        yield line, named(first)
    elif missing := [column for column in columns if column.lower() not in names]:
        raise BrokenFileError(
            path, 1, f"expected columns {','.join(missing)}, got {','.join(first)[:200]}"
        )
    for cells in reader:
        line = getattr(reader, "line_num", line + 1)
        if any(cell.strip() for cell in cells):
            yield line, named(cells)


def parse_float(
    path: Path, line: int | None, text: str, name: str, low: float, high: float
) -> float:
    """Parse a number in [low, high]; BrokenFileError otherwise."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise BrokenFileError(
            path, line, f"{name} must be a number from {low:g} to {high:g}, got {text!r}"
        )
    return value


def parse_int(path: Path, line: int | None, text: str, name: str, low: int, high: int) -> int:
    """Parse an integer in [low, high]; BrokenFileError otherwise."""
    value = parse_float(path, line, text, name, low, high)
    if value != int(value):
        raise BrokenFileError(path, line, f"{name} must be an integer, got {text!r}")
    return int(value)


class FileIndex:
    """Set of the files below a folder, by relative path.

    Each folder is listed once, which is much faster than `is_file()` on half a million images.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, frozenset[str]] = {}

    def __contains__(self, relative: str) -> bool:
        folder, _, name = relative.rpartition("/")
        if folder not in self._folders:
            path = self._root / folder
            self._folders[folder] = frozenset(os.listdir(path)) if path.is_dir() else frozenset()
        return name in self._folders[folder]


def images_by_number(folder: Path, root: Path) -> dict[int, str]:
    """Paths, relative to `root`, of a folder's images by the integer that their stem ends in.

    Hidden files are left out; a folder that does not exist has no images.
    """
    images: dict[int, str] = {}
    prefix = os.path.relpath(folder, root)
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        stem, suffix = os.path.splitext(name)
        digits = stem[len(stem.rstrip("0123456789")) :]
        if suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".") and digits:
            images.setdefault(int(digits), f"{prefix}/{name}")
    return images


def find_folder(root: Path, names: Sequence[str], content: str) -> Path:
    """The first of several possible folders that exists; FileNotFoundError if none does."""
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f"{root} must contain {content} in one of {', '.join(names)}")
