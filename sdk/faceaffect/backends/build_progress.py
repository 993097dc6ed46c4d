"""Shows the progress of an engine build: a bar on a terminal, one log line elsewhere."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any

log = logging.getLogger("faceaffect")


class BuildProgress:
    """A `BuildWatcher` with a progress bar; use it as a context manager around the build."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._progress = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._title = title
        self._is_terminal = console.is_terminal
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> BuildProgress:
        self._progress.start()
        self._tasks[""] = self._progress.add_task(self._title, total=None)
        if not self._is_terminal:
            log.warning("faceaffect: %s; this takes seconds to minutes, once", self._title)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def step(self, phase: str, done: int, steps: int | None) -> None:
        """Update the bar of a phase, which disappears when it is done; called from any thread."""
        if phase not in self._tasks:
            self._tasks[phase] = self._progress.add_task(phase, total=steps)
        if steps is not None and done >= steps:
            self._progress.remove_task(self._tasks.pop(phase))
        else:
            self._progress.update(self._tasks[phase], completed=done, total=steps)
