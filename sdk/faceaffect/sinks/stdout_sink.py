"""Rows as CSV on standard output."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TextIO

from faceaffect.sinks.columns import rows_of
from faceaffect.sinks.row_formats import CsvFormat
from faceaffect.sinks.sink import ResumePoint
from faceaffect.types import Affect, Faces, Frame


class StdoutRows:
    """Flushed with every frame, so that the next program in a pipe sees faces as they come; it
    cannot be resumed.
    """

    path = "-"

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream, self._format = stream or sys.stdout, CsvFormat()
        self._put(self._format.header())

    def begin(self, source: str) -> ResumePoint:
        return ResumePoint()

    def write(self, frame: Frame, faces: Faces, affect: Affect) -> None:
        if len(faces):
            self._put("".join([self._format.line(row) for row in rows_of(frame, faces, affect)]))

    def end(self, source: str) -> None:
        pass

    def close(self, *, is_complete: bool = True) -> None:
        pass

    def __enter__(self) -> StdoutRows:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
