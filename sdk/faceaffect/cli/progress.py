"""Progress bars on standard error, shown only in a terminal."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from faceaffect.batch.file_task import FileResult
from faceaffect.sources.open_source import is_live
from faceaffect.system.path_text import printable_text, redact_passwords
from faceaffect.system.systemd_watchdog import SystemdWatchdog

_MAX_NAME_LENGTH: Final = 20  # leaves room for the rate on 80 columns
_Self = TypeVar("_Self", bound="_ProgressBar")


class _ProgressBar:
    """A bar with a count of done and total items and a rate in frames per second."""

    def __init__(self, description: str, total: int | None, is_quiet: bool) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=is_quiet or sys.stderr is None or not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(description, total=total, rate="")
        self._frames = 0
        self._started_s = time.monotonic()

    def _update(self, advance: int, suffix: str) -> None:
        fps = self._frames / max(time.monotonic() - self._started_s, 1e-6)
        self._bar.update(self._task, advance=advance, rate=f"{fps:.0f} fps{suffix}")

    def __enter__(self: _Self) -> _Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


class SourceProgress(_ProgressBar):
    """Progress over the frames of one source after another."""

    def __init__(self, source_count: int, is_quiet: bool) -> None:
        super().__init__("", None, is_quiet)
        self._source_count = source_count
        self._watchdog = SystemdWatchdog()

    def start_source(self, number: int, uri: str) -> None:
        """Show the name of the source about to be opened; `number` counts from 1."""
        position = f"[{number}/{self._source_count}] " if self._source_count > 1 else ""
        name = redact_passwords(uri) if is_live(uri) else Path(uri).name or uri
        name = printable_text(name)
        if len(name) > _MAX_NAME_LENGTH:
            name = name[: _MAX_NAME_LENGTH - 3] + "..."
        self._bar.reset(self._task, total=None, description=escape(f"{position}{name}"), rate="")

    def start_frames(self, frame_count: int | None, first_frame: int) -> None:
        """Reset the bar to `first_frame` of `frame_count` frames."""
        self._frames = 0
        self._started_s = time.monotonic()
        self._bar.update(self._task, total=frame_count, completed=first_frame)
        self._watchdog.ready()

    def advance(self, face_count: int, dropped: int) -> None:
        """Count one frame and show its number of faces."""
        self._watchdog.ping()
        if not self._bar.disable:
            self._frames += 1
            dropped_text = f", {dropped} dropped" if dropped else ""
            self._update(1, f", {face_count} faces{dropped_text}")

    def advance_many(self, frames: int) -> None:
        """Count frames that worker processes have analyzed."""
        self._watchdog.ping()
        if not self._bar.disable:
            self._frames += frames
            self._update(frames, "")


class BatchProgress(_ProgressBar):
    """Progress over many inputs, with the frame rate of all processes and the failures."""

    def __init__(self, input_count: int, is_quiet: bool) -> None:
        super().__init__("inputs", input_count, is_quiet)
        self._finished_frames = 0
        self._failed = 0

    def skip(self, count: int) -> None:
        """Count inputs that were done before."""
        self._bar.update(self._task, advance=count)

    def add_frames(self, count: int) -> None:
        """Count frames of inputs that are still being analyzed."""
        self._frames += count
        self._show(0)

    def end_input(self, result: FileResult, failed: int) -> None:
        """Count one input; `failed` is the number of failures so far."""
        self._finished_frames += result.frames
        # A cluster reports frames only with the result, local processes reported them before.
        self._frames = max(self._frames, self._finished_frames)
        self._failed = failed
        self._show(1)

    def _show(self, advance: int) -> None:
        self._update(advance, f", {self._failed} failed" if self._failed else "")
