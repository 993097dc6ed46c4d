"""The `faceaffect summarize` command."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from faceaffect.cli.grouped_help import GroupedCommand

_EXAMPLES: Final = """\b
Examples:
  faceaffect summarize rows.csv
  faceaffect summarize results/*.csv --out summary.csv
  faceaffect summarize results/*.csv --participants people.csv --by group --out groups.csv"""


@click.command(
    short_help="Time, shares and bouts of each person.", epilog=_EXAMPLES, cls=GroupedCommand
)
@click.argument("rows", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="ROWS...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.csv",
    help="Write all columns to a CSV file.",
)
@click.option(
    "--participants",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="TABLE.csv",
    help="Who the faces are: a CSV file with the columns source, person and optionally track_id and"
    " group. Without it each track is a person.",
)
@click.option(
    "--by",
    type=click.Choice(["person", "group"]),
    default="person",
    show_default=True,
    help="A row per person and video, or the mean over the persons of each group.",
)
@click.option("--overwrite", is_flag=True, help="Overwrite an existing file.")
def summarize(
    rows: tuple[Path, ...], out: Path | None, participants: Path | None, by: str, overwrite: bool
) -> None:
    """Summarize rows: for how long and how often each person showed what.

    ROWS are files that `faceaffect analyze` wrote (.csv, .jsonl or .parquet). Printed are the time
    covered, the share of time and the bouts of the most frequent action units, mean and spread of
    valence and arousal, and the most frequent expression; --out writes every measure.
    """
    import sys

    from rich.text import Text

    from faceaffect.cli.print_table import open_console, print_messages, print_table
    from faceaffect.report.read_rows import ReportError
    from faceaffect.summary.participants import Participants
    from faceaffect.summary.summarize import (
        GROUP_COLUMNS,
        PERSON_COLUMNS,
        TABLE_COLUMNS,
        summarize_files,
        summarize_groups,
        summary_csv,
        table_cells,
    )
    from faceaffect.system.path_text import printable_text

    if by == "group" and participants is None:
        raise click.UsageError("--by group needs a table with a column group: add --participants")
    if out is not None and out.exists() and not overwrite:
        raise click.UsageError(f"{out}: exists already; use --overwrite to replace it")
    notes: list[str] = []
    table = None if participants is None else Participants(participants)
    summary = summarize_files(rows, table, notes)
    columns, keys = PERSON_COLUMNS, ("source", "person")
    if by == "group":
        summary, columns, keys = summarize_groups(summary), GROUP_COLUMNS, ("group", "persons")
    header = [Text(name, style="dim") for name in (*keys, *TABLE_COLUMNS)]
    lines = [
        [
            *(Text(printable_text(Path(str(row[key])).name)) for key in keys),
            *(Text(cell) for cell in table_cells(row)),
        ]
        for row in summary
    ]
    print_table(open_console(sys.stdout), [header, *lines])
    console = open_console(sys.stderr)
    if not summary:
        notes.append("no face in these rows")
    if out is not None:
        try:
            out.write_text(summary_csv(summary, columns), encoding="utf-8")
        except OSError as error:
            raise ReportError(f"{out}: cannot be written ({error.strerror})") from None
    print_messages(console, "note", notes, "yellow")
