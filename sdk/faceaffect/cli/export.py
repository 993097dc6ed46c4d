"""The `faceaffect export` command."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from faceaffect.cli.grouped_help import GroupedCommand

_FORMATS: Final = ("elan", "praat", "boris", "openface")
_EXAMPLES: Final = """\b
Examples:
  faceaffect export rows.csv --to elan --out clip.eaf
  faceaffect export results/*.csv --to praat --out grids/
  faceaffect export results/*.csv --to boris --out study.boris
  faceaffect export rows.csv --to openface --out openface.csv"""


@click.command(
    short_help="Rows for ELAN, Praat and BORIS, or as OpenFace columns.",
    epilog=_EXAMPLES,
    cls=GroupedCommand,
)
@click.argument("rows", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="ROWS...")
@click.option(
    "--to",
    required=True,
    type=click.Choice(_FORMATS),
    help="ELAN document, Praat TextGrid, BORIS project, or CSV with the columns of OpenFace.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="The file; for rows of several videos a folder, except for BORIS.",
)
@click.option("--overwrite", is_flag=True, help="Overwrite existing files.")
def export(rows: tuple[Path, ...], to: str, out: Path, overwrite: bool) -> None:
    """Export rows to ELAN, Praat, BORIS or the columns of OpenFace.

    ROWS are files that `faceaffect analyze` wrote (.csv, .jsonl or .parquet). Action units become
    intervals in which they are active; expressions those in which they are the most probable one.
    """
    import sys

    from faceaffect.annotations.export_rows import export_rows
    from faceaffect.cli.print_table import open_console, print_messages

    notes: list[str] = []
    for path in export_rows(rows, to, out, notes, overwrite=overwrite):
        click.echo(path)
    print_messages(open_console(sys.stderr), "note", notes, "yellow")
