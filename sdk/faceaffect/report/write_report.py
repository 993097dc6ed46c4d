"""Writes the report of one or several files of rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from faceaffect import __version__
from faceaffect.pages import missing_packages, write_page
from faceaffect.report.comparison import Person
from faceaffect.report.page import MAX_TABLE_ROWS, ReportContents, report_page
from faceaffect.report.read_rows import ReportError
from faceaffect.report.thumbnails import extract_thumbnails
from faceaffect.report.timeline import read_timelines
from faceaffect.report.track_stats import SourceStats, TrackKey, TrackStats, collect_stats
from faceaffect.report.video import VideoUse, video_addresses
from faceaffect.sinks.side_car import read_side_car
from faceaffect.system.install_command import install_command

DEFAULT_TRACKS: Final = 20
FindPerson = Callable[[str, int], Person | None]
"""Returns person and group of a face, given source and track id; None if they are not known."""


def check_report(path: Path, *, may_replace: bool) -> None:
    """Check that a report can be written to `path`, without changing anything.

    Raises:
        ReportError: The path or the installed packages do not allow it.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise ReportError(f"{path}: a report must end in .html")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ReportError(
            f"{path}: the folder {folder} does not exist; create it or choose another path"
        )
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise ReportError(
            f"{path}: cannot be written (folder or no permission); choose another path"
        )
    if path.exists() and not may_replace:
        raise ReportError(f"{path}: exists already; use --overwrite to replace it")
    _check_packages()


def write_report(
    files: Sequence[Path],
    path: Path,
    *,
    thumbnails: bool = False,
    max_tracks: int = DEFAULT_TRACKS,
    video: VideoUse | None = None,
    find_person: FindPerson | None = None,
    facts: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
    on_progress: Callable[[str], None] = lambda _step: None,
) -> None:
    """Write an HTML page about the rows of `files`.

    Memory grows with the number of tracks, not with the length of videos.

    Args:
        files: Files of rows (.csv, .jsonl or .parquet).
        path: The page; an existing file is replaced atomically.
        thumbnails: Show a small image of each plotted face, read from its source.
        max_tracks: Number of tracks to plot over time, those with the most rows first.
        video: Whether the page plays the videos: `link` names the files, `embed` contains them.
        find_person: Who the faces are.
        facts: Names and values to show at the end: how the rows were made.
        notes: Warnings to show at the top.
        on_progress: Called with the name of each step.

    Raises:
        ReportError: Rows cannot be read, or the page cannot be written.
    """
    _check_packages()
    all_notes = list(notes)
    on_progress("counting rows")
    sources = collect_stats(files, all_notes)
    on_progress("reading rows")
    plotted = _longest_tracks(sources, max_tracks)
    timelines = read_timelines(files, plotted)
    images = None
    if thumbnails:
        on_progress("extracting thumbnails")
        images = extract_thumbnails([*plotted, *_listed_image_faces(sources)], all_notes)
    on_progress("drawing")
    contents = ReportContents(
        sources=sources,
        timelines=timelines,
        thumbnails=images,
        people=_people(sources, find_person),
        videos={} if video is None else video_addresses(sources, video, path, all_notes),
        facts=facts or _side_car_facts(files),
        notes=all_notes,
        origin=_origin(files),
    )
    try:
        write_page(report_page(contents), path)
    except OSError as error:
        raise ReportError(
            f"{path}: the report cannot be written ({error.strerror or error}); "
            "make room or choose another path"
        ) from None


def _origin(files: Sequence[Path]) -> str:
    names = ", ".join(file.name for file in files[:3])
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"faceaffect {__version__} on {datetime.now():%Y-%m-%d %H:%M} from {names}{more}"


def _people(
    sources: Sequence[SourceStats], find_person: FindPerson | None
) -> Mapping[TrackKey, Person]:
    if find_person is None:
        return {}
    return {
        track.key: person
        for source in sources
        for track in source.tracks.values()
        if (person := find_person(source.name, track.key[2])) is not None
    }


def _side_car_facts(files: Sequence[Path]) -> list[tuple[str, str]]:
    """Return how rows were made, as far as their side-cars agree on it."""
    side_cars = [one for one in map(read_side_car, files) if one is not None]
    all_facts = [
        {
            "model": f"{one.model} ({one.model_sha256[:12]})",
            **one.pipeline,
            "analyzed by": f"faceaffect {one.version}",
        }
        for one in side_cars
    ]
    if len(side_cars) < len(files):
        return []
    return [
        (name, value)
        for name, value in all_facts[0].items()
        if all(one.get(name) == value for one in all_facts)
    ]


def _check_packages() -> None:
    if missing := missing_packages():
        raise ReportError(f"the report needs {missing}: run {install_command('report')}")


def _longest_tracks(sources: Sequence[SourceStats], count: int) -> list[TrackStats]:
    tracks = [track for source in sources if source.is_sequence for track in source.tracks.values()]
    return sorted(tracks, key=lambda track: -track.rows)[:count]


def _listed_image_faces(sources: Sequence[SourceStats]) -> list[TrackStats]:
    """Return the faces that the page's tables of images list."""
    return [
        track
        for source in sources
        if not source.is_sequence
        for track in list(source.tracks.values())[:MAX_TABLE_ROWS]
    ]
