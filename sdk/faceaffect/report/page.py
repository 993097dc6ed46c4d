"""The report as one page that needs nothing else: no script, no font, no image from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import numpy as np

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.plots import (
    EXPRESSION_COLORS,
    MOST_BARS,
    clock_time,
    plot_images,
    plot_presence,
    plot_track,
)
from faceaffect.report.timeline import Timeline
from faceaffect.report.track_stats import Key, SourceTally, TrackTally

MOST_LISTED: Final = 200
MOST_SECTIONS: Final = 50

_CSS: Final = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 3rem; border-bottom: 1px solid #ddd;
  overflow-wrap: anywhere; } h3 { font-size: 1rem; margin: 0 0 .2rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .2rem 1rem .2rem 0; text-align: right; vertical-align: top; white-space: nowrap; }
th { color: #666; font-weight: 500; } tr + tr td { border-top: 1px solid #f0f0f0; }
th:first-child, td:first-child, table.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
table.facts td:first-child { color: #666; white-space: nowrap; }
table.wide td:first-child { min-width: 15rem; } 
:is(table.wide, table.list) :is(th, td):last-child { text-align: left; padding-left: .6rem; }
table.wide td:last-child { white-space: normal; } table.list td { vertical-align: middle; }
.scroll { max-height: 26rem; overflow: auto; }
.about { color: #666; font-size: .9rem; } .note { background: #fff4d6; padding: .4rem .8rem; margin: .3rem 0; }
.track { break-inside: avoid; margin: 2rem 0 2.5rem; } .head { display: flex; gap: 1rem; align-items: center; }
.head img, td img { border-radius: 6px; display: block; } td img { width: 56px; height: 56px; }
.share { display: flex; height: 1.5rem; border-radius: 4px; overflow: hidden; margin: .6rem 0 .2rem; }
.share span { overflow: hidden; white-space: nowrap; font-size: .8rem; line-height: 1.5rem; padding-left: .35rem;
  box-sizing: border-box; color: #222; } .share .dark { color: #fff; }
svg { max-width: 100%; height: auto; display: block; } footer { color: #666; margin-top: 3rem; font-size: .85rem;
  border-top: 1px solid #ddd; padding-top: .6rem; }
""".strip()

_FOOTER: Final = (
    "AU values are probabilities, decided with a threshold each; in drawings a step of a long track is the mean of its frames, "
    "with their range around it for valence, arousal and the head's angles. Rows know only frames with a face. "
    "These are estimates of what faces show, not of what people feel, and no ground for decisions about anybody; "
    "faceaffect models prints what has been measured of a model and what it must not be used for."
)


@dataclass(frozen=True, slots=True)
class ReportContents:
    """`facts` say how the rows were made, where that is known; `portraits` is None where none were
    wanted.
    """

    sources: list[SourceTally]
    timelines: Mapping[Key, Timeline]
    portraits: Mapping[Key, str] | None
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    made: str


def report_page(contents: ReportContents) -> str:
    """HTML of the whole report."""
    sources = contents.sources
    title = _short(sources[0].title) if len(sources) == 1 else f"{len(sources) or 'no'} sources"
    parts = [
        f"<h1>Affect in {escape(title)}</h1>",
        f'<p class="about">{escape(_about(contents))}</p>',
    ]
    parts += [f'<p class="note">{escape(note)}</p>' for note in contents.notes]
    if contents.facts:
        parts.append(_table(("", ""), contents.facts, "facts"))
    parts.append(_overview(sources) if sources else "<p>No face was seen.</p>")
    shown = [
        s
        for s in sources
        if not s.is_sequence or any(t.key in contents.timelines for t in s.tracks.values())
    ]
    for source in shown[:MOST_SECTIONS]:
        parts += _section(source, contents)
    if len(sources) > len(shown[:MOST_SECTIONS]):
        left = len(sources) - len(shown[:MOST_SECTIONS])
        parts.append(f'<p class="about">{left} more sources stand in the table above only.</p>')
    parts.append(f"<footer>{escape(_FOOTER)}</footer>")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">\n<title>Affect in {escape(title)}</title>'
    body = "\n".join(parts)
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}\n<style>\n{_CSS}\n</style></head>\n<body>\n{body}\n</body>\n</html>\n'


