"""The `faceaffect report` command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from faceaffect.cli.grouped_help import GroupedCommand

if TYPE_CHECKING:
    from faceaffect.report.video import VideoUse

_EXAMPLES: Final = """\b
Examples:
  faceaffect report rows.csv --out report.html
  faceaffect report rows.csv --out report.html --video link
  faceaffect report results/*.csv --out report.html --thumbnails"""


@click.command(short_help="Plot rows on an HTML page.", epilog=_EXAMPLES, cls=GroupedCommand)
@click.argument("rows", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="ROWS...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FILE.html", help="The page."
)
@click.option(
    "--thumbnails",
    is_flag=True,
    help="Show a thumbnail of each plotted face, read from its source. Off by default, because a"
    " page is shared more easily than a video.",
)
@click.option(
    "--tracks",
    default=20,
    type=click.IntRange(1),
    show_default=True,
    help="Maximum number of tracks to plot.",
)
@click.option(
    "--video",
    type=click.Choice(["link", "embed"]),
    help="Play the video beside the plots: from its file (link), or as a part of the page (embed).",
)
@click.option(
    "--participants",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.csv",
    help="Names and groups of faces, as of `faceaffect summarize`.",
)
@click.option("--overwrite", is_flag=True, help="Overwrite an existing page.")
def report(
    rows: tuple[Path, ...],
    out: Path,
    thumbnails: bool,
    tracks: int,
    video: VideoUse | None,
    participants: Path | None,
    overwrite: bool,
) -> None:
    """Plot the output of `faceaffect analyze` (.csv, .jsonl or .parquet) on one HTML page."""
    from rich.console import Console

    from faceaffect.report.write_report import check_report, write_report
    from faceaffect.summary.participants import Participants

    check_report(out, may_replace=overwrite)
    with Console(stderr=True).status("") as status:  # prints nothing outside a terminal
        write_report(
            rows,
            out,
            thumbnails=thumbnails,
            max_tracks=tracks,
            video=video,
            find_person=None if participants is None else Participants(participants).person_of,
            on_progress=status.update,
        )
