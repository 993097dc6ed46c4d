"""Runs `analyze` with a single output: every source through one pipeline."""

from __future__ import annotations

import sys
import time
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceaffect.audio.audio_source import AUTO, NONE
from faceaffect.batch.row_facts import check_columns
from faceaffect.cli.analyze_options import AnalyzeSettings
from faceaffect.cli.file_timeout import limit_time
from faceaffect.cli.progress import SourceProgress
from faceaffect.cli.run_summary import RunSummary, no_face_hint, print_summary
from faceaffect.cli.side_car_writer import SideCarWriter
from faceaffect.cli.signals import (
    FAILURE,
    INTERRUPTED,
    PARTIAL,
    TERMINATED,
    Terminated,
    raise_if_stopped,
    stop_signals_raise,
)
from faceaffect.multistage.source_audio import source_audio
from faceaffect.sinks.open_overlay import check_overlay, open_overlay, overlay_stems
from faceaffect.sinks.open_sink import check_outputs, is_stdout, open_sinks
from faceaffect.sinks.parquet_sink import journal_path
from faceaffect.sinks.sink import (
    InputReplacedError,
    OverwritePolicy,
    ResumePoint,
    Sink,
    SinkError,
    SinkOptions,
)
from faceaffect.sources.camera_source import CameraSource
from faceaffect.sources.open_source import is_live, open_source
from faceaffect.sources.source import Source, SourceError
from faceaffect.system.path_text import printable_message

if TYPE_CHECKING:
    from faceaffect.pipeline import Pipeline
    from faceaffect.segments.parallel_video import ParallelVideo
    from faceaffect.segments.resume import ResumedTracks


