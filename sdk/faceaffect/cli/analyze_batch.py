"""Runs `analyze` with an output folder: one output file per input."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

import click
from rich.text import Text

from faceaffect.batch.batch_run import Plan, Runner, execute, make_plan, prepare
from faceaffect.batch.file_task import BatchError, FileResult, FramesDone
from faceaffect.batch.output_store import FAILED, open_store
from faceaffect.cli.batch_options import BatchSettings
from faceaffect.cli.print_table import open_console, print_messages, print_table
from faceaffect.cli.progress import BatchProgress
from faceaffect.cli.run_summary import no_face_hint
from faceaffect.cli.signals import (
    FAILURE,
    INTERRUPTED,
    PARTIAL,
    TERMINATED,
    Terminated,
    raise_if_stopped,
    stop_signals_raise,
)
from faceaffect.system.path_text import printable_message


@dataclass(slots=True)
class BatchTotals:
    """Totals over the inputs that this run finished; `failed` also holds earlier failures."""

    finished: int = 0
    frames: int = 0
    faces: int = 0
    video_s: float = 0.0
    cpu_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    without_faces: list[str] = field(default_factory=list)

    def add(self, result: FileResult) -> None:
        """Add one input."""
        if result.error:
            self.failed.append(result.error)
            return
        self.finished += 1
        self.frames += result.frames
        self.faces += result.faces
        self.video_s += result.video_s
        self.cpu_s += result.cpu_s
        self.notes += result.notes
        if result.frames and not result.faces:
            self.without_faces.append(result.uri)

    def lines(self, finished_before: int, elapsed_s: float) -> list[tuple[str, str]]:
        """Return (name, value) pairs for the summary."""
        elapsed_s = max(elapsed_s, 1e-6)
        lines = [
            ("finished", f"{self.finished} inputs ({finished_before} more by previous runs)"),
            ("failed", f"{len(self.failed)}"),
        ]
        if not self.frames:
            return lines
        hours = self.video_s / 3600
        lines += [
            ("frames", f"{self.frames} ({self.frames / elapsed_s:.1f} per second)"),
            ("faces", f"{self.faces}"),
            ("video", f"{hours:.2f} h ({self.video_s / elapsed_s:.1f} times real time)"),
        ]
        if hours:
            lines.append(("CPU time", f"{self.cpu_s / 60 / hours:.1f} minutes per hour of video"))
        return lines


class AnalyzeBatch:
    """One run over many inputs."""

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings
        self._totals = BatchTotals(notes=list(settings.notes))
        self._started_s = time.monotonic()

    def run(self) -> int:
        """Analyze every input that is not done yet.

        Returns:
            The exit code: 0, 1 after an error or if no input could be analyzed, 3 if some could
            and others not, 130 after Ctrl-C, 143 after SIGTERM.
        """
        settings = self._settings
        store = open_store(settings.tasks.out)
        with store.lock(), stop_signals_raise():
            plan = Plan()
            code = 0
            try:
                prepare(
                    store, settings.tasks, settings.run_config, settings.overwrite, settings.inputs
                )
                plan = make_plan(store, settings.tasks, settings.inputs, settings.retry_failed)
                self._totals.failed += [before.error for before in plan.failed_before]
                with BatchProgress(len(settings.inputs), settings.is_quiet) as progress:
                    progress.skip(len(plan.finished) + len(plan.failed_before))
                    for event in execute(store, plan, self._open_runner()):
                        if isinstance(event, FramesDone):
                            progress.add_frames(event.count)
                        else:
                            self._totals.add(event)
                            progress.end_input(event, len(self._totals.failed))
            except KeyboardInterrupt:
                code = INTERRUPTED
            except Terminated:
                code = TERMINATED
            except BatchError as error:
                raise_if_stopped()
                click.echo(printable_message(f"error: {error}"), err=True)
                code = FAILURE
        self._print_summary(plan, code)
        if code or not self._totals.failed:
            return code
        return PARTIAL if self._totals.finished or plan.finished else FAILURE

    def _open_runner(self) -> Runner:
        settings = self._settings
        if settings.ray is not None:
            from faceaffect.batch.ray_cluster import RayCluster

            return RayCluster(settings.tasks, settings.ray, settings.jobs)
        from faceaffect.batch.process_pool import ProcessPool

        return ProcessPool(settings.tasks, settings.jobs)

    def _print_summary(self, plan: Plan, code: int) -> None:
        out = self._settings.tasks.out
        totals = self._totals
        console = open_console(sys.stderr)
        if not self._settings.is_quiet:
            lines = totals.lines(len(plan.finished), time.monotonic() - self._started_s)
            print_table(
                console,
                [
                    (Text(name, style="dim"), Text(printable_message(value)))
                    for name, value in [*lines, ("out", out)]
                ],
            )
            notes = list(totals.notes)
            if totals.without_faces:
                options = self._settings.tasks.pipeline
                size_px, rotate = options["min_face_size_px"], options["rotate"]
                notes.append(no_face_hint(totals.without_faces, size_px, rotate))
            print_messages(console, "note", notes, "yellow")
        print_messages(console, "error", totals.failed, "red")
        if totals.failed:
            folder = f"{out.rstrip('/')}/{FAILED}"
            advice = f"failures are recorded in {folder}; retry with --retry-failed"
            console.print(Text(printable_message(advice)))
        failed_now = len(totals.failed) - len(plan.failed_before)
        remaining = len(plan.todo) - totals.finished - failed_now
        if code and remaining:
            click.echo(
                f"stopped with {remaining} inputs left; run the same command again to resume",
                err=True,
            )
