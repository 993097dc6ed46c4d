"""Row sink for text files that survives interruptions and can be resumed."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faceaffect.sinks.checkpoint_file import (
    Checkpoint,
    CheckpointLog,
    SourceState,
    checkpoint_path,
    load_checkpoint,
)
from faceaffect.sinks.columns import rows_for_frame
from faceaffect.sinks.row_file import RowFile
from faceaffect.sinks.row_formats import RowFormat
from faceaffect.sinks.sink import (
    InputReplacedError,
    OverwritePolicy,
    ResumePoint,
    Sink,
    SinkError,
    SinkOptions,
    WrittenFace,
)
from faceaffect.sinks.written_rows import read_written_faces
from faceaffect.system.durable_file import remove_leftovers
from faceaffect.system.file_identity import FileIdentity, identify
from faceaffect.system.path_text import redact_passwords
from faceaffect.types import Affect, Faces, Frame, FrameInfo

_CHECKPOINT_INTERVAL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Position:
    """End of the rows.

    Frozen, so that one assignment replaces it: an interruption never leaves half of a change.
    """

    output_bytes: int
    last_track_id: int
    next_frame: int


class TextSink(Sink):
    """Appends rows to a text file.

    Each frame's rows reach the operating system at once. About once a second they are made durable
    and a checkpoint is saved. A resume truncates the file to the last checkpoint and continues from
    there, so no row is lost and none is repeated.
    """

    def __init__(
        self, path: Path, row_format: RowFormat, options: SinkOptions, *, is_journal: bool = False
    ) -> None:
        """Open `path`, and truncate it to its checkpoint or to nothing.

        Args:
            path: The file.
            row_format: Its format.
            options: What to do with an existing file, and the settings of the run.
            is_journal: Whether nobody chose the name, so that a link there is not followed.

        Raises:
            SinkError: the file cannot be written or resumed.
        """
        self.path = str(path)
        self._format = row_format
        self._options = options
        self._checkpoint_path = checkpoint_path(path.absolute())
        self._log: CheckpointLog | None = None
        self._is_closed = False
        self._saved_s = time.monotonic()
        self._header = row_format.header().encode()
        refuses = options.if_exists is OverwritePolicy.REFUSE
        self._file = RowFile(path, must_be_new=refuses, follows_links=not is_journal)
        self._is_new = True
        try:
            self._checkpoint = self._resumed() or Checkpoint(run_config=dict(options.run_config))
            self._position = _Position(
                self._checkpoint.output_bytes, self._checkpoint.last_track_id, 0
            )
            self._source = FileIdentity("")
            self._name = ""
            self._typed_name = ""
            self._changed: dict[str, SourceState] = {}
            if self._is_new:
                self._delete_checkpoint()  # of the rows that are cut off now
                self._file.truncate(0)
                self._append_header()
            else:
                self._file.truncate(self._position.output_bytes)
            self._start_log()
        except BaseException:
            if refuses:  # this call created it
                self._file.delete()
            self._file.close()
            raise

    def begin(self, source: str) -> ResumePoint:
        """Start, or resume, the rows of `source`.

        Raises:
            InputReplacedError: It has rows, and is another file since.
        """
        self._leave_source()
        identity = identify(source)
        state = self._checkpoint.sources.get(identity.key)
        if state is not None and state.identity.is_replaced_by(identity):
            raise InputReplacedError(
                f"{source}: was replaced since its rows were written to {self.path}; put the former"
                " file back, or use --overwrite"
            )
        name = _row_name(source)
        if state is None:
            state = SourceState(name, 0, False, identity)
        self._source = state.identity
        self._typed_name, self._name = name, state.name
        self._position = _Position(
            self._position.output_bytes, self._position.last_track_id, state.next_frame
        )
        return ResumePoint(
            next_frame=state.next_frame,
            last_track_id=self._position.last_track_id,
            is_finished=state.is_finished,
        )

    def written_faces(self, source: str, first_frame: int) -> list[WrittenFace]:
        """Return the faces of `source` in the rows from `first_frame` on."""
        state = self._checkpoint.sources.get(identify(source).key)
        name = _row_name(source) if state is None else state.name
        end = self._position.output_bytes
        return read_written_faces(self._file.read, end, self._format, name, first_frame)

    def write(self, frame: Frame | FrameInfo, faces: Faces, affect: Affect) -> None:
        """Append the rows of one frame, all or none of them.

        Raises:
            SinkError: the file cannot be written, or was removed.
        """
        before = self._position
        if self._name != self._typed_name:
            frame = FrameInfo(self._written_name(frame.source), frame.index, frame.time_s)
        columns, every_frame = self._format.columns, self._options.every_frame
        rows = rows_for_frame(frame, faces, affect, columns, every_frame=every_frame)
        lines = [self._format.line(row) for row in rows]
        self._position = _Position(
            before.output_bytes + self._append("".join(lines).encode()),
            max(before.last_track_id, *faces.track_id.tolist(), -1),
            frame.index + 1,
        )
        if time.monotonic() - self._saved_s >= _CHECKPOINT_INTERVAL_S:
            self._save_checkpoint()

    def end(self, source: str) -> None:
        """Mark `source` as finished."""
        self._note_source(is_finished=True)
        self._position = _Position(
            self._position.output_bytes, self._position.last_track_id, next_frame=0
        )
        self._source, self._typed_name, self._name = FileIdentity(""), "", ""
        if time.monotonic() - self._saved_s >= _CHECKPOINT_INTERVAL_S:
            self._save_checkpoint()

    def settle(self) -> None:
        """Make all rows durable, under a checkpoint that describes them."""
        self._file.truncate(self._position.output_bytes)  # cuts rows torn by an interruption
        self._sync()
        self._save_checkpoint()

    def close(self, *, is_complete: bool = True) -> None:
        """Close the file; the checkpoint is deleted if the run is complete, saved if not.

        A new file without a row, of a run that failed, is deleted.

        Raises:
            SinkError: the file was removed since.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if is_complete:
                self._file.truncate(self._position.output_bytes)
                self._sync()
                self._delete_checkpoint()
            elif self.is_unused:
                self._delete_checkpoint()
                self._file.delete()
            else:
                self.settle()
        finally:
            if self._log is not None:
                self._log.close()
            self._file.close()

    def delete(self) -> None:
        """Delete the file and its checkpoint, and close the sink."""
        self._is_closed = True
        try:
            self._delete_checkpoint()
            self._file.delete()
        finally:
            if self._log is not None:
                self._log.close()
            self._file.close()

    @property
    def is_unused(self) -> bool:
        """Whether this run created the file and has analyzed nothing."""
        return self._is_new and not self._checkpoint.sources and self._position.next_frame == 0

    def _resumed(self) -> Checkpoint | None:
        options = self._options
        if options.if_exists is not OverwritePolicy.RESUME:
            return None
        checkpoint = load_checkpoint(self._checkpoint_path, self._is_whole)
        if checkpoint is None:
            return None
        self._is_new = False
        before, now = checkpoint.run_config, options.run_config
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
        return checkpoint

    def _is_whole(self, output_bytes: int) -> bool:
        """Return whether the file begins with the header and has a row's end at `output_bytes`."""
        size_bytes = self._file.size_bytes
        header_bytes = len(self._header)
        if not header_bytes <= output_bytes <= size_bytes:
            return False
        if self._file.read(0, header_bytes) != self._header:
            return False
        return output_bytes == 0 or self._file.read(output_bytes - 1, output_bytes) == b"\n"

    def _append_header(self) -> None:
        size_bytes = self._append(self._header)
        self._position = _Position(size_bytes, self._position.last_track_id, 0)
        self._checkpoint.output_bytes = size_bytes

    def _start_log(self) -> None:
        if not self._options.is_resumable:
            return
        remove_leftovers(self._checkpoint_path)
        # A log that cannot be written costs the resume, not the rows.
        with suppress(OSError):
            self._file.sync()
            self._log = CheckpointLog(self._checkpoint_path, self._checkpoint)

    def _leave_source(self) -> None:
        if self._position.next_frame:
            self._note_source(is_finished=False)

    def _note_source(self, *, is_finished: bool) -> None:
        identity, name = self._source, self._name
        next_frame = 0 if is_finished else self._position.next_frame
        state = SourceState(name, next_frame, is_finished, identity)
        if self._checkpoint.sources.get(identity.key) != state:
            self._checkpoint.sources[identity.key] = state
            self._changed[identity.key] = state

    def _written_name(self, source: str) -> str:
        """Return the name under which the first run wrote rows of `source`."""
        if source == self._typed_name:
            return self._name
        prefix = self._typed_name.rstrip("/") + "/"  # of the images of a folder
        if source.startswith(prefix):
            return f"{self._name.rstrip('/')}/{source[len(prefix) :]}"
        return source

    def _append(self, data: bytes) -> int:
        """Write all of `data` or nothing; return its size."""
        try:
            self._file.append(data)
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._position.output_bytes)
            raise SinkError(
                f"{self.path}: writing stopped ({error.strerror}); the rows so far are kept: "
                "free some space and use --resume"
            ) from None
        return len(data)

    def _save_checkpoint(self) -> None:
        """Make the rows durable, then say so in the log.

        A log that cannot be written must not cost rows: its last entry stays valid, and a resume
        only repeats more.

        Raises:
            SinkError: the file of rows was removed since.
        """
        self._saved_s = time.monotonic()
        self._file.require_present()
        self._leave_source()
        self._checkpoint.output_bytes = self._position.output_bytes
        self._checkpoint.last_track_id = self._position.last_track_id
        if self._log is None:
            return
        changed, self._changed = self._changed, {}
        try:
            self._file.sync()
            self._log.append(self._checkpoint, changed.values())
        except OSError:
            self._changed = {**changed, **self._changed}
            self._saved_s += 10 * _CHECKPOINT_INTERVAL_S

    def _sync(self) -> None:
        """Make the rows and the name of the file durable.

        Raises:
            SinkError: that failed, or the file was removed.
        """
        self._file.require_present()
        try:
            self._file.sync()
            self._file.sync_name()
        except OSError as error:
            raise SinkError(
                f"{self.path}: its rows may not survive a power cut ({error.strerror}); check the"
                " disk"
            ) from None

    def _delete_checkpoint(self) -> None:
        if self._options.is_resumable:
            with suppress(OSError):
                os.unlink(self._checkpoint_path)


def _row_name(source: str) -> str:
    """Return the name that frames of `source` have in rows: sources normalize paths."""
    scheme, separator, rest = source.partition("://")
    if separator and scheme != "file":
        return redact_passwords(source)
    return str(Path(rest if separator else source))
