"""One run of `analyze` over many inputs: a part each, progress over all, and in the end what
failed.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

import click
from rich.console import Console
from rich.text import Text

from faceaffect.batch.batch_run import Plan, Runner, execute, make_plan, prepare
from faceaffect.batch.file_task import BatchError, FileResult, FramesDone
from faceaffect.batch.output_store import open_store
from faceaffect.cli.batch_options import ArchiveSettings
from faceaffect.cli.batch_progress import ArchiveProgress
from faceaffect.cli.print_table import print_columns
from faceaffect.cli.signals import FAILURE, INTERRUPTED, TERMINATED, Stopped, termination_raises

_MOST_LISTED = 20


@dataclass(slots=True)
class Totals:
    """Of the inputs that this run finished; those that failed before stand in `failed` too."""

    finished: int = 0
    frames: int = 0
    faces: int = 0
    video_s: float = 0.0
    cpu_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def add(self, outcome: FileResult) -> None:
        if outcome.error:
            self.failed.append(outcome.error)
            return
        self.finished += 1
        self.frames += outcome.frames
        self.faces += outcome.faces
        self.video_s += outcome.video_s
        self.cpu_s += outcome.cpu_s
        self.notes += outcome.notes


class AnalyzeArchive:
    def __init__(self, settings: ArchiveSettings) -> None:
        self._settings = settings
        self._totals = Totals()
        self._started_s = time.monotonic()

    def run(self) -> int:
        """The exit code: 0, 1 when an input failed, 130 after Ctrl-C, 143 after SIGTERM."""
        settings = self._settings
        store = open_store(settings.tasks.out)
        with store.lock(), termination_raises():
            plan, code = Plan(), 0
            try:
                prepare(store, settings.tasks, settings.stored, settings.overwrite, settings.inputs)
                plan = make_plan(store, settings.tasks, settings.inputs, settings.retry)
                self._totals.failed += [before.error for before in plan.failed_before]
                with ArchiveProgress(len(settings.inputs), settings.is_quiet) as progress:
                    progress.skip(len(plan.finished) + len(plan.failed_before))
                    for event in execute(store, plan, self._runner()):
                        if isinstance(event, FramesDone):
                            progress.add_frames(event.count)
                        else:
                            self._totals.add(event)
                            progress.end_file(event, len(self._totals.failed))
            except KeyboardInterrupt:
                code = INTERRUPTED
            except Stopped:
                code = TERMINATED
            except BatchError as error:
                click.echo(f"error: {error}", err=True)
                code = FAILURE
        self._report(plan, code)
        return code or (FAILURE if self._totals.failed else 0)

    def _runner(self) -> Runner:
        settings = self._settings
        if settings.ray is not None:
            from faceaffect.batch.ray_cluster import RayCluster

            return RayCluster(settings.tasks, settings.ray, settings.jobs)
        from faceaffect.batch.process_pool import ProcessPool

        return ProcessPool(settings.tasks, settings.jobs)

    def _report(self, plan: Plan, code: int) -> None:
        out = self._settings.tasks.out
        if not self._settings.is_quiet:
            _print_totals(self._totals, plan, time.monotonic() - self._started_s, out, sys.stderr)
        _print_failed(self._totals.failed, f"{out.rstrip('/')}/.faceaffect/failed", sys.stderr)
        left = (
            len(plan.todo)
            - self._totals.finished
            - (len(self._totals.failed) - len(plan.failed_before))
        )
        if code:
            click.echo(
                f"stopped: {left} inputs are left; the same command goes on with them", err=True
            )


def _print_totals(totals: Totals, plan: Plan, elapsed_s: float, out: str, stream: TextIO) -> None:
    lines = [
        ("finished", f"{totals.finished} inputs ({len(plan.finished)} more were there already)")
    ]
    lines.append(("failed", f"{len(totals.failed)}"))
    if totals.frames:
        hours = totals.video_s / 3600
        lines.append(
            ("frames", f"{totals.frames} ({totals.frames / max(elapsed_s, 1e-6):.1f} per second)")
        )
        lines.append(("faces", f"{totals.faces}"))
        lines.append(
            (
                "video",
                f"{hours:.2f} h, {totals.video_s / max(elapsed_s, 1e-6):.1f} times as fast as it plays",
            )
        )
        if hours:
            lines.append(
                ("processor time", f"{totals.cpu_s / 60 / hours:.1f} minutes per hour of video")
            )
    console = Console(file=stream, soft_wrap=True)
    print_columns(
        console,
        [(Text(name, style="dim"), Text(value)) for name, value in [*lines, ("output", out)]],
    )
    for note in totals.notes[:_MOST_LISTED]:
        console.print(Text(f"note: {note}", style="yellow"))
    if len(totals.notes) > _MOST_LISTED:
        console.print(
            Text(f"note: and {len(totals.notes) - _MOST_LISTED} more like these", style="yellow")
        )


def _print_failed(failed: list[str], notes: str, stream: TextIO) -> None:
    console = Console(file=stream, soft_wrap=True)
    for error in failed[:_MOST_LISTED]:
        console.print(Text(f"error: {error}", style="red"))
    if len(failed) > _MOST_LISTED:
        console.print(Text(f"error: and {len(failed) - _MOST_LISTED} more", style="red"))
    if failed:
        console.print(Text(f"what failed is noted in {notes}; --retry tries it again"))
