"""What every sink of rows is and can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Protocol, TypeVar

from faceaffect.errors import FaceAffectError
from faceaffect.types import Affect, Faces, Frame

SelfSink = TypeVar("SelfSink", bound="Sink")


class SinkError(FaceAffectError, OSError):
    """An output that cannot be written: what was wanted, what came, what to do."""


class OverwritePolicy(Enum):
    """What to do with an output that is there already."""

    REFUSE = "refuse"
    RESUME = "resume"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """`settings` (model, thresholds ...) are stored with an unfinished run; resuming it with others
    is refused.
    """

    when_existing: OverwritePolicy = OverwritePolicy.REFUSE
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where to go on with a source: `SourceOptions.start_frame`, or not at all when `is_finished`.

    Track ids up to `last_track_id` were given in the rows that are there already (-1: none).
    """

    next_frame: int = 0
    last_track_id: int = -1
    is_finished: bool = False


class Sink(Protocol):
    """Rows on their way to a file. Leaving a `with` block by an exception keeps what a resume
    needs.

    Calling `begin` and `end` around each source is what makes a run resumable; without them rows
    are written just the same. A sink of rows never reads a frame's pixels.
    """

    path: str

    def begin(self, source: str) -> ResumePoint: ...

    def write(self, frame: Frame, faces: Faces, affect: Affect) -> None: ...

    def end(self, source: str) -> None: ...

    def close(self, *, is_complete: bool = True) -> None: ...

    def __enter__(self: SelfSink) -> SelfSink: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
