"""Side-car of a file of rows: `rows.csv.json` says how `rows.csv` was made.

Rows cannot say what has no face: the side-car holds the number of frames of each source.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from faceaffect.sinks.columns import source_cell
from faceaffect.sinks.sink import SinkError
from faceaffect.sources.source import Source
from faceaffect.system.durable_file import replace_file

ROWS_VERSION: Final = 2
"""Version of the columns: 2 has `AU1_on` and so on where 1 had joined names."""
RUN_FOLDER: Final = ".faceaffect"
"""Folder beside the rows of many inputs; readers of datasets skip names with a leading dot."""
RUN_SIDE_CARS: Final = f"{RUN_FOLDER}/side_cars"
_MAX_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of a source.

    Attributes:
        source: Its name in the rows; a folder stands for its images.
        frames: Number of frames analyzed, those without a face included.
        fps: Nominal frame rate; None if unknown.
        width_px: Of the first frame; None if unknown.
        height_px: Of the first frame; None if unknown.
        dropped: Frames of a live source that were not analyzed.
        is_sequence: Whether the frames follow each other in time.
        is_complete: Whether the source was analyzed to its end.
    """

    source: str
    frames: int = 0
    fps: float | None = None
    width_px: int | None = None
    height_px: int | None = None
    dropped: int = 0
    is_sequence: bool = True
    is_complete: bool = False


@dataclass(slots=True)
class SideCar:
    """Facts about a file of rows, in the order in which they are written.

    Attributes:
        version: Release of faceaffect.
        model: Name of the model.
        model_sha256: SHA-256 of its `spec.json`, which holds those of its other files.
        pipeline: Backend, precision, device, kernels and detector.
        au_thresholds: Threshold of each AU by its name.
        options: Settings that change rows.
        columns: Names of the columns.
        sources: Sources in the order of their rows.
        rows_version: `ROWS_VERSION`.
    """

    version: str
    model: str
    model_sha256: str
    pipeline: dict[str, str]
    au_thresholds: dict[str, float]
    options: dict[str, str]
    columns: list[str]
    sources: list[SourceFacts] = field(default_factory=list)
    rows_version: int = ROWS_VERSION

    def set_source(self, facts: SourceFacts, *, resumed: bool = False) -> None:
        """Add a source; of a resumed one, the frames of the earlier run are counted as well."""
        known = {one.source: k for k, one in enumerate(self.sources)}
        if facts.source not in known:
            self.sources.append(facts)
            return
        k = known[facts.source]
        if resumed:
            frames = facts.frames + self.sources[k].frames
            facts = SourceFacts(**{**asdict(facts), "frames": frames})
        self.sources[k] = facts

    def save(self, rows: Path) -> None:
        """Write the side-car of `rows`, replacing an earlier one.

        Raises:
            SinkError: It cannot be written; the rows are not affected.
        """
        path = side_car_path(rows)
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"
        try:
            replace_file(path, lambda partial: _write(partial, text))
        except OSError as error:
            raise SinkError(
                f"{path}: cannot be written ({error.strerror or error}); the rows are not affected:"
                " make room or check the folder"
            ) from None


def side_car_path(rows: Path) -> Path:
    """Return the path of the side-car of a file of rows."""
    return rows.with_name(rows.name + ".json")


def read_side_car(rows: Path) -> SideCar | None:
    """Read the side-car of a file of rows; None if there is none that can be used.

    Rows are complete without it, so that one that was edited or cut off is no error. Rows in the
    output folder of a run have theirs in a folder of the run.
    """
    return next((one for path in _candidates(rows) if (one := _read(path)) is not None), None)


def _candidates(rows: Path) -> Iterator[Path]:
    yield side_car_path(rows)
    rows = rows.absolute()
    for folder in rows.parents:
        if (side_cars := folder / RUN_SIDE_CARS).is_dir():
            yield side_car_path(side_cars / rows.relative_to(folder))


def _read(path: Path) -> SideCar | None:
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["rows_version"] != ROWS_VERSION:
            return None
        sources = [SourceFacts(**one) for one in content["sources"]]
        return SideCar(**{**content, "sources": sources})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def delete_side_car(rows: Path) -> None:
    """Delete the side-car of rows that are gone."""
    with suppress(OSError):
        side_car_path(rows).unlink()


def facts_of(source: Source, name: str, frames: int, *, is_complete: bool) -> SourceFacts:
    """Return the facts of an open source.

    Args:
        source: The source.
        name: What the user called it.
        frames: Number of frames analyzed.
        is_complete: Whether it was analyzed to its end.
    """
    width_px, height_px = source.size_px or (None, None)
    return SourceFacts(
        source_cell(source.name or name),
        frames,
        source.fps,
        width_px,
        height_px,
        source.dropped,
        source.is_sequence,
        is_complete,
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
