"""Content of the report page; `report.html` is its template."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.drawing.palette import EXPRESSION_COLORS
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.pages import render_page
from faceaffect.report.plots import (
    MAX_TRACK_BARS,
    clock_time,
    plot_images,
    plot_presence,
    plot_track,
)
from faceaffect.report.timeline import Timeline
from faceaffect.report.track_stats import SourceStats, TrackKey, TrackStats

MAX_TABLE_ROWS: Final = 200
MAX_SECTIONS: Final = 50
_TEMPLATE: Final = Path(__file__).with_name("report.html")
_UNKNOWN: Final = "\N{EN DASH}"
_MIN_AU_FRACTION: Final = 0.01


@dataclass(frozen=True, slots=True)
class ReportContents:
    """Everything that a report shows.

    `facts` tell how the rows were made, as far as that is known; `thumbnails` is None if none were
    requested.
    """

    sources: list[SourceStats]
    timelines: Mapping[TrackKey, Timeline]
    thumbnails: Mapping[TrackKey, str] | None
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    origin: str


@dataclass(frozen=True, slots=True)
class _Table:
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    omitted: int = 0


@dataclass(slots=True)
class _Section:
    """A source: plots of all its faces, a table of them, and plots of some of its tracks."""

    title: str
    is_sequence: bool
    plots: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    table: _Table = _Table()
    tracks: list[dict[str, Any]] = field(default_factory=list)


def report_page(contents: ReportContents) -> str:
    """Render the report as HTML."""
    sources = contents.sources
    title = (
        _short_name(sources[0].title) if len(sources) == 1 else f"{len(sources) or 'no'} sources"
    )
    detailed = [
        source
        for source in sources
        if not source.is_sequence
        or any(track.key in contents.timelines for track in source.tracks.values())
    ][:MAX_SECTIONS]
    return render_page(
        _TEMPLATE,
        title=f"Affect in {title}",
        about=_about(contents),
        notes=contents.notes,
        facts=contents.facts,
        overview=_overview(sources),
        sources=[_section(source, contents) for source in detailed],
        omitted_sources=len(sources) - len(detailed),
    )


def _about(contents: ReportContents) -> str:
    count = len(contents.thumbnails or {})
    if not count:
        return f"Made by {contents.origin}. It shows no image of anybody."
    faces = f"{count} faces" if count > 1 else "a face"
    return f"Made by {contents.origin}. It shows images of {faces}: share it with care."


def _overview(sources: Sequence[SourceStats]) -> _Table:
    header = (
        "source",
        "last face at",
        "frames",
        "faces",
        "tracks",
        "valence",
        "arousal",
        "top expression",
        "most active AUs",
    )
    rows = []
    for source in sources[:MAX_TABLE_ROWS]:
        tracks = list(source.tracks.values())
        rows.append(
            (
                _short_name(source.title),
                _clock_text(source.last_s) if source.is_sequence else _UNKNOWN,
                source.frames_text,
                str(source.rows),
                str(len(tracks)),
                *_mean_valence_arousal(tracks),
                _top_expression(tracks),
                _most_active_aus(tracks),
            )
        )
    return _Table(header, rows, len(sources) - len(rows))


def _section(source: SourceStats, contents: ReportContents) -> _Section:
    section = _Section(_short_name(source.title), source.is_sequence)
    if not source.is_sequence:
        section.plots.append(_svg(plot_images(source)))
        section.table = _image_table(source, contents)
        return section
    tracks = sorted(source.tracks.values(), key=lambda track: -track.rows)
    plotted = [track for track in tracks if track.key in contents.timelines]
    if len(tracks) > 1:
        section.plots.append(_svg(plot_presence(source)))
        if len(tracks) > MAX_TRACK_BARS:
            section.notes.append(
                f"Of {len(tracks)} tracks, the {MAX_TRACK_BARS} with the most frames."
            )
        if len(plotted) < len(tracks):
            section.notes.append(
                f"Of {len(tracks)} tracks, the {len(plotted)} with the most frames are plotted "
                "below; --tracks plots more."
            )
        section.table = _track_table(tracks)
    section.tracks = [_track(track, contents) for track in plotted]
    return section


def _track(track: TrackStats, contents: ReportContents) -> dict[str, Any]:
    timeline = contents.timelines[track.key]
    start = clock_time(track.first_s, track.last_s)
    facts = [
        f"{track.rows} frames from {start} to {_clock_text(track.last_s)}",
        f"quality {track.mean('quality'):.2f}",
    ]
    valence, arousal = _mean_valence_arousal([track])
    if valence != _UNKNOWN:
        facts.append(f"valence {valence}, arousal {arousal}")
    if (active := _most_active_aus([track])) != _UNKNOWN:
        facts.append(f"most active: {active}")
    return {
        "id": track.key[2],
        "thumbnail": (contents.thumbnails or {}).get(track.key),
        "facts": facts,
        "expression_bar": _expression_bar(timeline.expression_s),
        "plot": _svg(plot_track(track, timeline)),
    }


def _expression_bar(expression_s: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return a span per expression: for how long it was the most probable one."""
    total_s = float(expression_s.sum())
    spans = []
    for index in np.argsort(-expression_s) if total_s else ():
        fraction = expression_s[index] / total_s
        if fraction <= 0:
            break
        name = EXPRESSION_NAMES[index]
        unit = " s" if total_s < 60 else ""
        title = f"{name} {fraction:.0%}, {clock_time(expression_s[index], total_s)}{unit}"
        spans.append(
            {
                "title": title,
                "label": title
                if fraction > 0.2
                else f"{name} {fraction:.0%}"
                if fraction > 0.11
                else "",
                "width": f"{100 * fraction:.2f}",
                "color": EXPRESSION_COLORS[index],
                "is_dark": name in ("anger", "disgust", "fear", "sadness"),
                "is_narrow": fraction < 0.01,
            }
        )
    return spans


