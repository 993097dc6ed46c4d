"""Row sink for text files that survives interruptions and can be resumed."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from faceaffect.sinks.checkpoint_file import (
    Checkpoint,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)
from faceaffect.sinks.columns import rows_for_frame
from faceaffect.sinks.row_formats import RowFormat
from faceaffect.sinks.sink import OverwritePolicy, ResumePoint, Sink, SinkError, SinkOptions
from faceaffect.types import Affect, Faces, Frame, FrameInfo

_CHECKPOINT_INTERVAL_S: Final = 1.0


class TextSink(Sink):
    """Appends rows to a text file.

    Each frame's rows reach the operating system at once, a checkpoint is saved about once a
    second. A resume truncates the file to the last checkpoint and continues from there, so no row
    is lost and none is repeated.
    """

    def __init__(self, path: Path, row_format: RowFormat, options: SinkOptions) -> None:
        """Open `path`, and truncate it to its checkpoint or to nothing.

        Raises:
            SinkError: the file cannot be written or resumed.
        """
        self.path = str(path)
        self._format = row_format
        self._checkpoint_path = checkpoint_path(path)
        resumed = (
            load_checkpoint(self._checkpoint_path)
            if options.if_exists is OverwritePolicy.RESUME
            else None
        )
        self._checkpoint = resumed or Checkpoint(run_config=dict(options.run_config))
        self._source = ""
        self._saved_s = time.monotonic()
        self._is_closed = False
        self._descriptor = self._open(path, options)
        if resumed is None:
            size_bytes = self._append(self._format.header())
            self._checkpoint = replace(self._checkpoint, output_bytes=size_bytes)
            self._save_checkpoint()

    def begin(self, source: str) -> ResumePoint:
        """Start, or resume, the rows of `source`."""
        self._source = source
        checkpoint = self._checkpoint
        return ResumePoint(
            next_frame=checkpoint.unfinished.get(source, 0),
            last_track_id=checkpoint.last_track_id,
            is_finished=source in checkpoint.finished,
        )

    def write(self, frame: Frame | FrameInfo, faces: Faces, affect: Affect) -> None:
        """Append the rows of one frame, all or none of them.

        Raises:
            SinkError: the file cannot be written.
        """
        before = self._checkpoint
        lines = [self._format.line(row) for row in rows_for_frame(frame, faces, affect)]
        self._checkpoint = Checkpoint(
            output_bytes=before.output_bytes + self._append("".join(lines)),
            finished=before.finished,
            unfinished={**before.unfinished, self._source: frame.index + 1},
            last_track_id=max(before.last_track_id, *faces.track_id.tolist(), -1),
            run_config=before.run_config,
        )
        if time.monotonic() - self._saved_s >= _CHECKPOINT_INTERVAL_S:
            self._save_checkpoint()

    def end(self, source: str) -> None:
        """Mark `source` as finished and save a checkpoint."""
        before = self._checkpoint
        self._checkpoint = replace(
            before,
            finished=[*before.finished, source],
            unfinished={name: at for name, at in before.unfinished.items() if name != source},
        )
        self._save_checkpoint()

    def close(self, *, is_complete: bool = True) -> None:
        """Close the file; the checkpoint is deleted if the run is complete, saved if not."""
        if self._is_closed:
            return
        self._is_closed = True
        self._truncate_to_checkpoint(
            self._descriptor
        )  # an interruption may have torn a frame's rows
        os.close(self._descriptor)
        if is_complete:
            self._checkpoint_path.unlink(missing_ok=True)
        else:
            self._save_checkpoint()

    def delete(self) -> None:
        """Delete the file and its checkpoint."""
        os.unlink(self.path)
        self._checkpoint_path.unlink(missing_ok=True)

    def _open(self, path: Path, options: SinkOptions) -> int:
        exclusive = os.O_EXCL if options.if_exists is OverwritePolicy.REFUSE else 0
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | exclusive, 0o666)
        except OSError as error:
            raise SinkError(
                f"{path}: cannot be written ({error.strerror}); choose another --out"
            ) from None
        try:
            self._require_resumable(descriptor, options)
            self._truncate_to_checkpoint(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _require_resumable(self, descriptor: int, options: SinkOptions) -> None:
        expected_bytes = self._checkpoint.output_bytes
        size_bytes = os.fstat(descriptor).st_size
        if size_bytes < expected_bytes:
            raise SinkError(
                f"{self.path}: expected at least the {expected_bytes} bytes of "
                f"{self._checkpoint_path.name}, got {size_bytes}; the file was changed since: "
                "use --overwrite"
            )
        before, now = self._checkpoint.run_config, options.run_config
        if before != now:
            changed = ", ".join(
                f"{name} was {before.get(name)}, is {now.get(name)}"
                for name in sorted({*before, *now})
                if before.get(name) != now.get(name)
            )
            raise SinkError(
                f"{self.path}: expected the settings of the first run, got others ({changed}); "
                "resume with the same settings or use --overwrite"
            )

    def _append(self, text: str) -> int:
        """Write all of `text` or nothing; return its size in bytes."""
        data = text.encode("utf-8")
        unwritten = memoryview(data)
        try:
            while unwritten:
                unwritten = unwritten[os.write(self._descriptor, unwritten) :]
        except OSError as error:
            self._truncate_to_checkpoint(self._descriptor)
            raise SinkError(
                f"{self.path}: writing stopped ({error.strerror}); the rows so far are kept: "
                "free some space and use --resume"
            ) from None
        return len(data)

    def _truncate_to_checkpoint(self, descriptor: int) -> None:
        if os.path.isfile(self.path):  # a device such as /dev/full cannot be truncated
            os.ftruncate(descriptor, self._checkpoint.output_bytes)
            os.lseek(descriptor, 0, os.SEEK_END)

    def _save_checkpoint(self) -> None:
        # An error must not cost rows: the older checkpoint stays valid, a resume only repeats more.
        self._saved_s = time.monotonic()
        try:
            save_checkpoint(self._checkpoint_path, self._checkpoint)
        except OSError:
            self._saved_s += 10 * _CHECKPOINT_INTERVAL_S
