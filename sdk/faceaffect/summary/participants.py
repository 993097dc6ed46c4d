"""Table of participants: which person and group a face of a source belongs to."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from faceaffect.report.read_rows import ReportError


@dataclass(frozen=True, slots=True)
class Participant:
    """Person and group of a face."""

    person: str
    group: str = ""


class Participants:
    """Participants by source, and by track id where several people are in one source.

    The table is a CSV file with the columns `source` and `person`, and optionally `track_id` (empty
    for every other face of the source) and `group`. A source is named by its path, its file name or
    its file name without suffix.
    """

    def __init__(self, path: Path) -> None:
        """Read the table.

        Raises:
            ReportError: It cannot be read, or a row is not of this form.
        """
        self._path = path
        self._by_key: dict[tuple[str, int | None], Participant] = {}
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                reader = csv.DictReader(stream)
                names = reader.fieldnames or []
                if not {"source", "person"} <= set(names):
                    raise ReportError(
                        f"{path}: expected a table with the columns source, person and optionally"
                        f" track_id and group, got {', '.join(names) or 'nothing'}; add a header"
                    )
                for row in reader:
                    self._add(reader.line_num, row)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ReportError(f"{path}: expected a CSV table, cannot read it ({error})") from None

    def find(self, source: str, track_id: int) -> Participant | None:
        """Return the participant of a face; None if the table has none."""
        path = Path(source)
        for name in (source, path.name, path.stem):
            for key in ((name, track_id), (name, None)):
                if key in self._by_key:
                    return self._by_key[key]
        return None

    def person_of(self, source: str, track_id: int) -> tuple[str, str] | None:
        """Return person and group of a face; None if the table has none."""
        found = self.find(source, track_id)
        return None if found is None else (found.person, found.group)

    def _add(self, line: int, row: dict[str, str | None]) -> None:
        source, person = (row.get("source") or "").strip(), (row.get("person") or "").strip()
        track = (row.get("track_id") or "").strip()
        if not source or not person or (track and not track.isdecimal()):
            raise ReportError(
                f"{self._path}: line {line}: expected a source, a person and a track id that is a"
                f" number or empty, got {source!r}, {person!r}, {track!r}; correct the line"
            )
        key = (source, int(track) if track else None)
        if key in self._by_key:
            raise ReportError(
                f"{self._path}: line {line}: expected each source and track id once, got {source!r}"
                f" {track or 'without track id'} again; remove one of the lines"
            )
        self._by_key[key] = Participant(person, (row.get("group") or "").strip())
