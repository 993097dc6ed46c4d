"""The unit of work: one input, one part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from faceaffect.errors import FaceAffectError
from faceaffect.sources.source import SourceOptions


class BatchError(FaceAffectError, RuntimeError):
    """What ends a whole run over many files: what was wanted, what came, what to do. Parts that are
    finished stay.
    """


def installed_version() -> str:
    """Of faceaffect; empty for a checkout that was never installed."""
    try:
        return version("faceaffect")
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True, slots=True)
class Input:
    """`uri` is what a user would open, `name` that of its part below the output folder, without the
    format's ending.
    """

    uri: str
    name: str


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What every worker is told; goes to other processes and machines as JSON."""

    out: str
    row_format: str  # csv, jsonl or parquet
    model: str | None
    pipeline: dict[str, Any]  # keyword arguments of open_pipeline
    source_options: SourceOptions
    audio: str  # auto (each video's own) or none, for models that hear
    version: str  # of faceaffect, which must be the same everywhere

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> TaskSettings:
        return cls(**{**raw, "source_options": SourceOptions(**raw["source_options"])})

    def part_name(self, task: Input) -> str:
        return f"{task.name}.{self.row_format}"


@dataclass(frozen=True, slots=True)
class FileResult:
    """How one input ended: `error` is empty where its part is there. `cpu_s` is processor time of
    all threads.
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
    """Frames that a worker has analyzed since it last said so."""

    count: int


Event = FramesDone | FileResult
