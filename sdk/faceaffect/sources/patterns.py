"""Patterns of paths, in which only the parts with wildcards are wildcards."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from faceaffect.sources.natural_sort import natural_sort_key
from faceaffect.sources.path_checks import exists


def is_glob(text: str) -> bool:
    """Return whether a path is a glob pattern."""
    return any(letter in text for letter in "*?[")


def split_pattern(pattern: Path) -> tuple[Path, Path]:
    """Split a pattern into a folder and what is searched below it.

    A folder that exists under a name with wildcards, as `[2024] clips`, is no wildcard.
    """
    parts = pattern.parts
    root = Path(parts[0]) if pattern.is_absolute() else Path()
    position = 1 if pattern.is_absolute() else 0
    while position < len(parts) - 1:
        if is_glob(parts[position]) and not exists(root / parts[position]):
            break
        root /= parts[position]
        position += 1
    return root, Path(*parts[position:])


def expand_pattern(pattern: Path) -> list[Path]:
    """Return the files and folders that a pattern matches, dangling links included, in order."""
    root, rest = split_pattern(pattern)
    found = glob.glob(os.path.join(glob.escape(str(root)), str(rest)), recursive=True)
    return sorted(map(Path, found), key=natural_sort_key)
