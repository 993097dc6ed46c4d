"""What `bench` was asked for: to measure, to show or to compare."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from faceaffect.bench.compare import compare_records
from faceaffect.bench.configuration import BenchError, Configuration, span_grid
from faceaffect.bench.record import Record
from faceaffect.bench.result_table import print_comparison, print_record
from faceaffect.bench.run import INTERRUPTED, STOPPED, BenchSettings, run_bench
from faceaffect.cli import signals as termination

_PIPED_COLUMNS = 160  # where no terminal says how wide it is


def run_command(given: Mapping[str, Any]) -> int:
    """The exit code."""
    console = Console() if sys.stdout.isatty() else Console(width=_PIPED_COLUMNS)
    if given["compare"]:
        before, after = (Record.load_file(Path(name)) for name in given["compare"])
        print_comparison(compare_records(before, after), console)
        return 0
    _check_outputs(given)
    if given["read"]:
        record = Record.load_file(Path(given["read"]))
    else:
        settings = _settings(given)
        record = _measure(_configurations(given), settings, given["quiet"])
    if given["json_file"]:
        record.save(Path(given["json_file"]))
    if given["html_file"]:
        from faceaffect.bench.html_report import write_report

        write_report(record, Path(given["html_file"]))
    if not given["quiet"]:
        print_record(record, console)
    if given["read"] or not record.incomplete:
        return 0
    click.echo(f"not all rounds were measured: {record.incomplete}", err=True)
    return {INTERRUPTED: termination.INTERRUPTED, STOPPED: termination.TERMINATED}.get(
        record.incomplete, termination.FAILURE
    )


def _configurations(given: Mapping[str, Any]) -> list[Configuration]:
    if given["yunet"] and given["detectors"]:
        raise click.UsageError("--yunet is a detector of its own: give it or --detector")
    choices = {
        "model": given["models"] or (None,),
        "backend": given["backends"],
        "device": given["devices"],
        "precision": given["precisions"],
        "size": given["sizes"] or (None,),
        "num_faces": given["faces"] or (None,),
        "detector": given["detectors"] or (None,),
        "threads": given["threads"],
        "streams": given["streams"],
    }
    return span_grid(
        choices,
        max_faces=given["max_faces"],
        min_face_size_px=given["min_face"],
        yunet=given["yunet"],
        dla_core=given["dla"],
    )


def _settings(given: Mapping[str, Any]) -> BenchSettings:
    return BenchSettings(
        source=given["source"],
        frames=given["frames"],
        rounds=given["rounds"],
        warmup=given["warm_up"],
        camera_fps=() if given["no_live"] else given["live"],
        camera_s=given["live_seconds"],
        pin_cores=given["pin"],
    )


def _check_outputs(given: Mapping[str, Any]) -> None:
    """Before minutes are spent on measuring."""
    for option in ("json_file", "html_file"):
        path = Path(given[option]) if given[option] else None
        if path is None:
            continue
        if path.exists() and not given["overwrite"]:
            raise BenchError(
                f"{path}: exists already; use --overwrite to replace it or choose another name"
            )
        if not path.absolute().parent.is_dir():
            raise BenchError(
                f"{path}: the folder {path.absolute().parent} does not exist; create it or choose another"
            )
    if given["html_file"]:
        from faceaffect.bench.html_report import check_packages

        check_packages()
    if given["read"] and given["source"]:
        raise click.UsageError("--from shows a record and SOURCE is measured: give one of them")


def _measure(
    configurations: list[Configuration], settings: BenchSettings, is_quiet: bool
) -> Record:
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=1,  # drawing the bar must not be what is measured
        disable=is_quiet or not sys.stderr.isatty(),
    )
    with termination.termination_raises(), bar:
        task = bar.add_task("", total=settings.steps(len(configurations)))
        return run_bench(
            configurations, settings, lambda told: bar.update(task, advance=1, description=told)
        )