class AnalyzeRun:
    """One run over one or several sources."""

    def __init__(self, settings: AnalyzeSettings) -> None:
        self._settings = settings
        # Overlay names are only needed to tell several sources apart; a live source is alone.
        self._stems = overlay_stems(settings.sources) if len(settings.sources) > 1 else {}
        self._summary = RunSummary(notes=list(settings.notes))
        self._progress = SourceProgress(len(settings.sources), settings.is_quiet)

    def run(self) -> int:
        """Analyze all sources.

        Returns:
            The exit code: 0, 1 after an error or if no source could be analyzed, 3 if some could
            and others not, 130 after Ctrl-C, 143 after SIGTERM.
        """
        self._check_outputs()
        from faceaffect.backends import BackendError
        from faceaffect.pipeline import open_pipeline

        settings = self._settings
        with (
            stop_signals_raise(),
            closing(open_pipeline(settings.model, **settings.pipeline)) as pipeline,
        ):
            if settings.audio not in (AUTO, NONE) and not pipeline.uses_audio:
                raise click.UsageError(
                    f"model {pipeline.spec.name} does not use audio: remove --audio"
                    f" {settings.audio}"
                )
            check_columns(settings.columns, pipeline.spec)
            config = settings.run_config(pipeline.spec.name, pipeline.precision)
            self._side_car = SideCarWriter(settings, pipeline, config)
            sink_options = SinkOptions(
                settings.when_existing,
                config,
                columns=settings.columns,
                every_frame=settings.every_frame,
            )
            sink, streams = open_sinks(settings.outs, sink_options)
            with self._progress, closing(self._side_car):
                try:
                    code = self._analyze_all(pipeline, sink)
                except (SinkError, BackendError) as error:  # such as a lost GPU: ends the run
                    raise_if_stopped()
                    self._summary.failed.append(str(error))
                    code = FAILURE
            for stream in streams:
                self._summary.notes += stream.notes
            if without_faces := self._summary.without_faces:
                size_px, rotate = (settings.pipeline[k] for k in ("min_face_size_px", "rotate"))
                self._summary.notes.append(no_face_hint(without_faces, size_px, rotate))
            is_reported = True
            is_complete = code in (0, FAILURE, PARTIAL) or is_live(
                settings.sources[0]
            )  # Ctrl-C ends those
            if settings.report is not None and is_complete and settings.row_files[0].exists():
                is_reported = self._write_report(settings.report, pipeline)
        self._print_summary(code)
        return code if is_reported else code or FAILURE

    def _check_outputs(self) -> None:
        settings = self._settings
        check_outputs(settings.outs, settings.when_existing)
        if settings.overlay is not None:
            check_overlay(settings.overlay, len(settings.sources), settings.when_existing)
        if settings.report is not None:
            from faceaffect.report.write_report import check_report

            may_replace = settings.when_existing is not OverwritePolicy.REFUSE
            check_report(settings.report, may_replace=may_replace)

    def _write_report(self, path: Path, pipeline: Pipeline) -> bool:
        """Write the report; return False if that failed. The rows are safe either way."""
        from faceaffect.report.read_rows import ReportError
        from faceaffect.report.write_report import write_report

        summary = self._summary
        description = pipeline.describe()
        names = ("model", "backend", "precision", "detector")
        facts = [*((name, description[name]) for name in names), *summary.lines()]
        notes = [*summary.notes, *(f"not analyzed: {failure}" for failure in summary.failed)]
        out = self._settings.row_files[0]
        try:
            write_report(
                [out],
                path,
                thumbnails=self._settings.has_thumbnails,
                facts=facts,
                notes=notes,
            )
        except ReportError as error:
            summary.failed.append(
                f"{error} (run `faceaffect report {out} --out {path}` to write it later)"
            )
            return False
        summary.outputs.append(str(path))
        return True

    def _print_summary(self, code: int) -> None:
        if self._settings.is_quiet:
            for line in self._summary.failed:
                click.echo(printable_message(f"error: {line}"), err=True)
        else:
            print_summary(self._summary, sys.stderr)
        if code and (files := self._settings.row_files):
            state = "incomplete" if code in (FAILURE, PARTIAL) else "stopped"
            rows = "there are no rows"
            if any(out.exists() or journal_path(out).exists() for out in files):
                names = " and ".join(map(str, files))
                rows = f"rows so far are in {names}; continue with --resume"
            click.echo(printable_message(f"{state}: {rows}"), err=True)

    def _analyze_all(self, pipeline: Pipeline, sink: Sink) -> int:
        outs = self._settings.outs
        self._summary.outputs += ["-" if is_stdout(out) else out for out in outs]
        is_complete = False
        analyzed = 0
        try:
            for number, uri in enumerate(self._settings.sources, 1):
                self._progress.start_source(number, uri)
                try:
                    self._analyze_source(uri, pipeline, sink)
                    analyzed += 1
                except (SourceError, InputReplacedError) as error:
                    raise_if_stopped()
                    self._summary.failed.append(str(error))
            is_complete = not self._summary.failed
            if is_complete:
                return 0
            return PARTIAL if analyzed else FAILURE
        except KeyboardInterrupt:
            return INTERRUPTED
        except Terminated:
            return TERMINATED
        finally:
            sink.close(is_complete=is_complete)

    def _analyze_source(self, uri: str, pipeline: Pipeline, sink: Sink) -> None:
        point = sink.begin(uri)
        if point.is_finished:
            self._summary.notes.append(f"{uri}: skipped, analyzed by the previous run")
            return
        # Ids continue after those in the rows, whether or not this run has written them.
        pipeline.reset(track_ids=True)
        pipeline.set_next_track_id(max(point.last_track_id, 0) + 1)
        first_frame = self._first_frame(uri, point, pipeline)
        options = replace(self._settings.source_options, start_frame=first_frame)
        with open_source(uri, options) as source:
            video = None
            if self._settings.jobs > 1:
                video = self._split(source, point, pipeline, sink)
            is_complete = False
            frames_before, faces_before = self._summary.frames, self._summary.faces
            try:
                if video is not None:
                    self._write_results(video, source, point, sink)
                else:
                    pipeline.prefetch_detections(source)
                    with source_audio(pipeline, source, self._settings.audio, self._summary.notes):
                        tracks = self._resume_tracks(source, point, first_frame, sink)
                        stem = self._stems.get(uri, "")
                        self._analyze_frames(source, point, pipeline, sink, tracks, stem)
                if isinstance(source, CameraSource) and source.is_lost:
                    raise SourceError(f"{source.notes.pop()}; check camera and network")
                is_complete = True
            finally:
                self._side_car.add(
                    source,
                    uri,
                    self._summary.frames - frames_before,
                    is_complete=is_complete,
                    resumed=point.next_frame > 0,
                )
                self._summary.notes += source.notes if video is None else video.notes
                self._summary.dropped += source.dropped
            frames = self._summary.frames - frames_before
            if frames and not point.next_frame and self._summary.faces == faces_before:
                self._summary.without_faces.append(uri)
        sink.end(uri)

    def _first_frame(self, uri: str, point: ResumePoint, pipeline: Pipeline) -> int:
        """Return the first frame to analyze: of a resumed video the first one of the warm-up."""
        settings = self._settings
        if not point.next_frame or is_live(uri):
            return point.next_frame
        from faceaffect.segments.resume import warmup_start

        needs_history = bool(
            getattr(pipeline.spec, "stages", ()) or settings.pipeline["neutral_baseline"]
        )
        with open_source(uri, settings.source_options) as source:
            if not source.is_sequence:
                return point.next_frame
            if "int8" in pipeline.precision:
                self._summary.notes.append(
                    f"{uri}: resumed at frame {point.next_frame}; in int8 the rows after it differ"
                    " slightly from those of an unbroken run (docs/reliability.md)"
                )
            return warmup_start(point.next_frame, source.fps, needs_history=needs_history)

    def _resume_tracks(
        self, source: Source, point: ResumePoint, first_frame: int, sink: Sink
    ) -> ResumedTracks | None:
        if first_frame >= point.next_frame:
            return None
        from faceaffect.segments.resume import ResumedTracks

        written = sink.written_faces(source.name, first_frame)
        return ResumedTracks(written, point.next_frame, max(point.last_track_id, 0) + 1)

    def _split(
        self, source: Source, point: ResumePoint, pipeline: Pipeline, sink: Sink
    ) -> ParallelVideo | None:
        """Split the source across processes; None, with a note, if it cannot or need not be."""
        from faceaffect.segments.parallel_video import ParallelVideo
        from faceaffect.segments.plan import plan_segments
        from faceaffect.segments.resume import written_results
        from faceaffect.segments.task import SegmentSettings
        from faceaffect.sources.video_file import VideoFile

        settings = self._settings
        segments = []
        reason = ""
        if not isinstance(source, VideoFile) or not source.fps or not source.frame_count:
            reason = "only video files of known length can be split"
        elif pipeline.spec.stages:
            reason = f"{pipeline.spec.name} keeps state from frame to frame"
        else:
            segments = plan_segments(
                point.next_frame, source.frame_count, source.fps, settings.jobs
            )
            reason = "it is too short to be split" if len(segments) < 2 else ""
        if reason or source.fps is None:
            self._summary.notes.append(f"{source.name}: analyzed by one process, because {reason}")
            return None
        return ParallelVideo(
            SegmentSettings(
                source.name, settings.model, settings.pipeline, settings.source_options
            ),
            segments,
            source.fps,
            settings.jobs,
            next_track_id=max(point.last_track_id, 0) + 1,
            previous=written_results(
                sink.written_faces(source.name, segments[0].warmup_start)
                if segments[0].warmup_frames
                else []
            ),
            on_progress=self._progress.advance_many,
        )

    def _write_results(
        self, video: ParallelVideo, source: Source, point: ResumePoint, sink: Sink
    ) -> None:
        self._progress.start_frames(source.frame_count, point.next_frame)
        for one in limit_time(video, source.name, self._settings.file_timeout_s):
            self._summary.add(one.faces, one.affect, one.seconds)
            sink.write(one.frame_info(source.name), one.faces, one.affect)

    def _analyze_frames(
        self,
        source: Source,
        point: ResumePoint,
        pipeline: Pipeline,
        sink: Sink,
        tracks: ResumedTracks | None,
        stem: str,
    ) -> None:
        self._progress.start_frames(source.frame_count, point.next_frame)
        with self._open_overlay(source, pipeline, stem) as overlay:
            for frame in limit_time(source, source.name, self._settings.file_timeout_s):
                if not source.is_sequence:
                    pipeline.reset()
                start_s = time.perf_counter()
                faces, affect = pipeline.analyze(frame)
                if tracks is not None:
                    if tracks.is_warmup(frame.index, frame.time_s, faces):
                        continue
                    faces = tracks.renumber(faces)
                self._summary.add(faces, affect, time.perf_counter() - start_s)
                sink.write(frame, faces, affect)
                if overlay is not None:
                    overlay.write(frame, faces, affect)
                self._progress.advance(len(faces), source.dropped)

    def _open_overlay(self, source: Source, pipeline: Pipeline, stem: str) -> Any:
        settings = self._settings
        if settings.overlay is None:
            return nullcontext()
        overlay = open_overlay(
            settings.overlay,
            source,
            settings.when_existing,
            pipeline.spec.au_thresholds,
            style=settings.overlay_style,
            blur_faces=settings.has_blurred_faces,
            stem=stem,
            inputs=settings.sources,
        )
        self._summary.outputs.append(overlay.path)
        if settings.when_existing is OverwritePolicy.RESUME:
            self._summary.notes.append(f"{overlay.path}: contains only the frames of this run")
        return closing(overlay)
