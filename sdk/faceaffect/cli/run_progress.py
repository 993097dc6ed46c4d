"""The progress bar of a run, on standard error, and only on a terminal."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType

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

from faceaffect.sources.open_source import is_live
from faceaffect.sources.rtsp_stream import redact_password

_NAME_LETTERS = 20  # leaves room for the figures on 80 columns


class RunProgress:
    def __init__(self, source_count: int, is_quiet: bool) -> None:
        self._source_count = source_count
        console = Console(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=is_quiet or not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("", total=None, rate="")
        self._frames, self._started_s = 0, time.monotonic()

    def start_source(self, number: int, uri: str) -> None:
        place = f"[{number}/{self._source_count}] " if self._source_count > 1 else ""
        name = redact_password(uri) if is_live(uri) else Path(uri).name or uri
        short = name if len(name) <= _NAME_LETTERS else name[: _NAME_LETTERS - 3] + "..."
        self._bar.reset(self._task, total=None, description=escape(f"{place}{short}"), rate="")

    def begin_frames(self, frame_count: int | None, first_frame: int) -> None:
        self._frames, self._started_s = 0, time.monotonic()
        self._bar.update(self._task, total=frame_count, completed=first_frame)

    def advance(self, face_count: int, dropped: int) -> None:
        if not self._bar.disable:
            self._advance(1, f", {face_count} faces" + (f", {dropped} dropped" if dropped else ""))

    def advance_many(self, frames: int) -> None:
        """Of frames that processes have analyzed, each its own part of the video."""
        if not self._bar.disable:
            self._advance(frames, "")

    def _advance(self, frames: int, rest: str) -> None:
        self._frames += frames
        fps = self._frames / max(time.monotonic() - self._started_s, 1e-6)
        self._bar.update(self._task, advance=frames, rate=f"{fps:.0f} fps{rest}")

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
