"""Data types of a batch: one input, one output file, one result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from faceaffect.errors import FaceAffectError
from faceaffect.sinks.side_car import RUN_SIDE_CARS
from faceaffect.sources.source import SourceOptions


class BatchError(FaceAffectError, RuntimeError):
    """Ends a whole batch; output files that are finished stay."""


def installed_version() -> str:
    """Return the version of faceaffect; empty for a checkout that was never installed."""
    try:
        return version("faceaffect")
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a batch.

    Attributes:
        uri: Path or address to open.
        name: Path of the output file below the output folder, without the suffix of its format.
    """

    uri: str
    name: str


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """Settings of every worker; sent to other processes and machines as JSON.

    Attributes:
        out: Output folder.
        row_format: csv, jsonl or parquet.
        pipeline: Keyword arguments of `open_pipeline`.
        audio: auto (the audio track of each video) or none, for models that use audio.
        version: Release of faceaffect, which must be the same in every worker.
        file_timeout_s: Time limit of an input; 0 for none.
        columns: Groups of columns of the rows.
        every_frame: Whether frames without a face have a row.
    """

    out: str
    row_format: str
    model: str | None
    pipeline: dict[str, Any]
    source_options: SourceOptions
    audio: str
    version: str
    file_timeout_s: float = 0.0
    columns: tuple[str, ...] = ("default",)
    every_frame: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> TaskSettings:
        """Create settings from the values of `as_json`."""
        reading = SourceOptions(**raw["source_options"])
        return cls(**{**raw, "source_options": reading, "columns": tuple(raw["columns"])})

    def output_name(self, task: Input) -> str:
        """Return the path of the output file below the output folder."""
        return f"{task.name}.{self.row_format}"

    def side_car_name(self, task: Input) -> str:
        """Return the path of the output file's side-car below the output folder."""
        return f"{RUN_SIDE_CARS}/{self.output_name(task)}.json"


@dataclass(frozen=True, slots=True)
class FileResult:
    """Result of one input.

    Attributes:
        error: Why the input failed; empty if its output file is complete.
        video_s: Duration of the video.
        cpu_s: CPU time of all threads.
        wall_s: Wall-clock time.
        notes: Messages for the user.
    """

    uri: str
    name: str
    error: str = ""
    frames: int = 0
    faces: int = 0
    video_s: float = 0.0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FramesDone:
    """Frames that a worker has analyzed since its last report."""

    count: int


Event = FramesDone | FileResult
