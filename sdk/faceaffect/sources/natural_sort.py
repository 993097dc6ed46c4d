"""Natural sort order of numbered files: 2.png before 10.png."""

from __future__ import annotations

import re
from pathlib import Path


def natural_sort_key(path: Path) -> list[tuple[int, int, str]]:
    """Return a sort key that compares digits as numbers and letters without case.

    Ties are broken by the path itself.
    """
    parts = [part for part in re.split(r"(\d+)", str(path)) if part]
    key = [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts]
    return [*key, (2, 0, str(path))]
