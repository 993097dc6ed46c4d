"""Command line: `python -m training.ablations run | board | table | page`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click

from training.ablations.records import RECORDS

_FOLDER = click.Path(path_type=Path, file_okay=False)
_DATA = click.option(
    "--data",
    type=_FOLDER,
    multiple=True,
    required=True,
    help="A RenderWild folder; may be given twice.",
)
_WORK = click.option("--work", type=_FOLDER, default=Path("runs/experiments"), show_default=True)
_RECORDS = click.option("--records", type=_FOLDER, default=RECORDS, show_default=True)
_TRUNK = click.option(
    "--trunk", "trunks", type=click.Path(path_type=Path, exists=True, dir_okay=False), multiple=True,
    help="Weights that the image trunks begin with, of `training pretrain`: one file for each kind of trunk.",
)  # fmt: skip
_SCALE = click.option(
    "--scale", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True
)


@click.group()
def main() -> None:
    """Each of the eight methods on a setting of its own, with and without its distinctive part."""


@main.command()
@_DATA
@_WORK
@_RECORDS
@_TRUNK
@_SCALE
@click.option("--method", "methods", multiple=True, help="M1 to M8; all unless given.")
@click.option("--seed", "seeds", type=int, multiple=True, default=(1, 2), show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Runs at a time, a core each.",
)
@click.option("--minutes", type=float, help="Begin no run after so many minutes.")
def run(
    data: tuple[Path, ...],
    work: Path,
    records: Path,
    trunks: tuple[Path, ...],
    scale: float,
    **options: Any,
) -> None:
    """Do all runs that have no record yet; may be stopped and called again at any time. Prints the
    table.

    --scale multiplies the steps of every run. All of the first seed comes before the second.
    """
    from rich.console import Console

    from training.ablations.one_run import RunPaths
    from training.ablations.run_all import Order, run_all
    from training.ablations.variants import all_runs

    signal.signal(signal.SIGTERM, _stop)
    try:
        runs = all_runs(list(options["seeds"]), list(options["methods"]) or None)
        places = RunPaths(tuple(data), work, trunks)
        outcome = run_all(
            Order(runs, places, records, scale, options["workers"], options["minutes"]), Console()
        )
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        raise click.ClickException("stopped; call again to go on") from None
    _print_table(records)
    if outcome.failed:
        raise click.ClickException(
            f"{len(outcome.failed)} runs failed: {', '.join(outcome.failed)}"
        )


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@main.command()
@click.argument("name")
@_DATA
@_WORK
@_RECORDS
@_TRUNK
@_SCALE
@click.option(
    "--save-every",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Steps that a kill may cost.",
)
def one(
    name: str,
    data: tuple[Path, ...],
    work: Path,
    records: Path,
    trunks: tuple[Path, ...],
    scale: float,
    save_every: int,
) -> None:
    """Do the run NAME (as the table and the records name it) and write its record."""
    from training.ablations.one_run import RunPaths, make_record
    from training.ablations.variants import find_run

    try:
        made = make_record(find_run(name), RunPaths(tuple(data), work, trunks), scale, save_every)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    made.write(records)
    click.echo(f"{name}: {made.headline:.4f}")


@main.command()
@_RECORDS
def table(records: Path) -> None:
    """Print the comparison out of the records; runs that are missing are shown as missing."""
    _print_table(records)


def _print_table(records: Path) -> None:
    from training.ablations.comparison import comparison_text
    from training.ablations.records import read_records

    try:
        click.echo(comparison_text(read_records(records)))
    except ValueError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@_DATA
@_WORK
@_RECORDS
def board(data: tuple[Path, ...], work: Path, records: Path) -> None:
    """Measure what the leaderboard needs beside the runs: costs of all networks, the default
    model's scores.
    """
    from training.ablations.default_model import default_record
    from training.ablations.leaderboard_costs import write_costs
    from training.ablations.one_run import RunPaths

    try:
        default_record(RunPaths(tuple(data), work)).write(records)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for row in write_costs(records):
        click.echo(
            f"{row.method}: {row.parameters / 1e3:.0f} k, {row.macs / 1e6:.1f} M MACs, {row.frame_ms:.2f} ms a frame"
        )


@main.command()
@_RECORDS
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="training/RESULTS.md unless given.",
)
def page(records: Path, out: Path | None) -> None:
    """Write training/RESULTS.md out of the records."""
    from training.ablations.results_page import PAGE, results_text

    try:
        text = results_text(records)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    (out or PAGE).write_text(text, encoding="utf-8")
    click.echo(f"{out or PAGE}")


if __name__ == "__main__":
    sys.exit(main())
