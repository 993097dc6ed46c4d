"""Messages to a process that analyzes segments of a video."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from faceaffect.sources.source import SourceOptions

SEEK_MARGIN: Final = 2
"""Frames analyzed beyond the end of a segment that was reached by seeking, whose frame numbers may
be off by so many.
"""


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """Settings of every process, sent as JSON.

    Attributes:
        uri: The video.
        pipeline: Keyword arguments of `open_pipeline`.
    """

    uri: str
    model: str | None
    pipeline: dict[str, Any]
    source_options: SourceOptions

    def as_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> SegmentSettings:
        """Create settings from the values of `as_json`."""
        return cls(**{**raw, "source_options": SourceOptions(**raw["source_options"])})


@dataclass(frozen=True, slots=True)
class SegmentTask:
    """Frames [start, end) to analyze.

    Attributes:
        start: First frame.
        end: Frame after the last one; None for the end of the video.
        seek_s: Time to seek to; 0 to decode and count frames from the start of the video.
    """

    start: int
    end: int | None
    seek_s: float = 0.0