def _track_table(tracks: Sequence[TrackStats]) -> _Table:
    last_s = max(track.last_s for track in tracks)
    header = (
        "face",
        "from",
        "to",
        "frames",
        "quality",
        "valence",
        "arousal",
        "top expression",
        "most active AUs",
    )
    rows = [
        (
            f"face {track.key[2]}",
            clock_time(track.first_s, last_s),
            clock_time(track.last_s, last_s),
            str(track.rows),
            _number(track.mean("quality"), ".2f"),
            *_mean_valence_arousal([track]),
            _top_expression([track]),
            _most_active_aus([track]),
        )
        for track in tracks[:MAX_TABLE_ROWS]
    ]
    return _Table(header, rows, len(tracks) - len(rows))


def _image_table(source: SourceStats, contents: ReportContents) -> _Table:
    faces = list(source.tracks.values())[:MAX_TABLE_ROWS]
    header: tuple[str, ...] = ("image", "quality", "valence", "arousal", "expression", "active AUs")
    rows = []
    for face in faces:
        active = [name for name, count in zip(AU_NAMES, face.au_counts, strict=True) if count]
        cells = (
            Path(face.best.file).name,
            _number(face.mean("quality"), ".2f"),
            *_mean_valence_arousal([face]),
            _top_expression([face]),
            "+".join(active) or _UNKNOWN,
        )
        rows.append((_image(face, contents), *cells) if contents.thumbnails else cells)
    if contents.thumbnails:
        header = ("", *header)
    return _Table(header, rows, len(source.tracks) - len(faces))


def _image(face: TrackStats, contents: ReportContents) -> str:
    from markupsafe import Markup

    url = (contents.thumbnails or {}).get(face.key)
    if not url:
        return ""
    return Markup('<img src="{}" alt="face {}">').format(url, face.key[2])


def _svg(text: str) -> str:
    from markupsafe import Markup

    return Markup(text)  # matplotlib escapes text


def _mean_valence_arousal(tracks: Sequence[TrackStats]) -> tuple[str, str]:
    """Return the means over all rows of the tracks, as text."""
    texts = []
    for name in ("valence", "arousal"):
        means = [(track.mean(name), track.rows) for track in tracks]
        known = [(mean, rows) for mean, rows in means if math.isfinite(mean)]
        total = sum(rows for _, rows in known)
        mean = sum(mean * rows for mean, rows in known) / total if total else math.nan
        texts.append(_number(mean, "+.2f"))
    return texts[0], texts[1]


def _top_expression(tracks: Sequence[TrackStats]) -> str:
    counts = np.sum([track.expression_counts for track in tracks], axis=0)
    if not counts.sum():
        return _UNKNOWN
    top = int(counts.argmax())
    if counts[top] == counts.sum():
        return EXPRESSION_NAMES[top]
    return f"{EXPRESSION_NAMES[top]} {counts[top] / counts.sum():.0%}"


def _most_active_aus(tracks: Sequence[TrackStats]) -> str:
    rows = sum(track.rows for track in tracks)
    fractions = np.sum([track.au_counts for track in tracks], axis=0) / rows
    top = [k for k in np.argsort(-fractions, kind="stable")[:3] if fractions[k] >= _MIN_AU_FRACTION]
    return ", ".join(f"{AU_NAMES[k]} {fractions[k]:.0%}" for k in top) or _UNKNOWN


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else _UNKNOWN


def _clock_text(time_s: float) -> str:
    return clock_time(time_s, time_s) + (" s" if time_s < 60 else "")


def _short_name(name: str) -> str:
    """Return the last two parts of a path: enough to tell files apart, without private folders."""
    parts = Path(name).parts
    return str(Path(*parts[-2:])) if len(parts) > 2 else name
