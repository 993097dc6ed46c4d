"""Command line: `python -m training.ablations run | run-one | leaderboard | table | page`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from training.ablations.records import RECORDS
from training.cli.loop import reported_errors
from training.cli.options import Command

if TYPE_CHECKING:
    from training.ablations.one_run import RunPaths

_FOLDER = click.Path(path_type=Path, file_okay=False)
_DATA = click.option(
    "--data",
    type=_FOLDER,
    multiple=True,
    required=True,
    help="A RenderWild folder; may be repeated.",
)
_WORK = click.option("--work", type=_FOLDER, default=Path("runs/ablations"), show_default=True)
_RECORDS = click.option("--records", type=_FOLDER, default=RECORDS, show_default=True)
_TRUNK = click.option(
    "--trunk",
    "trunks",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Initial trunk weights of `python -m training pretrain`, one file for each kind of trunk.",
)
_SCALE = click.option(
    "--scale",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Factor of the number of steps.",
)


def _run_options(command: Command) -> Command:
    """Options of the commands that train."""
    for option in (_SCALE, _TRUNK, _RECORDS, _WORK, _DATA):
        command = option(command)
    return command


def _paths(options: dict[str, Any]) -> RunPaths:
    from training.ablations.one_run import RunPaths

    return RunPaths(options["data"], options["work"], options.get("trunks", ()))


@click.group()
def main() -> None:
    """Ablations of the eight methods on RenderWild, and their leaderboard."""


@main.command()
@_run_options
@click.option(
    "--method", "methods", multiple=True, help="M1 to M8; may be repeated.  [default: all]"
)
@click.option("--seed", "seeds", type=int, multiple=True, default=(1, 2), show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Runs in parallel, one core each.",
)
@click.option("--max-minutes", type=float, help="Start no run after this time.")
def run(records: Path, scale: float, **options: Any) -> None:
    """Run everything that has no record yet, then print the comparison.

    Runs are ordered by seed. A stopped call is resumed by the next one.
    """
    from rich.console import Console

    from training.ablations.run_all import RunnerConfig, run_all
    from training.ablations.variants import all_runs

    signal.signal(signal.SIGTERM, _stop)
    try:
        with reported_errors():
            runs = all_runs(list(options["seeds"]), list(options["methods"]) or None)
            limits = options["workers"], options["max_minutes"]
            config = RunnerConfig(runs, _paths(options), records, scale, *limits)
            outcome = run_all(config, Console())
    except KeyboardInterrupt:
        raise click.ClickException("stopped; call again to resume") from None
    _print_table(records)
    if outcome.failed:
        raise click.ClickException(
            f"{len(outcome.failed)} runs failed: {', '.join(outcome.failed)}"
        )


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@main.command("run-one")
@click.argument("name")
@_run_options
@click.option(
    "--save-every",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Steps between two saves.",
)
def run_one(name: str, records: Path, scale: float, save_every: int, **options: Any) -> None:
    """Run NAME (as in the table and the records) and write its record."""
    from training.ablations.one_run import train_and_evaluate
    from training.ablations.variants import find_run

    with reported_errors():
        record = train_and_evaluate(find_run(name), _paths(options), scale, save_every)
    record.write(records)
    click.echo(f"{name}: {record.score:.4f}")


@main.command()
@click.option("--data", type=_FOLDER, required=True, help="A RenderWild folder.")
@_WORK
@click.option(
    "--trunk",
    "trunks",
    multiple=True,
    default=("default",),
    show_default=True,
    help="A bundle of the default network, which has seen renders; a folder of `pretrain` or of "
    "MediaPipe's networks, which have not; may be repeated.",
)
@click.option("--idea", "ideas", multiple=True, help="Name of an idea.  [default: all]")
@click.option("--splits", type=click.IntRange(2), default=12, show_default=True)
def cached(
    data: Path, work: Path, trunks: tuple[str, ...], ideas: tuple[str, ...], splits: int
) -> None:
    """Try each method's ideas on features of frozen trunks, then write training/RESULTS.md.

    A stopped call is resumed by the next one.
    """
    from training.ablations.cached.campaign import run_campaign
    from training.ablations.results_page import PAGE, results_text

    with reported_errors():
        run_campaign(data, trunks, work, ideas=ideas, splits=splits, echo=click.echo)
        PAGE.write_text(results_text(RECORDS), encoding="utf-8")
    click.echo(f"{PAGE}")


@main.command()
@_RECORDS
def table(records: Path) -> None:
    """Print the comparison of all recorded runs."""
    _print_table(records)


def _print_table(records: Path) -> None:
    from training.ablations.comparison import comparison_text
    from training.ablations.records import read_records

    with reported_errors():
        click.echo(comparison_text(read_records(records)))


@main.command()
@_DATA
@_WORK
@_RECORDS
def leaderboard(records: Path, **options: Any) -> None:
    """Measure the costs of all networks and the scores of the default model for the leaderboard."""
    from training.ablations.default_model import default_record
    from training.ablations.leaderboard_costs import write_costs

    with reported_errors():
        default_record(_paths(options)).write(records)
    for row in write_costs(records):
        click.echo(
            f"{row.method}: {row.parameters / 1e3:.0f} k parameters, {row.macs / 1e6:.1f} M MACs, "
            f"{row.frame_ms:.2f} ms per frame"
        )


@main.command()
@_RECORDS
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Output file.  [default: training/RESULTS.md]",
)
def page(records: Path, out: Path | None) -> None:
    """Write training/RESULTS.md from the records."""
    from training.ablations.results_page import PAGE, results_text

    with reported_errors():
        text = results_text(records)
    (out or PAGE).write_text(text, encoding="utf-8")
    click.echo(f"{out or PAGE}")


if __name__ == "__main__":
    sys.exit(main())
