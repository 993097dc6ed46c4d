"""Progress of `analyze`: a bar in terminals and notebooks, or calls of a function."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

_SHOW_AFTER_S: Final = 0.5
_INTERVAL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an analysis is.

    Attributes:
        frames: Number of frames analyzed.
        total: Expected number of frames; None if unknown. It comes from the header of a file and
            may be wrong.
        faces: Number of faces found so far, counted in every frame.
        seconds: Time since the start.

    Examples:
        >>> import faceaffect as fa
        >>> calls: list[fa.Progress] = []
        >>> result = fa.analyze("clip.mp4", progress=calls.append)
        >>> calls[-1].frames, calls[-1].total
        (60, 60)
    """

    frames: int
    total: int | None
    faces: int
    seconds: float

    @property
    def fps(self) -> float:
        """Frames per second so far."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


ProgressCallback = Callable[[Progress], None]


class ProgressMeter:
    """Counts frames and reports them ten times a second, and once at the end."""

    def __init__(self, callback: ProgressCallback | None, total: int | None) -> None:
        """Report to `callback`; `total` is the expected number of frames."""
        self._callback = callback
        self.total = total
        self._frames = self._faces = 0
        self._started_s = self._reported_s = time.monotonic()

    def add(self, faces: int) -> None:
        """Count a frame with this number of faces."""
        self._frames += 1
        self._faces += faces
        now_s = time.monotonic()
        if self._callback is not None and now_s - self._reported_s >= _INTERVAL_S:
            self._report(now_s)

    def end(self) -> None:
        """Report the final numbers."""
        if self._callback is not None:
            self.total = self._frames
            self._report(time.monotonic())

    def _report(self, now_s: float) -> None:
        assert self._callback is not None
        self._reported_s = now_s
        self._callback(Progress(self._frames, self.total, self._faces, now_s - self._started_s))


class Bar(Protocol):
    """Something that shows progress until it is closed."""

    def __call__(self, progress: Progress) -> None:
        """Show `progress`."""
        ...

    def close(self) -> None:
        """Remove it."""
        ...


def open_bar() -> Bar | None:
    """Return a bar for the notebook or terminal of this process; None if it has neither."""
    if "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        if shell is not None and hasattr(shell, "kernel"):
            return NotebookBar(sys.modules["IPython.display"])
    if sys.stderr is not None and sys.stderr.isatty():
        return TerminalBar()
    return None


class TerminalBar:
    """A line on standard error, shown once the analysis takes longer than half a second."""

    def __init__(self) -> None:
        """Prepare the bar; nothing is shown yet."""
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, progress: Progress) -> None:
        """Show `progress`."""
        if self._bar is None and progress.seconds < _SHOW_AFTER_S:
            return
        if self._bar is None:
            self._open()
        self._bar.update(
            self._task,
            completed=progress.frames,
            total=progress.total,
            rate=f"{progress.fps:.0f} fps",
        )

    def close(self) -> None:
        """Remove the line."""
        if self._bar is not None:
            self._bar.stop()

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, rate="")
        self._bar.start()


class NotebookBar:
    """A bar below the running cell of a notebook."""

    def __init__(self, display: Any) -> None:
        """Show an empty bar; `display` is the module `IPython.display`."""
        self._display = display
        self._handle = display.display(display.HTML(""), display_id=True)

    def __call__(self, progress: Progress) -> None:
        """Show `progress`."""
        done = f'value="{progress.frames}" max="{progress.total}"' if progress.total else ""
        total = f" / {progress.total}" if progress.total else ""
        text = f"{progress.frames}{total} frames, {progress.fps:.0f} per second"
        bar = f'<progress {done} style="width:24em;vertical-align:middle"></progress>'
        self._handle.update(self._display.HTML(f"{bar} <small>{text}</small>"))

    def close(self) -> None:
        """Remove the bar."""
        self._handle.update(self._display.HTML(""))
