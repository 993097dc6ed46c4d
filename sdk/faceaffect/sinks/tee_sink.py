"""Row sink that writes the same rows to several outputs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from faceaffect.sinks.sink import ResumePoint, Sink, WrittenFace
from faceaffect.types import Affect, Faces, Frame, FrameInfo


class TeeSink(Sink):
    """Writes to files, which may have been interrupted at different rows, and to streams.

    A resumed source starts where the file with the fewest rows ends; the others skip the frames
    that they have.
    """

    def __init__(self, files: Sequence[Sink], streams: Sequence[Sink] = ()) -> None:
        """Write to `files`, and to `streams`, which have no rows that could be resumed."""
        self.path = ", ".join(sink.path for sink in (*files, *streams))
        self._files = tuple(files)
        self._streams = tuple(streams)
        self._points: dict[Sink, ResumePoint] = {}

    def begin(self, source: str) -> ResumePoint:
        """Start, or resume, the rows of `source`."""
        self._points = {sink: sink.begin(source) for sink in self._files}
        for stream in self._streams:
            stream.begin(source)
        points = list(self._points.values())
        unfinished = [point for point in points if not point.is_finished]
        if not points:
            return ResumePoint()
        return ResumePoint(
            next_frame=min((point.next_frame for point in unfinished), default=0),
            last_track_id=max(point.last_track_id for point in points),
            is_finished=not unfinished,
        )

    def written_faces(self, source: str, first_frame: int) -> list[WrittenFace]:
        """Return the faces of `source` in the file with the fewest rows, from `first_frame` on."""
        unfinished = [sink for sink in self._files if not self._points[sink].is_finished]
        if not unfinished:
            return []
        first = min(unfinished, key=lambda sink: self._points[sink].next_frame)
        return first.written_faces(source, first_frame)

    def write(self, frame: Frame | FrameInfo, faces: Faces, affect: Affect) -> None:
        """Write the rows of one frame.

        Raises:
            SinkError: a file cannot be written.
        """
        for stream in self._streams:
            stream.write(frame, faces, affect)
        for sink in self._files:
            point = self._points.get(sink, ResumePoint())
            if not point.is_finished and frame.index >= point.next_frame:
                sink.write(frame, faces, affect)

    def end(self, source: str) -> None:
        """Mark `source` as finished in the files where it was not."""
        for sink in self._files:
            if not self._points.get(sink, ResumePoint()).is_finished:
                sink.end(source)
        for stream in self._streams:
            stream.end(source)
        self._points = {}

    def close(self, *, is_complete: bool = True) -> None:
        """Close every output, also after an error of one, and raise the first error."""
        with ExitStack() as stack:
            for sink in (*self._streams, *self._files):
                stack.callback(sink.close, is_complete=is_complete)
