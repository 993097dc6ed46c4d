"""Tables kept as text (.csv, .lst): rows with their line numbers, numbers that are checked, images
that are there.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.datasets.broken_data import BrokenFileError

IMAGE_ENDS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


def csv_rows(
    path: Path, columns: Sequence[str], *, may_lack_header: bool = False
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of a file with a header that names at least `columns` (case and spaces at the
    ends do not count).

    With `may_lack_header`, a first line that names none of them is read as a row of exactly
    `columns`.
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
        raise BrokenFileError(path, 1, f"the file is empty, wanted columns {','.join(columns)}")
    names = [cell.strip().lower() for cell in first]
    wanted = [column.lower() for column in columns]
    if may_lack_header and not set(names) & set(wanted):
        names = wanted
        yield line, _named(path, line, names, wanted, columns, first)
    elif missing := [column for column in columns if column.lower() not in names]:
        raise BrokenFileError(
            path, 1, f"wanted columns {','.join(missing)}, got {','.join(first)[:200]}"
        )
    for cells in reader:
        line = getattr(reader, "line_num", line + 1)
        if any(cell.strip() for cell in cells):
            yield line, _named(path, line, names, wanted, columns, cells)


def _named(
    path: Path,
    line: int,
    names: list[str],
    wanted: list[str],
    columns: Sequence[str],
    cells: list[str],
) -> dict[str, str]:
    if len(cells) < len(names):
        raise BrokenFileError(path, line, f"wanted {len(names)} fields, got {len(cells)}")
    place = {name: k for k, name in enumerate(names)}
    return {column: cells[place[low]].strip() for column, low in zip(columns, wanted, strict=True)}


def parse_float(
    path: Path, line: int | None, text: str, what: str, low: float, high: float
) -> float:
    """`text` as a number from `low` to `high`."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise BrokenFileError(
            path, line, f"{what} must be a number from {low:g} to {high:g}, got {text!r}"
        )
    return value


def parse_int(path: Path, line: int | None, text: str, what: str, low: int, high: int) -> int:
    """`text` as a whole number from `low` to `high`."""
    value = parse_float(path, line, text, what, low, high)
    if value != int(value):
        raise BrokenFileError(path, line, f"{what} must be a whole number, got {text!r}")
    return int(value)


class FileIndex:
    """Whether files are there, by listing each folder once: far quicker than asking for each of
    half a million.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, frozenset[str]] = {}

    def __contains__(self, relative: str) -> bool:
        folder, _, name = relative.rpartition("/")
        if folder not in self._folders:
            place = self._root / folder
            self._folders[folder] = frozenset(os.listdir(place)) if place.is_dir() else frozenset()
        return name in self._folders[folder]


def images_by_number(folder: Path) -> dict[int, str]:
    """Names of a folder's images by the whole number that their name ends in; hidden files are
    passed over.
    """
    found: dict[int, str] = {}
    for name in sorted(os.listdir(folder)):
        stem, end = os.path.splitext(name)
        digits = stem[len(stem.rstrip("0123456789")) :]
        if end.lower() in IMAGE_ENDS and not name.startswith(".") and digits:
            found.setdefault(int(digits), name)
    return found


def find_folder(root: Path, names: Sequence[str], what: str) -> Path:
    """The first of several usual places that is there."""
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f"{root} must hold {what} in one of {', '.join(names)}")
