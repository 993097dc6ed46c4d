"""Text in columns that are as wide as they need to be: a path that is cut off cannot be copied."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text


def print_columns(console: Console, rows: Sequence[Sequence[Text]]) -> None:
    widths = [max(text.cell_len for text in column) for column in zip(*rows, strict=True)]
    for row in rows:
        line = Text("  ").join(
            _padded(text, width) for text, width in zip(row, widths, strict=True)
        )
        line.rstrip()
        console.print(line, soft_wrap=True)


def _padded(text: Text, width: int) -> Text:
    return text + Text(" " * (width - text.cell_len))