def _about(contents: ReportContents) -> str:
    count = len(contents.portraits or {})
    faces = f"{count} faces" if count > 1 else "a face"
    faces = (
        f"It shows images of {faces}: pass it on with care."
        if count
        else "It shows no image of anybody."
    )
    return f"Made by {contents.made}. {faces}"


def _overview(sources: Sequence[SourceTally]) -> str:
    head = (
        "source",
        "last face at",
        "frames",
        "faces",
        "tracks",
        "valence",
        "arousal",
        "mostly",
        "AUs most on",
    )
    rows = []
    for source in sources[:MOST_LISTED]:
        tracks = list(source.tracks.values())
        length = clock_time(source.last_s, source.last_s) + (" s" if source.last_s < 60 else "")
        rows.append(
            (
                escape(_short(source.title)), length if source.is_sequence else "&ndash;", str(source.frames), str(source.rows),
                str(len(tracks)), *_mood(tracks), _mostly(tracks), _most_on(tracks),
            )
        )  # fmt: skip
    more = len(sources) - len(rows)
    left = f'<p class="about">and {more} more sources</p>' if more else ""
    return f'<h2>Overview</h2>\n<div class="scroll">{_table(head, rows, "wide")}</div>{left}'


def _section(source: SourceTally, contents: ReportContents) -> list[str]:
    tracks = sorted(source.tracks.values(), key=lambda track: -track.rows)
    parts = [f"<h2>{escape(_short(source.title))}</h2>"]
    if not source.is_sequence:
        return [*parts, plot_images(source), _images(source, contents)]
    drawn = [track for track in tracks if track.key in contents.timelines]
    if len(tracks) > 1:
        parts.append(plot_presence(source))
        if len(tracks) > MOST_BARS:
            parts.append(
                f'<p class="about">Of {len(tracks)} tracks, the {MOST_BARS} with the most frames.</p>'
            )
        about = f"Of {len(tracks)} tracks, the {len(drawn)} with the most frames are drawn below; --tracks draws more."
        parts += [f'<p class="about">{about}</p>'] if len(drawn) < len(tracks) else []
        parts.append(_tracks(tracks))
    for track in drawn:
        parts += _track(track, contents)
    return parts


def _track(track: TrackTally, contents: ReportContents) -> list[str]:
    line = contents.timelines[track.key]
    portrait = (contents.portraits or {}).get(track.key)
    image = (
        f'<img src="{portrait}" width="84" height="84" alt="face {track.key[2]}">'
        if portrait
        else ""
    )
    valence, arousal = _mood([track])
    facts = [
        f"{track.rows} frames from {clock_time(track.first_s, track.last_s)} to {clock_time(track.last_s, track.last_s)}"
    ]
    facts[0] += " s" if track.last_s < 60 else ""
    facts.append(f"quality {track.mean('quality'):.2f}")
    facts += [f"valence {valence}, arousal {arousal}"] if valence != _UNKNOWN else []
    facts += [f"most on: {on}"] if (on := _most_on([track])) != _UNKNOWN else []
    head = f'<div class="head">{image}<div><h3>Face {track.key[2]}</h3><span class="about">{"; ".join(facts)}</span></div></div>'
    return [
        '<div class="track">',
        head,
        _expression_bar(track, line),
        plot_track(track, line),
        "</div>",
    ]


def _expression_bar(track: TrackTally, line: Timeline) -> str:
    """For how long each expression was the most probable one."""
    whole_s = float(line.expression_s.sum())
    if not whole_s:
        return ""
    bars = []
    for place in np.argsort(-line.expression_s):
        share = line.expression_s[place] / whole_s
        if share <= 0:
            break
        name, seconds = EXPRESSION_NAMES[place], clock_time(line.expression_s[place], whole_s)
        text = f"{name} {share:.0%}, {seconds}{' s' if whole_s < 60 else ''}"
        dark = ' class="dark"' if name in ("anger", "disgust", "fear", "sadness") else ""
        style = f"width:{100 * share:.2f}%;background:{EXPRESSION_COLORS[place]}" + (
            ";padding:0" if share < 0.01 else ""
        )
        shown = text if share > 0.2 else f"{name} {share:.0%}" if share > 0.11 else ""
        bars.append(f'<span{dark} style="{style}" title="{text}">{shown}</span>')
    return f'<div class="share">{"".join(bars)}</div>'


