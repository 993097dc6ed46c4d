"""Addresses of the videos that a page plays."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import quote

from faceaffect.report.track_stats import SourceStats

VideoUse = Literal["link", "embed"]
VIDEO_USES: Final[tuple[VideoUse, ...]] = get_args(VideoUse)
_TYPES: Final = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".mkv": "video/webm",
    ".ogv": "video/ogg",
}
_MAX_EMBEDDED_BYTES: Final = 200 << 20


def video_addresses(
    sources: Sequence[SourceStats], use: VideoUse, page: Path, notes: list[str]
) -> dict[tuple[int, str], str]:
    """Return the address of the video of each source that a browser may play.

    Args:
        sources: Sources of rows.
        use: `link` for addresses relative to the page, `embed` for `data:` URLs.
        page: The page.
        notes: Receives what is left out.
    """
    addresses = {}
    for source in sources:
        if not source.is_sequence or source.is_images:
            continue
        path = Path(source.name.removeprefix("file://"))
        key = (next(iter(source.tracks.values())).key[0], source.name)
        if path.suffix.lower() not in _TYPES:
            notes.append(
                f"{source.name}: not shown, browsers play .mp4 and .webm; convert it first"
            )
        elif not path.is_file():
            notes.append(f"{source.name}: not shown, the file is missing")
        elif use == "link":
            addresses[key] = quote(os.path.relpath(path, page.absolute().parent))
        elif path.stat().st_size > _MAX_EMBEDDED_BYTES:
            notes.append(f"{source.name}: not embedded, it has more than 200 MB; link it")
        else:
            encoded = base64.b64encode(path.read_bytes()).decode()
            addresses[key] = f"data:{_TYPES[path.suffix.lower()]};base64,{encoded}"
    return addresses
