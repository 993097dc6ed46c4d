"""Row sink that writes text to standard output."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

from faceaffect.sinks.columns import rows_for_frame
from faceaffect.sinks.row_formats import CsvFormat, RowFormat
from faceaffect.sinks.sink import ResumePoint, Sink, SinkError
from faceaffect.types import Affect, Faces, Frame, FrameInfo


class StdoutSink(Sink):
    """Writes CSV or JSON Lines to a pipe or terminal, flushed after every frame.

    It cannot be resumed.
    """

    path = "-"

    def __init__(
        self,
        stream: TextIO | None = None,
        row_format: RowFormat | None = None,
        *,
        every_frame: bool = False,
    ) -> None:
        """Write the header of `row_format` (CSV) to `stream` (standard output by default).

        Raises:
            SinkError: it is closed, or cannot be written.
        """
        output = stream or sys.stdout
        if output is None:
            raise SinkError("standard output is closed; write to a file with --out rows.csv")
        if isinstance(output, io.TextIOWrapper):  # rows are UTF-8 in any locale
            output.reconfigure(encoding="utf-8", newline="\n")
        self._stream = output
        self._format = row_format or CsvFormat()
        self._every_frame = every_frame
        if header := self._format.header():
            self._write_text(header)

    def begin(self, source: str) -> ResumePoint:
        """Start the rows of `source`, always at its first frame."""
        return ResumePoint()

    def write(self, frame: Frame | FrameInfo, faces: Faces, affect: Affect) -> None:
        """Write the rows of one frame and flush."""
        columns, every_frame = self._format.columns, self._every_frame
        rows = rows_for_frame(frame, faces, affect, columns, every_frame=every_frame)
        if text := "".join([self._format.line(row) for row in rows]):
            self._write_text(text)

    def end(self, source: str) -> None:
        """Do nothing: standard output has no checkpoint."""

    def close(self, *, is_complete: bool = True) -> None:
        """Do nothing: standard output stays open."""

    def _write_text(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:  # the next program of a pipe ended: no error
            raise
        except OSError as error:
            if self._stream is sys.stdout:
                _discard_stdout()
            raise SinkError(
                f"standard output: writing stopped ({error.strerror}); write to a file with --out"
                " rows.csv, which can be resumed"
            ) from None


def _discard_stdout() -> None:
    """Let the flush at exit, of what could not be written, succeed."""
    try:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)
    except (OSError, ValueError):
        return
