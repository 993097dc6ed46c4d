"""Praat TextGrids, in the long text format."""

from __future__ import annotations

from collections.abc import Sequence

from faceaffect.annotations.tracks import Interval, LabelTrack


def praat_text_grid(tracks: Sequence[LabelTrack], end_s: float) -> str:
    """Return a TextGrid with an interval tier per track.

    Args:
        tracks: Labels; the time between them becomes intervals with empty text, as Praat demands.
        end_s: End of the grid.
    """
    end_s = max([end_s, *(one.end_s for track in tracks for one in track.intervals)])
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0 ",
        f"xmax = {end_s!r} ",
        "tiers? <exists> ",
        f"size = {len(tracks)} ",
        "item []: ",
    ]
    for number, track in enumerate(tracks, 1):
        intervals = with_gaps(track.intervals, end_s)
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier" ',
            f'        name = "{_quoted(track.title)}" ',
            "        xmin = 0 ",
            f"        xmax = {end_s!r} ",
            f"        intervals: size = {len(intervals)} ",
        ]
        for position, one in enumerate(intervals, 1):
            lines += [
                f"        intervals [{position}]:",
                f"            xmin = {one.start_s!r} ",
                f"            xmax = {one.end_s!r} ",
                f'            text = "{_quoted(one.label)}" ',
            ]
    return "\n".join(lines) + "\n"


def with_gaps(intervals: Sequence[Interval], end_s: float) -> list[Interval]:
    """Return intervals that cover 0 to `end_s` without gaps; those in between have no label."""
    covered: list[Interval] = []
    position_s = 0.0
    for one in intervals:
        start_s = max(one.start_s, position_s)
        if one.end_s <= start_s:
            continue
        if start_s > position_s:
            covered.append(Interval(position_s, start_s, ""))
        covered.append(Interval(start_s, one.end_s, one.label))
        position_s = one.end_s
    if position_s < end_s or not covered:
        covered.append(Interval(position_s, end_s, ""))
    return covered


def _quoted(text: str) -> str:
    return text.replace('"', '""')
