"""HTML of a result for notebooks: a table of its faces, and a plot of each over time."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.api.summary import faces_of, summarize_result
from faceaffect.drawing.palette import EXPRESSION_COLORS
from faceaffect.labels import AU_MEANINGS, AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.clock import clock_time
from faceaffect.summary.face_rows import FaceRows

if TYPE_CHECKING:
    from faceaffect.api.result import Result

MAX_PLOTS: Final = 3
MAX_LISTED: Final = 8
_COLUMNS: Final = 240  # of a plot
_LEVELS: Final = 10  # of darkness
_LEFT: Final = 150
_WIDTH: Final = 560
_ROW: Final = 13
_ACCENT: Final = "#2563eb"
_ACTIVE: Final = "#ea580c"
_STYLE: Final = """<style>
.faceaffect{font:13px/1.45 system-ui,sans-serif;max-width:760px}
.faceaffect h4{margin:.2em 0 .1em;font-size:15px;font-weight:600}
.faceaffect .facts{opacity:.65;margin-bottom:.6em}
.faceaffect table{border-collapse:collapse;margin:.4em 0 .8em;font-size:12.5px}
.faceaffect th,.faceaffect td{text-align:left!important;padding:.25em .9em .25em 0;border:0;
border-bottom:1px solid rgba(128,128,128,.25);background:none!important;vertical-align:top}
.faceaffect th{font-weight:500;opacity:.65}
.faceaffect svg{display:block;width:100%;height:auto;margin-bottom:.8em;overflow:visible}
</style>"""


def result_html(result: Result) -> str:
    """Return the HTML of a result."""
    tracks = len(np.unique(result.faces.track_id))
    facts = [
        _count(len(result), "frame"),
        _count(len(result.faces), "face") + (f" in {_count(tracks, 'track')}" if tracks else ""),
        *(result.info[name] for name in ("model", "precision") if name in result.info),
    ]
    parts = [
        f"<h4>{escape(_title(result))}</h4>",
        f'<div class="facts">{escape(" · ".join(facts))}</div>',
    ]
    if not len(result.faces):
        parts.append("<div>No face was found: try a smaller <code>min_face_size_px</code>.</div>")
    elif tracks == len(result.faces):
        parts.append(_face_table(result))
    else:
        parts.append(summarize_result(result)._repr_html_())
        longest = sorted(faces_of(result), key=lambda face: -len(face))
        shown = [face for face in longest if len(face) > 1][:MAX_PLOTS]
        parts += [face_svg(face) for face in shown]
        if len(longest) > len(shown):
            parts.append(
                f'<div class="facts">the {len(shown)} faces in most frames are plotted</div>'
            )
    return f'{_STYLE}<div class="faceaffect">{"".join(parts)}</div>'


def _title(result: Result) -> str:
    names = list(dict.fromkeys(Path(one.source).name or "frames" for one in result.frames))
    return names[0] if len(names) == 1 else f"{len(names)} inputs" if names else "nothing"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _face_table(result: Result) -> str:
    """Return a table of single faces, as in images."""
    rows = []
    for view in result:
        for face in view:
            aus = " ".join(face.active_aus) or "none"
            cells = (
                Path(view.source).name,
                f"{face.expression} {max(face.expressions.values()):.0%}"
                if face.expression
                else "",
                aus,
                f"{face.valence:+.2f}",
                f"{face.arousal:+.2f}",
                f"{face.quality:.2f}",
            )
            rows.append("".join(f"<td>{escape(cell)}</td>" for cell in cells))
            if len(rows) == MAX_LISTED:
                break
        if len(rows) == MAX_LISTED:
            break
    head = "".join(
        f"<th>{name}</th>"
        for name in ("image", "expression", "active AUs", "valence", "arousal", "quality")
    )
    left_out = len(result.faces) - len(rows)
    more = f'<div class="facts">and {_count(left_out, "more face")}</div>' if left_out else ""
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def face_svg(face: FaceRows) -> str:
    """Plot AUs, expressions, valence and arousal of a face over time as SVG."""
    begin_s, end_s = float(face.time_s[0]), float(face.time_s[-1]) + face.frame_interval_s
    rows = _rows_of_columns(face, begin_s, end_s)
    parts: list[str] = [
        f'<text x="0" y="10" font-weight="600">face {face.track_id}</text>',
        _expression_key(_LEFT),
    ]
    top = 20
    if (face.expression >= 0).any():
        parts.append(_label(top, "expression", ""))
        top += _expression_stripe(parts, face, rows, top)
    if np.isfinite(face.au_probability).any():
        top += _au_bands(parts, face, rows, top)
    if np.isfinite(face.column("valence")).any():
        top += _valence_arousal(parts, face, rows, top)
    parts.append(_time_axis(top, begin_s, end_s))
    height = top + 20
    return (
        f'<svg viewBox="0 0 {_LEFT + _WIDTH + 10} {height}" width="100%" role="img"'
        ' font-family="system-ui,sans-serif" font-size="10.5" fill="currentColor"'
        f' aria-label="face {face.track_id} over time">{"".join(parts)}</svg>'
    )


def _rows_of_columns(face: FaceRows, begin_s: float, end_s: float) -> NDArray[np.intp]:
    """Return the row of `face` that each column of the plot shows; -1 in gaps."""
    count = min(_COLUMNS, len(face))
    middle_s = begin_s + (np.arange(count) + 0.5) / count * (end_s - begin_s)
    rows = np.searchsorted(face.time_s, middle_s, side="right") - 1
    rows = np.clip(rows, 0, len(face) - 1)
    age_s = middle_s - face.time_s[rows]
    longest_s = max(face.frame_interval_s * 3, (end_s - begin_s) / count)
    return np.where(age_s > longest_s, -1, rows)


def _bands(values: NDArray[np.int64], top: float, height: float, paint: Sequence[str]) -> str:
    """Draw runs of equal `values` [columns] with attributes from `paint`; negative ones are not."""
    edges = np.flatnonzero(np.diff(values)) + 1
    starts = np.r_[0, edges]
    stops = np.r_[edges, len(values)]
    unit = _WIDTH / len(values)
    return "".join(
        f'<rect x="{_LEFT + start * unit:.1f}" y="{top:g}" width="{(stop - start) * unit:.1f}"'
        f' height="{height:g}" {paint[values[start]]}/>'
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        if values[start] >= 0 and paint[values[start]]
    )


def _label(top: float, name: str, meaning: str) -> str:
    dim = f'<text x="0" y="{top + 10:g}" fill-opacity="0.6">{meaning}</text>' if meaning else ""
    return f'{dim}<text x="{_LEFT - 8}" y="{top + 10:g}" text-anchor="end">{name}</text>'


def _expression_stripe(parts: list[str], face: FaceRows, rows: NDArray[np.intp], top: int) -> int:
    values = np.where(rows < 0, -1, face.expression[rows]).astype(np.int64)
    parts.append(_bands(values, top, 12, [f'fill="{color}"' for color in EXPRESSION_COLORS]))
    return 20


def _expression_key(left: float) -> str:
    parts = []
    for name, color in zip(EXPRESSION_NAMES, EXPRESSION_COLORS, strict=True):
        parts.append(f'<rect x="{left}" y="2" width="9" height="9" rx="2" fill="{color}"/>')
        parts.append(f'<text x="{left + 13}" y="10" fill-opacity="0.6">{name}</text>')
        left += 22 + 6.2 * len(name)
    return "".join(parts)


def _au_bands(parts: list[str], face: FaceRows, rows: NDArray[np.intp], top: int) -> int:
    """Draw a row per AU: as dark as it is probable, orange where it is active."""
    shades = [
        f'fill="{_ACCENT}" opacity="{level / _LEVELS * 0.6:.2f}"' if level else ""
        for level in range(_LEVELS + 1)
    ]
    strong = [
        f'fill="{_ACTIVE}" opacity="{0.35 + 0.65 * level / _LEVELS:.2f}"'
        for level in range(_LEVELS + 1)
    ]
    for au, name in enumerate(AU_NAMES):
        y = top + au * _ROW
        parts.append(_label(y, name, AU_MEANINGS[name]))
        parts.append(
            f'<rect x="{_LEFT}" y="{y}" width="{_WIDTH}" height="{_ROW - 2}"'
            ' fill="currentColor" opacity="0.05"/>'
        )
        level = np.rint(np.nan_to_num(face.au_probability[rows, au]) * _LEVELS).astype(np.int64)
        value = np.where(face.au_active[rows, au], level + _LEVELS + 1, level)
        parts.append(_bands(np.where(rows < 0, -1, value), y, _ROW - 2, [*shades, *strong]))
    return len(AU_NAMES) * _ROW + 10


def _valence_arousal(parts: list[str], face: FaceRows, rows: NDArray[np.intp], top: int) -> int:
    height = 56
    middle = top + height / 2
    parts.append(
        f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{middle}" y2="{middle}"'
        ' stroke="currentColor" opacity="0.25"/>'
    )
    unit = _WIDTH / len(rows)
    for line, (name, color) in enumerate((("valence", _ACCENT), ("arousal", _ACTIVE))):
        y = middle - 8 + 16 * line
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end" fill="{color}">{name}</text>'
        )
        values = face.column(name)[rows]
        points: list[list[str]] = [[]]
        for column, (row, value) in enumerate(zip(rows.tolist(), values.tolist(), strict=True)):
            if row < 0 or not np.isfinite(value):
                points.append([])
                continue
            x = _LEFT + (column + 0.5) * unit
            points[-1].append(f"{x:.1f},{middle - value * height / 2:.1f}")
        parts += [
            f'<polyline fill="none" stroke="{color}" stroke-width="1.6" points="{" ".join(one)}"/>'
            for one in points
            if one
        ]
    return height + 6


def _time_axis(top: float, begin_s: float, end_s: float) -> str:
    parts = []
    for k in range(5):
        time_s = begin_s + (end_s - begin_s) * k / 4
        anchor = "start" if k == 0 else "end" if k == 4 else "middle"
        unit = " s" if end_s < 60 and k == 4 else ""
        parts.append(
            f'<text x="{_LEFT + _WIDTH * k / 4:.0f}" y="{top + 12}" text-anchor="{anchor}"'
            f' fill-opacity="0.6">{clock_time(round(time_s, 1), end_s)}{unit}</text>'
        )
    return "".join(parts)
