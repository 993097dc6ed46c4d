"""Runs `bench`: measures, shows or compares records."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

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

from faceaffect.bench.compare import Comparison, compare_records
from faceaffect.bench.configuration import BenchError, Configuration, span_grid
from faceaffect.bench.latency_bound import LatencyBound
from faceaffect.bench.record import Record
from faceaffect.bench.record_schema import record_schema
from faceaffect.bench.result_table import print_comparison, print_record
from faceaffect.bench.run import INTERRUPTED, STOPPED, BenchSettings, run_bench
from faceaffect.bench.tables import write_csv, write_markdown
from faceaffect.bench.trace import write_trace
from faceaffect.cli import signals
from faceaffect.cli.shared_options import YUNET, check_detector_model

_OUTPUTS: Final = ("save_json", "save_html", "save_csv", "save_markdown", "save_trace")
_PIPE_WIDTH: Final = 160  # columns where no terminal sets the width


def run_command(options: Mapping[str, Any]) -> int:
    """Run the command with its parsed options and return the exit code."""
    console = Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)
    if options["schema"]:
        click.echo(json.dumps(record_schema(), indent=1))
        return 0
    if options["fail_above"] is not None and not options["compare"]:
        raise click.UsageError("--fail-above needs --compare A.json B.json")
    if options["compare"]:
        before, after = (Record.load_file(Path(name)) for name in options["compare"])
        comparison = compare_records(before, after)
        print_comparison(comparison, console)
        return _gate(comparison, options["fail_above"])
    _check_outputs(options)
    if options["load"]:
        record = Record.load_file(Path(options["load"]))
    else:
        record = _measure(_configurations(options), _settings(options), options["quiet"])
    if options["save_json"]:
        record.save(Path(options["save_json"]))
    _save(record, options)
    if not options["quiet"]:
        print_record(record, console)
    if options["load"] or not record.incomplete:
        return 0
    click.echo(f"not all rounds were measured: {record.incomplete}", err=True)
    exit_codes = {INTERRUPTED: signals.INTERRUPTED, STOPPED: signals.TERMINATED}
    return exit_codes.get(record.incomplete, signals.FAILURE)


def _gate(comparison: Comparison, percent: float | None) -> int:
    """Return the exit code of a comparison: failure if a metric is worse by more than `percent`."""
    if percent is None:
        return 0
    regressions = comparison.regressions(percent)
    for line in regressions:
        click.echo(f"worse by more than {percent:g} %: {line}", err=True)
    return signals.FAILURE if regressions else 0


def _save(record: Record, options: Mapping[str, Any]) -> None:
    """Write the record in every form that was asked for besides its own."""
    if options["save_csv"]:
        write_csv(record, Path(options["save_csv"]))
    if options["save_markdown"]:
        write_markdown(record, Path(options["save_markdown"]))
    if options["save_trace"]:
        write_trace(record, Path(options["save_trace"]))
    if options["save_html"]:
        from faceaffect.bench.html_report import write_report

        write_report(record, Path(options["save_html"]))


def _configurations(options: Mapping[str, Any]) -> list[Configuration]:
    check_detector_model(options["detectors"], options["detector_model"])
    choices = {
        "model": options["models"] or (None,),
        "backend": options["backends"],
        "device": options["devices"],
        "precision": options["precisions"],
        "size": options["sizes"] or (None,),
        "num_faces": options["num_faces"] or (None,),
        "detector": options["detectors"] or (None,),
        "threads": options["threads"],
        "streams": options["streams"],
    }
    grid = span_grid(
        choices,
        max_faces=options["max_faces"],
        min_face_size_px=options["min_face_size"],
        dla_core=options["dla_core"],
    )
    yunet = options["detector_model"]
    return [replace(c, detector=None, yunet=yunet) if c.detector == YUNET else c for c in grid]


def _settings(options: Mapping[str, Any]) -> BenchSettings:
    return BenchSettings(
        source=options["source"],
        frames=options["frames"],
        rounds=options["rounds"],
        warmup=options["warm_up"],
        camera_fps=() if options["no_camera"] else options["camera_fps"],
        camera_s=options["camera_seconds"],
        pin_cores=options["pin_cores"],
        slo=options["slo"] or "",
        trace=bool(options["save_trace"]),
    )


def _check_outputs(options: Mapping[str, Any]) -> None:
    """Check all output paths before time is spent on measuring."""
    for option in _OUTPUTS:
        if not options[option]:
            continue
        path = Path(options[option])
        if path.exists() and not options["overwrite"]:
            raise BenchError(f"{path}: already exists; use --overwrite or choose another name")
        folder = path.absolute().parent
        if not folder.is_dir():
            raise BenchError(
                f"{path}: the folder {folder} does not exist; create it or choose another"
            )
    if options["slo"]:
        LatencyBound.parse(options["slo"])
    if options["save_html"]:
        from faceaffect.bench.html_report import check_packages

        check_packages()
    if options["load"] and options["source"]:
        raise click.UsageError(
            "--load shows a saved record and SOURCE is measured: use one of them"
        )


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
        refresh_per_second=1,  # drawing the bar must not disturb the measurement
        disable=is_quiet or not sys.stderr.isatty(),
    )
    with signals.stop_signals_raise(), bar:
        task = bar.add_task("", total=settings.steps(len(configurations)))
        return run_bench(
            configurations, settings, lambda step: bar.update(task, advance=1, description=step)
        )
