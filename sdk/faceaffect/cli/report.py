"""`faceaffect report`: rows in, one page with plots out."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("rows", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="ROWS...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FILE.html", help="The page."
)
@click.option(
    "--portraits",
    is_flag=True,
    help="Show a small image of each drawn face, read out of its source. Off unless asked for: a page is passed on more "
    "easily than a video.",
)
@click.option(
    "--tracks",
    default=20,
    type=click.IntRange(1),
    show_default=True,
    help="Faces that are drawn over time, at most.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing page.")
def report(
    rows: tuple[Path, ...], out: Path, portraits: bool, tracks: int, overwrite: bool
) -> None:
    """Make one HTML page with plots of what `faceaffect analyze` wrote (.csv, .jsonl, .parquet).

    \b
    faceaffect report rows.csv --out report.html
    faceaffect report parts/*.csv --out report.html --portraits
    """
    from rich.console import Console

    from faceaffect.report.write_report import check_report, write_report

    check_report(out, may_replace=overwrite)
    with Console(stderr=True).status("") as status:  # says nothing where nobody looks
        write_report(rows, out, thumbnails=portraits, max_tracks=tracks, on_progress=status.update)
