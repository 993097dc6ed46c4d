"""`python -m training data`: scan a data set, cache its table, extract frames of videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from training.cli.loop import reported_errors

_SOURCES = ("affwild2", "affectnet", "expw", "bp4d", "disfa", "dfew", "afew-va", "fec", "ferplus")

_OPTIONS = {
    "affwild2": ("version", "annotations", "timing", "skip_broken"),
    "dfew": ("fold",),
    "disfa": ("camera",),
}
"""Options of `scan` by the kind of data set that has them."""


@click.group()
def data() -> None:
    """Data sets: what a folder holds, and its table."""


@data.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--kind",
    type=click.Choice(_SOURCES),
    default="affwild2",
    show_default=True,
    help="Whose layout it has.",
)
@click.option(
    "--version",
    default="auto",
    show_default=True,
    help="affwild2: auto, abaw1, abaw2, abaw3 or mtl.",
)
@click.option(
    "--annotations",
    metavar="NAME",
    help="affwild2: the annotation folder, where there are several.",
)
@click.option(
    "--no-timing", is_flag=True, help="affwild2: do not read the frames' times out of the videos."
)
@click.option(
    "--skip-broken",
    is_flag=True,
    help="affwild2: leave broken label files out instead of stopping.",
)
@click.option(
    "--fold",
    type=click.IntRange(1, 5),
    default=1,
    show_default=True,
    help="dfew: the fold to validate on.",
)
@click.option(
    "--camera",
    type=click.Choice(("left", "right")),
    default="left",
    show_default=True,
    help="disfa: whose frames.",
)
@click.option(
    "--cache", type=click.Path(path_type=Path), default=Path("runs/tables"), show_default=True
)
def scan(folder: Path, kind: str, cache: Path, **options: Any) -> None:
    """Look through FOLDER, print what is there and what was left out, and keep the table as
    Parquet.

    An unchanged folder is not scanned again. FOLDER is a file for fec (one of its two .csv).
    """
    with reported_errors(ImportError):
        if kind in ("fec", "ferplus"):
            _show_without_table(kind, folder)
            return
        from training.datasets.readers import load_cached

        table = load_cached(kind, folder, cache=cache, **_chosen(kind, options))
    table.report.show()
    click.echo(f"table: {table.cache_path} ({len(table):,} rows)")


@data.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--camera", type=click.Choice(("left", "right")), default="left", show_default=True)
def extract(folder: Path, camera: Any) -> None:
    """Write the frames of DISFA's videos to FOLDER/frames/CAMERA/PERSON; those that are there are
    kept.
    """
    from training.datasets.disfa import FRAMES_FOLDER, camera_videos
    from training.datasets.extract_frames import extract_frames
    from training.datasets.progress_bar import track_progress

    videos = camera_videos(folder, camera)
    if not videos:
        raise click.ClickException(
            f"no video of the {camera} camera in {folder}, expected "
            f"Videos_{camera.capitalize()}Camera/*.avi"
        )
    total = 0
    with reported_errors(ImportError):
        for person, video in track_progress(videos.items(), "writing frames", total=len(videos)):
            total += extract_frames(video, folder / FRAMES_FOLDER / camera / person)
    click.echo(f"{total:,} frames of {len(videos)} videos in {folder / FRAMES_FOLDER / camera}")


def _chosen(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    options["timing"] = not options["no_timing"]
    return {name: options[name] for name in _OPTIONS.get(kind, ())}


def _show_without_table(kind: str, folder: Path) -> None:
    """FEC has no frames and FER+ lives in memory: both are only counted."""
    from training.datasets.scan_report import ScanReport

    if kind == "fec":
        from training.datasets.fec_triplets import read_fec

        read_fec(folder).report.show()
        return
    import numpy as np

    from training.datasets.ferplus import VOTE_NAMES, clear_majority
    from training.datasets.ferplus_csv import read_ferplus_csv

    faces = read_ferplus_csv(folder)
    report = ScanReport("FER+", str(folder))
    for usage in np.unique(faces.usage):
        report.count(f"images, {usage}", int((faces.usage == usage).sum()))
    report.skip(
        "no clear majority for one of the seven expressions",
        "",
        int((clear_majority(faces.votes) < 0).sum()),
    )
    report.skip("no name (shows no face)", "", int((faces.names == "").sum()))
    report.note(f"votes: {', '.join(VOTE_NAMES)}")
    report.show()
