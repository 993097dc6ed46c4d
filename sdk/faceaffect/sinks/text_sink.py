"""A text file of rows that survives being cut short and can be resumed."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from faceaffect.sinks.checkpoint_file import Progress, load_progress, progress_path, save_progress
from faceaffect.sinks.columns import rows_of
from faceaffect.sinks.row_formats import RowFormat
from faceaffect.sinks.sink import OverwritePolicy, ResumePoint, SinkError, SinkOptions
from faceaffect.types import Affect, Faces, Frame

_PROGRESS_EVERY_S = 1.0


class RowFile:
    """Each frame's rows reach the operating system at once; how far the run came is noted about
    once a second.

    A resume cuts the file back to the last noted frame and goes on after it, so no row is lost
    and none comes twice.
    """

    def __init__(self, path: Path, row_format: RowFormat, options: SinkOptions) -> None:
        self.path = str(path)
        self._format = row_format
        self._progress_path = progress_path(path)
        resumed = (
            load_progress(self._progress_path)
            if options.when_existing is OverwritePolicy.RESUME
            else None
        )
        self._progress = resumed or Progress(settings=dict(options.settings))
        self._source = ""
        self._noted_s = time.monotonic()
        self._is_closed = False
        self._descriptor = self._open(path, options)
        if resumed is None:
            size_bytes = self._append(self._format.header())
            self._progress = replace(self._progress, output_bytes=size_bytes)
            self._note_progress()

    def begin(self, source: str) -> ResumePoint:
        self._source = source
        progress = self._progress
        return ResumePoint(
            next_frame=progress.unfinished.get(source, 0),
            last_track_id=progress.last_track_id,
            is_finished=source in progress.finished,
        )

    def write(self, frame: Frame, faces: Faces, affect: Affect) -> None:
        before = self._progress
        lines = [self._format.line(row) for row in rows_of(frame, faces, affect)]
        self._progress = Progress(
            output_bytes=before.output_bytes + self._append("".join(lines)),
            finished=before.finished,
            unfinished={**before.unfinished, self._source: frame.index + 1},
            last_track_id=max(before.last_track_id, *faces.track_id.tolist(), -1),
            settings=before.settings,
        )
        if time.monotonic() - self._noted_s >= _PROGRESS_EVERY_S:
            self._note_progress()

    def end(self, source: str) -> None:
        before = self._progress
        unfinished = {name: frame for name, frame in before.unfinished.items() if name != source}
        self._progress = replace(before, finished=[*before.finished, source], unfinished=unfinished)
        self._note_progress()

    def close(self, *, is_complete: bool = True) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._drop_torn_rows()  # of a frame that was interrupted while it was written
        os.close(self._descriptor)
        if is_complete:
            self._progress_path.unlink(missing_ok=True)
        else:
            self._note_progress()

    def forget(self) -> None:
        """Delete the file and what a resume would need."""
        os.unlink(self.path)
        self._progress_path.unlink(missing_ok=True)

    def __enter__(self) -> RowFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(is_complete=error is None)

    def _open(self, path: Path, options: SinkOptions) -> int:
        is_fresh = options.when_existing is OverwritePolicy.REFUSE
        try:
            descriptor = os.open(
                path, os.O_WRONLY | os.O_CREAT | (os.O_EXCL if is_fresh else 0), 0o666
            )
        except OSError as error:
            raise SinkError(
                f"{path}: cannot be written ({error.strerror}); choose another --out"
            ) from None
        try:
            self._cut_back(descriptor, options)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _cut_back(self, descriptor: int, options: SinkOptions) -> None:
        kept, present = self._progress.output_bytes, os.fstat(descriptor).st_size
        if kept > present:
            raise SinkError(
                f"{self.path} must hold the {kept} bytes that {self._progress_path.name} speaks of, it holds "
                f"{present}; it was changed since: use --overwrite"
            )
        if self._progress.settings != options.settings:
            names = sorted({*self._progress.settings, *options.settings})
            pairs = [(n, self._progress.settings.get(n), options.settings.get(n)) for n in names]
            changed = ", ".join(
                f"{name} was {old}, is {new}" for name, old, new in pairs if old != new
            )
            raise SinkError(
                f"{self.path}: resume with the settings of the first run ({changed}), or use --overwrite"
            )
        if os.path.isfile(self.path):
            os.ftruncate(descriptor, kept)
            os.lseek(descriptor, 0, os.SEEK_END)

    def _append(self, text: str) -> int:
        """Write all of `text` or nothing; returns its bytes."""
        data = text.encode("utf-8")
        unwritten = memoryview(data)
        try:
            while unwritten:
                unwritten = unwritten[os.write(self._descriptor, unwritten) :]
        except OSError as error:
            self._drop_torn_rows()
            raise SinkError(
                f"{self.path}: writing stopped ({error.strerror}); the rows so far are kept: make room and use --resume"
            ) from None
        return len(data)

    def _drop_torn_rows(self) -> None:
        if os.path.isfile(self.path):  # a device such as /dev/full has no end to cut off
            os.ftruncate(self._descriptor, self._progress.output_bytes)
            os.lseek(self._descriptor, 0, os.SEEK_END)

    def _note_progress(self) -> None:
        """An error here must not cost rows: the older note stays true, only a resume repeats more."""
        self._noted_s = time.monotonic()
        try:
            save_progress(self._progress_path, self._progress)
        except OSError:
            self._noted_s += 10 * _PROGRESS_EVERY_S
