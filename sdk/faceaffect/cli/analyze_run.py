"""One run of `analyze`: every source through the pipeline, its rows and images out."""

from __future__ import annotations

import sys
import time
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceaffect.audio.audio_source import AUTO, NONE
from faceaffect.cli.analyze_options import AnalyzeSettings
from faceaffect.cli.run_progress import RunProgress
from faceaffect.cli.run_summary import RunSummary, print_summary
from faceaffect.cli.signals import FAILURE, INTERRUPTED, TERMINATED, Stopped, termination_raises
from faceaffect.multistage.source_audio import source_audio
from faceaffect.sinks.open_overlay import check_overlay, open_overlay, overlay_stems
from faceaffect.sinks.open_sink import check_output, is_stdout, open_sink
from faceaffect.sinks.sink import OverwritePolicy, ResumePoint, Sink, SinkError, SinkOptions
from faceaffect.sinks.threaded_sink import ThreadedSink
from faceaffect.sources.open_source import is_live, open_source
from faceaffect.sources.source import Source, SourceError

if TYPE_CHECKING:
    from faceaffect.pipeline import Pipeline
    from faceaffect.segments.parallel_video import ParallelVideo


class AnalyzeRun:
    def __init__(self, settings: AnalyzeSettings) -> None:
        self._settings = settings
        # A live source is alone, and knows its name without its password.
        self._stems = overlay_stems(settings.sources) if len(settings.sources) > 1 else {}
        self._summary = RunSummary()
        self._progress = RunProgress(len(settings.sources), settings.is_quiet)

    def run(self) -> int:
        """The exit code: 0, 1 when a source failed, 130 after Ctrl-C, 143 after SIGTERM."""
        settings = self._settings
        check_output(settings.out, settings.when_existing)
        if settings.overlay is not None:
            check_overlay(settings.overlay, len(settings.sources), settings.when_existing)
        if settings.report is not None:
            from faceaffect.report.write_report import check_report

            check_report(
                settings.report, may_replace=settings.when_existing is not OverwritePolicy.REFUSE
            )
        from faceaffect.backends import BackendError
        from faceaffect.pipeline import open_pipeline

        with (
            termination_raises(),
            closing(open_pipeline(settings.model, **settings.pipeline)) as pipeline,
        ):
            if settings.audio not in (AUTO, NONE) and not pipeline.uses_audio:
                raise click.UsageError(
                    f"model {pipeline.spec.name} hears no audio; leave --audio {settings.audio} out"
                )
            options = SinkOptions(
                settings.when_existing, settings.stored(pipeline.spec.name, pipeline.precision)
            )
            sink = ThreadedSink(open_sink(settings.out, options))
            with self._progress:
                try:
                    code = self._analyze_all(pipeline, sink)
                except (
                    SinkError,
                    BackendError,
                ) as error:  # BackendError: a GPU that was lost serves no other source
                    self._summary.failed.append(str(error))
                    code = FAILURE
            is_reported = True
            is_ended = code in (0, FAILURE) or is_live(
                settings.sources[0]
            )  # Ctrl-C is how a live source ends
            if settings.report is not None and is_ended:
                is_reported = self._write_report(settings.report, pipeline)
        self._report(code)
        return code if is_reported else code or FAILURE

    def _write_report(self, path: Path, pipeline: Pipeline) -> bool:
        """Whether the page could be made; the rows are safe either way."""
        from faceaffect.report.read_rows import ReportError
        from faceaffect.report.write_report import write_report

        summary, runs = self._summary, pipeline.describe()
        facts = [
            (name, runs[name]) for name in ("model", "backend", "precision", "detector")
        ] + summary.lines()
        notes = [*summary.notes, *(f"not analyzed: {failure}" for failure in summary.failed)]
        try:
            write_report(
                [Path(self._settings.out)],
                path,
                thumbnails=self._settings.portraits,
                facts=facts,
                notes=notes,
            )
        except ReportError as error:
            summary.failed.append(
                f"{error} (`faceaffect report {self._settings.out} --out {path}` makes it later)"
            )
            return False
        summary.outputs.append(str(path))
        return True

    def _report(self, code: int) -> None:
        if self._settings.is_quiet:
            for line in self._summary.failed:
                click.echo(f"error: {line}", err=True)
        else:
            print_summary(self._summary, sys.stderr)
        if code and not is_stdout(self._settings.out):
            ended = "not all was analyzed" if code == FAILURE else "stopped"
            click.echo(
                f"{ended}: rows so far are in {self._settings.out}; --resume goes on from there",
                err=True,
            )

    def _analyze_all(self, pipeline: Pipeline, sink: Sink) -> int:
        self._summary.outputs.append(sink.path)
        is_complete = False
        try:
            for number, uri in enumerate(self._settings.sources, 1):
                self._progress.start_source(number, uri)
                try:
                    self._analyze_source(uri, pipeline, sink)
                except SourceError as error:
                    self._summary.failed.append(str(error))
            is_complete = not self._summary.failed
            return 0 if is_complete else FAILURE
        except KeyboardInterrupt:
            return INTERRUPTED
        except Stopped:
            return TERMINATED
        finally:
            sink.close(is_complete=is_complete)

    def _analyze_source(self, uri: str, pipeline: Pipeline, sink: Sink) -> None:
        point = sink.begin(uri)
        if point.is_finished:
            self._summary.notes.append(f"{uri}: finished by the run before, not analyzed again")
            return
        pipeline.reset()
        pipeline.start_ids_after(max(point.last_track_id, 0))
        options = replace(self._settings.source_options, start_frame=point.next_frame)
        with open_source(uri, options) as source:
            shared = self._shared(source, point, pipeline) if self._settings.jobs > 1 else None
            try:
                if shared is not None:
                    self._write_shared(shared, source, point, sink)
                else:
                    pipeline.look_ahead(source)
                    with source_audio(pipeline, source, self._settings.audio, self._summary.notes):
                        self._analyze_frames(
                            source, point, pipeline, sink, self._stems.get(uri, "")
                        )
            finally:
                self._summary.notes += source.notes if shared is None else shared.notes
                self._summary.dropped += source.dropped
        sink.end(uri)

    def _shared(
        self, source: Source, point: ResumePoint, pipeline: Pipeline
    ) -> ParallelVideo | None:
        """The source shared out to processes, or None, with a note, where that cannot be or does
        not pay.
        """
        from faceaffect.segments.parallel_video import ParallelVideo
        from faceaffect.segments.plan import plan_segments
        from faceaffect.segments.task import StretchSettings
        from faceaffect.sources.video_file import VideoFile

        settings, why, stretches = self._settings, "", []
        if not isinstance(source, VideoFile) or not source.fps or not source.frame_count:
            why = "only a video file that tells how long it is can be shared out"
        elif pipeline.spec.stages:
            why = f"{pipeline.spec.name} remembers what it has seen of a face"
        else:
            stretches = plan_segments(
                point.next_frame, source.frame_count, source.fps, settings.jobs
            )
            why = "it is too short to be shared out" if len(stretches) < 2 else ""
        if why or source.fps is None:
            self._summary.notes.append(f"{source.name}: analyzed by one process, since {why}")
            return None
        told = StretchSettings(
            source.name, settings.model, settings.pipeline, settings.source_options
        )
        ids_after = max(point.last_track_id, 0)
        return ParallelVideo(
            told,
            stretches,
            source.fps,
            settings.jobs,
            ids_after=ids_after,
            report=self._progress.advance_many,
        )

    def _write_shared(
        self, shared: ParallelVideo, source: Source, point: ResumePoint, sink: Sink
    ) -> None:
        self._progress.begin_frames(source.frame_count, point.next_frame)
        for one in shared:
            self._summary.add(one.faces, one.affect, one.seconds)
            sink.write(one.frame(source.name), one.faces, one.affect)

    def _analyze_frames(
        self, source: Source, point: ResumePoint, pipeline: Pipeline, sink: Sink, stem: str
    ) -> None:
        self._progress.begin_frames(source.frame_count, point.next_frame)
        with self._open_overlay(source, pipeline, stem) as overlay:
            for frame in source:
                if not source.is_sequence:
                    pipeline.reset()
                start_s = time.perf_counter()
                faces, affect = pipeline.analyze(frame)
                self._summary.add(faces, affect, time.perf_counter() - start_s)
                sink.write(frame, faces, affect)
                if overlay is not None:
                    overlay.write(frame, faces, affect)
                self._progress.advance(len(faces), source.dropped)

    def _open_overlay(self, source: Source, pipeline: Pipeline, stem: str) -> Any:
        path = self._settings.overlay
        if path is None:
            return nullcontext()
        when, inputs = self._settings.when_existing, self._settings.sources
        overlay = open_overlay(
            path, source, when, pipeline.spec.au_thresholds, stem=stem, inputs=inputs
        )
        self._summary.outputs.append(overlay.path)
        if self._settings.when_existing is OverwritePolicy.RESUME:
            self._summary.notes.append(f"{overlay.path}: holds only the frames of this run")
        return closing(overlay)
