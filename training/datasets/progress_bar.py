"""Progress bar on standard error, shown only on a terminal."""

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


def track_progress(
    items: Iterable[Item], description: str, *, total: int | None = None, progress: bool = True
) -> Iterator[Item]:
    """Iterate over `items` with a progress bar of count, elapsed and remaining time."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not progress or not sys.stderr.isatty(),
    )
    with bar:
        count = total if total is not None else len(items) if isinstance(items, Sized) else None
        yield from bar.track(items, total=count, description=description)
