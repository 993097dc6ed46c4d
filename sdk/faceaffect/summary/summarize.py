"""Summaries of files of rows: a row per person and source, or per group."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from faceaffect.labels import AU_NAMES
from faceaffect.summary.face_rows import FaceRows, read_faces
from faceaffect.summary.participants import Participant, Participants
from faceaffect.summary.statistics import MEASURES, Cell, measure

SummaryRow = dict[str, Cell]

PERSON_COLUMNS: Final = ("source", "person", "group", *MEASURES)
_NO_MEAN: Final = ("expression",)
GROUP_COLUMNS: Final = (
    "group",
    "persons",
    *(name for name in MEASURES if name not in _NO_MEAN),
)
_DECIMALS: Final = 4


def summarize_files(
    paths: Iterable[Path], participants: Participants | None, notes: list[str]
) -> list[SummaryRow]:
    """Summarize every person in files of rows.

    Args:
        paths: Files of rows; each is read on its own, so memory is that of the largest.
        participants: Who the faces are; without it each track is a person, and with it faces that
            it does not name are left out.
        notes: Receives remarks.

    Raises:
        ReportError: A file cannot be read.
    """
    rows: list[SummaryRow] = []
    for path in paths:
        faces = read_faces(path, notes)
        rows += summarize_faces(faces, participants)
        if participants is not None:
            unknown = [one for one in faces if participants.find(one.source, one.track_id) is None]
            if unknown:
                names = ", ".join(f"face {one.track_id} of {one.source}" for one in unknown[:3])
                more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
                notes.append(f"{path}: left out, not in the table of participants: {names}{more}")
    return rows


def summarize_faces(
    faces: Sequence[FaceRows], participants: Participants | None = None
) -> list[SummaryRow]:
    """Summarize the persons of faces; tracks of one person in one source are one row."""
    persons: dict[tuple[str, str, str], list[FaceRows]] = {}
    for face in faces:
        person = Participant("all faces" if face.track_id < 0 else f"face {face.track_id}")
        if participants is not None:
            found = participants.find(face.source, face.track_id)
            if found is None:
                continue
            person = found
        persons.setdefault((face.source, person.person, person.group), []).append(face)
    return [
        {"source": source, "person": person, "group": group, **measure(members)}
        for (source, person, group), members in persons.items()
    ]


def summarize_groups(rows: Sequence[SummaryRow]) -> list[SummaryRow]:
    """Average persons within groups.

    Each person counts the same: their sources are averaged first. Cells that are unknown for a
    person are left out.
    """
    groups: dict[str, dict[str, list[SummaryRow]]] = {}
    for row in rows:
        persons = groups.setdefault(str(row["group"]), {})
        persons.setdefault(str(row["person"]), []).append(row)
    names = [name for name in MEASURES if name not in _NO_MEAN]
    result: list[SummaryRow] = []
    for group, persons in groups.items():
        means: list[SummaryRow] = [
            {name: _mean(one, name) for name in names} for one in persons.values()
        ]
        cells: SummaryRow = {name: _mean(means, name) for name in names}
        result.append({"group": group, "persons": len(persons), **cells})
    return result


def _mean(rows: Sequence[SummaryRow], name: str) -> float | None:
    known = [float(value) for row in rows if (value := row[name]) is not None]
    return float(np.mean(known)) if known else None


def summary_csv(rows: Sequence[SummaryRow], columns: Sequence[str]) -> str:
    """Return rows as CSV with a header; unknown cells are empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_csv_cell(row[name]) for name in columns])
    return stream.getvalue()


def _csv_cell(value: Cell) -> Cell:
    return round(value, _DECIMALS) if isinstance(value, float) else value


TABLE_COLUMNS: Final = ("covered", "AUs (share of time, bouts)", "valence", "arousal", "expression")


def table_cells(row: SummaryRow) -> tuple[str, ...]:
    """Return the cells of a row for people, in the order of `TABLE_COLUMNS`."""
    covered = row["covered_s"]
    shares = [(float(row[f"{name}_share"] or 0), name) for name in AU_NAMES]
    top = sorted(shares, key=lambda one: -one[0])[:3]
    aus = ", ".join(
        f"{name} {share:.0%}" + ("" if (n := row[f"{name}_bouts"]) is None else f" ({n:g})")
        for share, name in top
        if share >= 0.005
    )
    return (
        f"{row['frames']:g} faces" if covered is None else f"{covered:.1f} s",
        aus or "none",
        *(_mean_and_spread(row, name) for name in ("valence", "arousal")),
        str(row.get("expression") or ""),
    )


def _mean_and_spread(row: SummaryRow, name: str) -> str:
    mean, spread = row[f"{name}_mean"], row[f"{name}_sd"]
    return "" if mean is None or spread is None else f"{mean:+.2f} ± {spread:.2f}"
