"""The progress bar of a run over many inputs, on standard error, and only on a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
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


class ArchiveProgress:
    """Inputs done of all, frames a second over all processes, inputs that failed."""

    def __init__(self, input_count: int, is_quiet: bool) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("inputs"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=is_quiet or not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("", total=input_count, rate="")
        self._frames, self._finished_frames, self._failed = 0, 0, 0
        self._started_s = time.monotonic()

    def skip(self, count: int) -> None:
        """Inputs that need not be analyzed."""
        self._bar.update(self._task, advance=count)

    def add_frames(self, count: int) -> None:
        self._frames += count
        self._show()

    def end_file(self, outcome: FileResult, failed: int) -> None:
        """A cluster tells of frames only here; processes have told of them before."""
        self._finished_frames += outcome.frames
        self._failed = failed
        self._bar.update(self._task, advance=1)
        self._show()

    def _show(self) -> None:
        fps = max(self._frames, self._finished_frames) / max(
            time.monotonic() - self._started_s, 1e-6
        )
        lost = f", {self._failed} failed" if self._failed else ""
        self._bar.update(self._task, rate=f"{fps:.0f} fps{lost}")

    def __enter__(self) -> ArchiveProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
