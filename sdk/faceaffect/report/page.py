"""Content of the report page; `report.html` is its template, `report.js` its script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from faceaffect.drawing.palette import EXPRESSION_COLORS
from faceaffect.labels import AU_MEANINGS, AU_NAMES, EXPRESSION_NAMES
from faceaffect.pages import render_page
from faceaffect.report.clock import clock_text, clock_time
from faceaffect.report.comparison import Person, compare, compare_groups, moments_of
from faceaffect.report.moments import expression_runs
from faceaffect.report.payload import pack_timeline, script_json
from faceaffect.report.timeline import Timeline
from faceaffect.report.track_stats import SourceStats, TrackKey, TrackStats

MAX_TABLE_ROWS: Final = 200
MAX_SECTIONS: Final = 50
MAX_PRESENCE_TRACKS: Final = 3000
_TEMPLATE: Final = Path(__file__).with_name("report.html")
_UNKNOWN: Final = "\N{EN DASH}"
_MINUS: Final = "\N{MINUS SIGN}"
_MIN_AU_FRACTION: Final = 0.01
_MAX_STORY: Final = 6


@dataclass(frozen=True, slots=True)
class ReportContents:
    """Everything that a report shows.

    Attributes:
        sources: Statistics of every source.
        timelines: Timelines of the tracks that are plotted.
        thumbnails: Images of faces as `data:` URLs; None if none were requested.
        facts: How the rows were made, as far as that is known.
        notes: Warnings.
        origin: Program, time and files.
        people: Person and group of faces, as far as they are named.
        videos: Addresses of the videos that the page plays, by file and source.
    """

    sources: list[SourceStats]
    timelines: Mapping[TrackKey, Timeline]
    thumbnails: Mapping[TrackKey, str] | None
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    origin: str
    people: Mapping[TrackKey, Person] = field(default_factory=dict)
    videos: Mapping[tuple[int, str], str] = field(default_factory=dict)


def report_page(contents: ReportContents) -> str:
    """Render the report as HTML."""
    sources = contents.sources
    detailed = [source for source in sources if _is_detailed(source, contents)][:MAX_SECTIONS]
    compared = compare(sources, contents.people)
    title = short_name(sources[0].title) if len(sources) == 1 else f"{len(sources) or 'no'} sources"
    data = {
        "aus": AU_NAMES,
        "meanings": [AU_MEANINGS[name] for name in AU_NAMES],
        "expressions": EXPRESSION_NAMES,
        "colors": EXPRESSION_COLORS,
        "sections": [_section_data(source, contents) for source in detailed],
    }
    return render_page(
        _TEMPLATE,
        title=f"Affect in {title}",
        about=_about(contents),
        notes=contents.notes,
        facts=contents.facts,
        sections=[_section(k, source, contents) for k, source in enumerate(detailed)],
        omitted_sources=len(sources) - len(detailed),
        compared=compared[:MAX_TABLE_ROWS] if len(compared) > 1 else [],
        omitted_people=max(0, len(compared) - MAX_TABLE_ROWS),
        groups=compare_groups(sources, contents.people),
        source_names=[short_name(source.title) for source in sources],
        aus=AU_NAMES,
        meanings=AU_MEANINGS,
        legend=list(zip(EXPRESSION_NAMES, EXPRESSION_COLORS, strict=True)),
        spread=_spread,
        count=_count,
        data=_markup(script_json(data)),
        plotting_script=_markup(_script("uplot/uPlot.iife.min.js")),
    )


def _is_detailed(source: SourceStats, contents: ReportContents) -> bool:
    return not source.is_sequence or any(
        track.key in contents.timelines for track in source.tracks.values()
    )


def _about(contents: ReportContents) -> str:
    videos = "It plays the video. " if contents.videos else ""
    count = len(contents.thumbnails or {})
    if count or contents.videos:
        faces = f"{count} faces" if count > 1 else "a face"
        shown = f"It shows images of {faces}" if count else "It shows people"
        return f"Made by {contents.origin}. {videos}{shown}: share it with care."
    return f"Made by {contents.origin}. It shows no image of anybody."


def _section_data(source: SourceStats, contents: ReportContents) -> dict[str, Any]:
    """Return what the script plots of a source."""
    tracks = _plotted(source, contents)
    if not source.is_sequence:
        faces = list(source.tracks.values())[:MAX_PRESENCE_TRACKS]
        points = [(one.mean("valence"), one.mean("arousal"), _top(one)) for one in faces]
        known = [[round(v, 3), round(a, 3), k] for v, a, k in points if math.isfinite(v + a)]
        return {"points": known, "tracks": [], "presence": []}
    longest = sorted(source.tracks.values(), key=lambda track: -track.rows)[:MAX_PRESENCE_TRACKS]
    return {
        "start": source.start_s,
        "end": source.end_s,
        "tracks": [
            {"id": track.key[2], **pack_timeline(contents.timelines[track.key])} for track in tracks
        ],
        "presence": [
            [round(track.first_s, 3), round(track.last_s, 3), track.key[2]]
            for track in sorted(longest, key=lambda track: track.first_s)
        ],
    }


def _plotted(source: SourceStats, contents: ReportContents) -> list[TrackStats]:
    tracks = sorted(source.tracks.values(), key=lambda track: -track.rows)
    return [track for track in tracks if track.key in contents.timelines]


def _section(index: int, source: SourceStats, contents: ReportContents) -> dict[str, Any]:
    tracks = sorted(source.tracks.values(), key=lambda track: -track.rows)
    plotted = _plotted(source, contents)
    notes = []
    if source.is_sequence and len(plotted) < len(tracks):
        notes.append(
            f"Of {len(tracks)} tracks, the {len(plotted)} with the most frames can be chosen;"
            " --tracks plots more."
        )
    return {
        "index": index,
        "title": short_name(source.title),
        "is_sequence": source.is_sequence,
        "stats": _stats(source),
        "story": _story(plotted[0], contents) if plotted else "",
        "notes": notes,
        "video": contents.videos.get((tracks[0].key[0], source.name)),
        "tracks": [_tab(track, contents) for track in plotted],
        "images": [] if source.is_sequence else _images(source, contents),
        "omitted_images": 0 if source.is_sequence else max(0, len(tracks) - MAX_TABLE_ROWS),
        "has_many_tracks": len(tracks) > 1,
        "has_aus": math.isfinite(tracks[0].mean(AU_NAMES[0])),
        "has_expression": any(track.expression_counts.sum() for track in tracks),
        "has_valence_arousal": math.isfinite(tracks[0].mean("valence")),
    }


def _stats(source: SourceStats) -> list[tuple[str, str]]:
    """Return the numbers at the top of a section."""
    tracks = list(source.tracks.values())
    stats = []
    if source.is_sequence:
        start = clock_time(source.first_s, source.last_s)
        stats.append(("faces from", f"{start} to {clock_text(source.last_s)}"))
    if source.all_frames:
        share = source.frames / source.all_frames
        text = f"{source.frames_text} ({share:.0%})" if share < 1 else f"all {source.frames}"
        stats.append(("frames with a face", text))
    else:
        stats.append(("frames with a face", str(source.frames)))
    stats.append(("tracks" if source.is_sequence else "faces", str(len(tracks))))
    for name in ("valence", "arousal"):
        if found := moments_of(tracks, name):
            stats.append((f"mean {name}", _spread(found)))
    if (active := _most_active_aus(tracks)) != _UNKNOWN:
        stats.append(("most active", active))
    return stats


def _story(track: TrackStats, contents: ReportContents) -> str:
    """Tell the expressions of a track in words."""
    timeline = contents.timelines[track.key]
    found = sorted(expression_runs(timeline), key=lambda one: -one.duration_s)[:_MAX_STORY]
    last_s = float(timeline.time_s[-1])
    unit = " s" if last_s < 60 else ""
    parts = [
        f"{one.name} {clock_time(round(max(one.start_s, 0), 1), last_s)} to"
        f" {clock_time(round(one.end_s, 1), last_s)}{unit}"
        for one in sorted(found, key=lambda one: one.start_s)
    ]
    text = ", then ".join(parts)
    is_alone = not text or sum(key[:2] == track.key[:2] for key in contents.timelines) == 1
    return text if is_alone else f"{_tab(track, contents)['name']}: {text}"


def _tab(track: TrackStats, contents: ReportContents) -> dict[str, Any]:
    person = contents.people.get(track.key)
    return {
        "id": track.key[2],
        "name": person[0] if person else f"Face {track.key[2]}",
        "thumbnail": (contents.thumbnails or {}).get(track.key),
        "frames": track.rows,
    }


def _images(source: SourceStats, contents: ReportContents) -> list[dict[str, Any]]:
    return [
        {
            "thumbnail": (contents.thumbnails or {}).get(face.key),
            "id": face.key[2],
            "cells": (
                Path(face.best.file).name,
                f"face {face.key[2]}",
                _number(face.mean("quality"), ".2f"),
                _number(face.mean("valence"), "+.2f"),
                _number(face.mean("arousal"), "+.2f"),
                EXPRESSION_NAMES[_top(face)] if face.expression_counts.sum() else _UNKNOWN,
                ", ".join(
                    name for name, count in zip(AU_NAMES, face.au_counts, strict=True) if count
                )
                or _UNKNOWN,
            ),
        }
        for face in list(source.tracks.values())[:MAX_TABLE_ROWS]
    ]


def _top(track: TrackStats) -> int:
    return int(track.expression_counts.argmax()) if track.expression_counts.sum() else -1


def _most_active_aus(tracks: Sequence[TrackStats]) -> str:
    rows = sum(track.rows for track in tracks)
    fractions = np.sum([track.au_counts for track in tracks], axis=0) / rows
    top = [k for k in np.argsort(-fractions, kind="stable")[:3] if fractions[k] >= _MIN_AU_FRACTION]
    names = (f"{AU_NAMES[k]} {AU_MEANINGS[AU_NAMES[k]]} {fractions[k]:.0%}" for k in top)
    return ", ".join(names) or _UNKNOWN


def _number(value: float, form: str) -> str:
    if not math.isfinite(value):
        return _UNKNOWN
    text = format(value, form)
    return text[1:] if float(text) == 0 and text[0] in "+-" else text.replace("-", _MINUS)


def _spread(moments: tuple[float, float] | None) -> str:
    """Format a mean and a standard deviation."""
    return _UNKNOWN if moments is None else f"{_number(moments[0], '+.2f')} ± {moments[1]:.2f}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _script(name: str) -> str:
    return (Path(__file__).parents[1] / "pages" / name).read_text(encoding="utf-8")


def _markup(text: str) -> str:
    from markupsafe import Markup

    return Markup(text)


def short_name(name: str) -> str:
    """Return the last two parts of a path: enough to tell files apart, without private folders."""
    parts = Path(name).parts
    return str(Path(*parts[-2:])) if len(parts) > 2 else name
