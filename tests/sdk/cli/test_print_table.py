"""Tests of tables and message lists on a console."""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text

from faceaffect.cli.print_table import MAX_MESSAGES, open_console, print_messages, print_table

ROWS = [[Text("output"), Text("folder/" * 40)], [Text("frames"), Text("12")]]


def test_print_table_in_pipe_never_folds() -> None:
    stream = io.StringIO()
    print_table(open_console(stream), ROWS)
    first, second = stream.getvalue().splitlines()
    assert first.split() == ["output", "folder/" * 40]
    assert second.split() == ["frames", "12"]
    assert first.index("folder") == second.index("12")


def test_print_table_in_narrow_terminal_folds_last_column() -> None:
    stream = io.StringIO()
    print_table(Console(file=stream, width=30, soft_wrap=True), ROWS)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 30
    assert "".join(line[8:].strip() for line in lines[:-1]) == "folder/" * 40


def test_print_messages_are_limited() -> None:
    stream = io.StringIO()
    messages = [str(number) for number in range(MAX_MESSAGES + 3)]
    print_messages(open_console(stream), "note", messages, "yellow")
    lines = stream.getvalue().splitlines()
    assert len(lines) == MAX_MESSAGES + 1
    assert (lines[0], lines[-1]) == ("note: 0", "note: 3 more")
