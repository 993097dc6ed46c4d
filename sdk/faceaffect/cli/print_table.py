"""Borderless tables and message lists on a console."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from faceaffect.system.path_text import printable_message

MAX_MESSAGES: Final = 20
_PIPE_WIDTH: Final = 10_000  # columns; wide enough that no path is folded


def open_console(stream: TextIO | None = None) -> Console:
    """Open a console that folds tables at the width of a terminal, and never in a pipe or file."""
    stream = sys.stdout if stream is None else stream
    if stream is None:  # the process was started with the stream closed
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    return Console(file=stream, soft_wrap=True, width=None if stream.isatty() else _PIPE_WIDTH)


def print_table(console: Console, rows: Sequence[Sequence[Text]]) -> None:
    """Print rows of cells as columns; only the last column is folded on a narrow console."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    last = len(rows[0]) - 1
    for column in range(last + 1):
        table.add_column(no_wrap=column < last, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_messages(console: Console, label: str, messages: Sequence[str], style: str) -> None:
    """Print the first `MAX_MESSAGES` messages, then the number of those left out."""
    for message in messages[:MAX_MESSAGES]:
        console.print(Text(printable_message(f"{label}: {message}"), style=style))
    if len(messages) > MAX_MESSAGES:
        console.print(Text(f"{label}: {len(messages) - MAX_MESSAGES} more", style=style))
