"""What a process is told of a video and of a stretch of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from faceaffect.sources.source import SourceOptions

PAST_THE_END: Final = 2
"""Frames analyzed beyond the end of a stretch that was sought: a number counted by the frame rate
may be off by so many.
"""


@dataclass(frozen=True, slots=True)
class StretchSettings:
    """What every process is told; goes to it as JSON."""

    uri: str
    model: str | None
    pipeline: dict[str, Any]  # keyword arguments of open_pipeline
    source_options: SourceOptions

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> StretchSettings:
        return cls(**{**raw, "source_options": SourceOptions(**raw["source_options"])})


@dataclass(frozen=True, slots=True)
class StretchTask:
    """Frames [start, end) to analyze, to the end of the video where `end` is None; `seek_s` above
    0: sought, not counted.
    """

    start: int
    end: int | None
    seek_s: float = 0.0
