"""Interface of row sinks, their options and their error."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Protocol, TypeVar

from faceaffect.errors import FaceAffectError
from faceaffect.types import Affect, Faces, Frame, FrameInfo

SelfSink = TypeVar("SelfSink", bound="Sink")


class SinkError(FaceAffectError, OSError):
    """An output that cannot be written; the message says what was expected and what to do.

    Examples:
        >>> import faceaffect as fa
        >>> try:
        ...     fa.analyze("clip.mp4").save("rows.docx")
        ... except fa.SinkError as error:
        ...     print("got .docx" in str(error))
        True
    """


class InputReplacedError(SinkError):
    """An input that is another file than the one whose rows exist; other inputs are unaffected."""


class OverwritePolicy(Enum):
    """What to do with an output that exists already."""

    REFUSE = "refuse"
    RESUME = "resume"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """Options of a row sink.

    Attributes:
        if_exists: what to do with an existing output.
        run_config: settings that change rows (model, thresholds ...). They are stored with an
            unfinished run; resuming it with different ones is refused.
        is_resumable: whether an interrupted run leaves what is needed to resume it.
        columns: groups of columns, see `columns.COLUMN_GROUPS`.
        every_frame: whether a frame without a face has a row.
    """

    if_exists: OverwritePolicy = OverwritePolicy.REFUSE
    run_config: dict[str, str] = field(default_factory=dict)
    is_resumable: bool = True
    columns: tuple[str, ...] = ("default",)
    every_frame: bool = False


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Position at which a source is resumed.

    Attributes:
        next_frame: first frame without rows, for `SourceOptions.start_frame`.
        last_track_id: largest track id in the existing rows; -1 for none.
        is_finished: True if every row of the source has been written.
    """

    next_frame: int = 0
    last_track_id: int = -1
    is_finished: bool = False


@dataclass(frozen=True, slots=True)
class WrittenFace:
    """A face in the rows of an earlier run."""

    frame: int
    time_s: float
    track_id: int
    box_xyxy: tuple[float, float, float, float]


class Sink(Protocol):
    """A sink of rows, one per face. Leaving a `with` block by an exception keeps the run resumable.

    Calling `begin` and `end` around each source is what makes a run resumable; without them the
    same rows are written. A row sink never reads pixels, so a `FrameInfo` will do for a frame.
    """

    path: str

    def begin(self, source: str) -> ResumePoint:
        """Start, or resume, the rows of `source`."""
        ...

    def written_faces(self, source: str, first_frame: int) -> list[WrittenFace]:
        """Return the faces of `source` in the rows from `first_frame` on, in order."""
        return []

    def write(self, frame: Frame | FrameInfo, faces: Faces, affect: Affect) -> None:
        """Write the rows of one frame.

        Raises:
            SinkError: the output cannot be written.
        """
        ...

    def end(self, source: str) -> None:
        """Mark `source` as finished."""
        ...

    def close(self, *, is_complete: bool = True) -> None:
        """Close the output; an incomplete run keeps what is needed to resume it."""
        ...

    def __enter__(self: SelfSink) -> SelfSink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(is_complete=error is None)
