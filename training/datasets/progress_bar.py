"""Progress bars of counted items."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")


def count_progress(
    *, to_stderr: bool = False, is_transient: bool = False, hidden: bool = False
) -> Progress:
    """Progress bar of count, elapsed and remaining time."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=to_stderr),
        transient=is_transient,
        disable=hidden,
    )


def track_progress(
    items: Iterable[Item], description: str, *, total: int | None = None, progress: bool = True
) -> Iterator[Item]:
    """Iterate over `items` with a progress bar on standard error, shown only on a terminal."""
    hidden = not progress or not sys.stderr.isatty()
    with count_progress(to_stderr=True, is_transient=True, hidden=hidden) as bar:
        count = total if total is not None else len(items) if isinstance(items, Sized) else None
        yield from bar.track(items, total=count, description=description)