def _tracks(tracks: Sequence[TrackTally]) -> str:
    longest = max(track.last_s for track in tracks)
    head = (
        "face",
        "from",
        "to",
        "frames",
        "quality",
        "valence",
        "arousal",
        "mostly",
        "AUs most on",
    )
    rows = [
        (
            f"face {track.key[2]}", clock_time(track.first_s, longest), clock_time(track.last_s, longest), str(track.rows),
            _number(track.mean("quality"), ".2f"), *_mood([track]), _mostly([track]), _most_on([track]),
        )
        for track in tracks[:MOST_LISTED]
    ]  # fmt: skip
    more = len(tracks) - len(rows)
    left = f'<p class="about">and {more} more tracks with fewer frames</p>' if more else ""
    return f'<div class="scroll">{_table(head, rows, "list")}</div>{left}'


def _images(source: SourceTally, contents: ReportContents) -> str:
    faces = list(source.tracks.values())[:MOST_LISTED]
    rows = []
    for face in faces:
        portrait = (contents.portraits or {}).get(face.key)
        on = (
            "+".join(name for name, count in zip(AU_NAMES, face.au_active, strict=True) if count)
            or _UNKNOWN
        )
        image = f'<img src="{portrait}" alt="face {face.key[2]}">' if portrait else ""
        cells = (
            escape(Path(face.best[0]).name),
            _number(face.mean("quality"), ".2f"),
            *_mood([face]),
            _mostly([face]),
            on,
        )
        rows.append((*([image] if contents.portraits else []), *cells))
    head = ("image", "quality", "valence", "arousal", "expression", "AUs on")
    more = len(source.tracks) - len(faces)
    left = f'<p class="about">and {more} more faces</p>' if more else ""
    return _table((*([""] if contents.portraits else []), *head), rows, "list") + left


_UNKNOWN: Final = "&ndash;"


def _mood(tracks: Sequence[TrackTally]) -> tuple[str, str]:
    """Mean valence and arousal over all rows of the tracks."""
    found = []
    for name in ("valence", "arousal"):
        means = [
            (track.mean(name), track.rows) for track in tracks if math.isfinite(track.mean(name))
        ]
        rows = sum(count for _, count in means)
        found.append(
            _number(sum(mean * count for mean, count in means) / rows if rows else math.nan, "+.2f")
        )
    return found[0], found[1]


def _mostly(tracks: Sequence[TrackTally]) -> str:
    counts = np.sum([track.expressions for track in tracks], axis=0)
    if not counts.sum():
        return _UNKNOWN
    best = int(counts.argmax())
    return (
        EXPRESSION_NAMES[best]
        if counts[best] == counts.sum()
        else f"{EXPRESSION_NAMES[best]} {counts[best] / counts.sum():.0%}"
    )


def _most_on(tracks: Sequence[TrackTally]) -> str:
    shares = np.sum([track.au_active for track in tracks], axis=0) / sum(
        track.rows for track in tracks
    )
    best = [place for place in np.argsort(-shares, kind="stable")[:3] if shares[place] >= 0.01]
    return ", ".join(f"{AU_NAMES[place]} {shares[place]:.0%}" for place in best) or _UNKNOWN


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else _UNKNOWN


def _short(name: str) -> str:
    """The last two parts of a path: enough to tell files apart, without whose machine it was."""
    parts = Path(name).parts
    return str(Path(*parts[-2:])) if len(parts) > 2 else name


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Cells are HTML, but those of facts are text."""
    cells = [[escape(cell) for cell in row] for row in rows] if kind == "facts" else rows
    lines = [f'<table class="{kind}">']
    if any(head):
        lines.append("<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>")
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells]
    return "\n".join([*lines, "</table>"])
