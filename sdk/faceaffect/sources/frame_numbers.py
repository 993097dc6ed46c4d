"""Frame numbers in the names of images, as in 00020.jpg or frame_000051.png."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_NUMBERED: Final = re.compile(r"(.*?)(\d+)\Z", re.DOTALL)
_MAX_DIGITS: Final = 7  # a longer number is a date or a time


def frame_numbers(paths: Sequence[Path]) -> list[int] | None:
    """Return the frame number, from 0, of each image of one video; None if names have none.

    Names are numbered if they differ in the number at their end alone. Numbers count from 1, as
    FFmpeg, OpenFace and the crops of Aff-Wild2 do, unless there is a 0.
    """
    matches = [_NUMBERED.fullmatch(path.stem) for path in paths]
    numbers = [int(match[2]) for match in matches if match and len(match[2]) <= _MAX_DIGITS]
    prefixes = {
        (path.parent, match[1] if match else "") for path, match in zip(paths, matches, strict=True)
    }
    if len(numbers) < max(2, len(paths)) or len(prefixes) > 1 or len(set(numbers)) < len(paths):
        return None
    first = 0 if 0 in numbers else 1
    return [number - first for number in numbers]
