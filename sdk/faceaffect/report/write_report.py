"""From files of rows to the report on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from faceaffect import __version__
from faceaffect.report.page import MOST_LISTED, ReportContents, report_page
from faceaffect.report.plots import require_matplotlib
from faceaffect.report.read_rows import ReportError
from faceaffect.report.thumbnails import cut_portraits
from faceaffect.report.timeline import read_timelines
from faceaffect.report.track_stats import SourceTally, TrackTally, tally

DEFAULT_TRACKS: Final = 20


def check_report(path: Path, *, may_replace: bool) -> None:
    """Raise ReportError for a report that could not be written, and change nothing."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ReportError(f"{path}: a report must end in .html")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ReportError(
            f"{path}: the folder {folder} does not exist; create it or choose another place"
        )
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise ReportError(
            f"{path}: this cannot be written (folder or no permission); choose another place"
        )
    if path.exists() and not may_replace:
        raise ReportError(f"{path}: exists already; use --overwrite to replace it")
    require_matplotlib()


def write_report(
    files: Sequence[Path],
    path: Path,
    *,
    portraits: bool = False,
    most_tracks: int = DEFAULT_TRACKS,
    facts: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
    say: Callable[[str], None] = lambda _doing: None,
) -> None:
    """Write one page about the rows of `files` in one step.

    The `most_tracks` tracks with the most rows are drawn over time; memory grows with the number
    of tracks, not with the length of videos. `portraits` reads each drawn face out of its
    source; `say` is told what is being done. Raises ReportError.
    """
    require_matplotlib()
    found = list(notes)
    say("counting rows")
    sources = tally(files, found)
    say("reading rows")
    drawn = _longest(sources, most_tracks)
    faces = [*drawn, *_of_images(sources)]
    timelines = read_timelines(files, drawn)
    say("cutting portraits" if portraits else "drawing")
    images = cut_portraits(faces, found) if portraits else None
    say("drawing")
    contents = ReportContents(
        sources=sources,
        timelines=timelines,
        portraits=images,
        facts=facts,
        notes=found,
        made=f"faceaffect {__version__} on {datetime.now():%Y-%m-%d %H:%M} from {', '.join(file.name for file in files[:3])}"
        + (f" and {len(files) - 3} more" if len(files) > 3 else ""),
    )
    partial = path.with_name(path.name + ".tmp")
    try:
        partial.write_text(report_page(contents), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ReportError(
            f"{path}: the report cannot be written ({error.strerror}); make room or choose another place"
        ) from None


def _longest(sources: Sequence[SourceTally], count: int) -> list[TrackTally]:
    tracks = [track for source in sources if source.is_sequence for track in source.tracks.values()]
    return sorted(tracks, key=lambda track: -track.rows)[:count]


def _of_images(sources: Sequence[SourceTally]) -> list[TrackTally]:
    """Those that the page lists."""
    return [
        track
        for source in sources
        if not source.is_sequence
        for track in list(source.tracks.values())[:MOST_LISTED]
    ]
