"""Analyzes one input after another with one pipeline, each into its own output file."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Final

from faceaffect.backends import BackendError
from faceaffect.batch.file_task import (
    BatchError,
    FileResult,
    Input,
    TaskSettings,
    installed_version,
)
from faceaffect.batch.output_store import open_store
from faceaffect.batch.remote_files import local_copy
from faceaffect.batch.row_facts import (
    check_columns,
    describe_rows,
    model_hash,
    row_config,
    run_config,
)
from faceaffect.multistage.source_audio import source_audio
from faceaffect.pipeline import open_pipeline
from faceaffect.sinks.columns import source_cell
from faceaffect.sinks.open_sink import open_sink
from faceaffect.sinks.side_car import SideCar, SourceFacts, facts_of, side_car_path
from faceaffect.sinks.sink import Sink, SinkError, SinkOptions
from faceaffect.sources.open_source import open_source
from faceaffect.sources.source import Source, SourceError
from faceaffect.system.import_opencv import import_opencv

_REPORT_INTERVAL_S: Final = 0.5


class FileAnalyzer:
    """A pipeline and an output folder.

    Raises BundleError or BackendError if the pipeline cannot be opened, BatchError if the release
    of faceaffect is not the expected one.
    """

    def __init__(self, settings: TaskSettings) -> None:
        if settings.version != installed_version():
            raise BatchError(
                f"expected faceaffect {settings.version or '(not installed)'} on every machine,"
                f" {platform.node()} has {installed_version() or 'none installed'}; install the"
                " same release everywhere"
            )
        # By default OpenCV uses every core for the detector, but other workers share the machine.
        import_opencv().setNumThreads(settings.pipeline.get("threads", 1))
        self._settings = settings
        self._store = open_store(settings.out)
        self._pipeline = open_pipeline(settings.model, **settings.pipeline)
        check_columns(settings.columns, self._pipeline.spec)
        self._side_car = self._describe_rows()

    def _describe_rows(self) -> SideCar:
        settings, pipeline = self._settings, self._pipeline
        config = run_config(
            pipeline.spec.name,
            pipeline.precision,
            settings.pipeline,
            settings.source_options,
            settings.audio,
        )
        return describe_rows(
            pipeline.describe(),
            pipeline.spec.au_thresholds,
            model_hash(settings.model),
            config | row_config(settings.columns, settings.every_frame),
            settings.columns,
        )

    def analyze(
        self, task: Input, on_progress: Callable[[int], None] = lambda frames: None
    ) -> FileResult:
        """Write the output file of an input.

        Args:
            task: The input.
            on_progress: Called twice a second with the number of frames since its last call.

        Returns:
            The result, with an error if the input cannot be read.

        Raises:
            BatchError: If no other input would fare better, as with a full disk or a lost GPU.
        """
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        counts = _Counts(on_progress)
        try:
            with self._store.work_folder() as folder, local_copy(task.uri) as path:
                file = folder / f"output.{self._settings.row_format}"
                options = SinkOptions(
                    is_resumable=False,
                    columns=self._settings.columns,
                    every_frame=self._settings.every_frame,
                )
                side_car = copy(self._side_car)
                with open_sink(file, options) as sink:
                    side_car.sources = [self._write_rows(task, path, sink, counts)]
                side_car.save(file)
                self._store.publish(side_car_path(file), self._settings.side_car_name(task))
                self._store.publish(file, self._settings.output_name(task))
        except SourceError as error:
            return FileResult(task.uri, task.name, error=str(error))
        except (SinkError, BackendError) as error:
            raise BatchError(str(error)) from None
        except BatchError:
            raise
        except Exception as error:  # one odd file must not end the work on a thousand others
            return FileResult(
                task.uri, task.name, error=f"{task.uri}: {type(error).__name__}: {error}"
            )
        return FileResult(
            task.uri,
            task.name,
            frames=counts.frames,
            faces=counts.faces,
            video_s=counts.video_s,
            cpu_s=time.process_time() - cpu_s,
            wall_s=time.perf_counter() - wall_s,
            notes=counts.notes,
        )

    def _write_rows(self, task: Input, path: str, sink: Sink, counts: _Counts) -> SourceFacts:
        deadline_s = time.monotonic() + (self._settings.file_timeout_s or math.inf)
        self._pipeline.reset(track_ids=True)
        sink.begin(task.uri)
        with (
            open_source(path, self._settings.source_options) as source,
            source_audio(self._pipeline, source, self._settings.audio, counts.notes),
        ):
            for frame in source:
                if not source.is_sequence:
                    self._pipeline.reset()
                faces, affect = self._pipeline.analyze(frame)
                if path != task.uri:  # a local copy
                    frame = replace(frame, source=task.uri)
                sink.write(frame, faces, affect)
                counts.add(source, frame.time_s, len(faces))
                if time.monotonic() > deadline_s:
                    raise SourceError(
                        f"{task.uri}: took longer than --file-timeout"
                        f" {self._settings.file_timeout_s:g} seconds"
                    )
            counts.end(source)
            facts = facts_of(source, task.uri, counts.frames, is_complete=True)
        sink.end(task.uri)
        return replace(facts, source=source_cell(task.uri)) if path != task.uri else facts


class _Counts:
    """Frames and faces of one input, reported in intervals."""

    def __init__(self, on_progress: Callable[[int], None]) -> None:
        self._on_progress = on_progress
        self.frames = 0
        self.faces = 0
        self.video_s = 0.0
        self.notes: list[str] = []
        self._reported = 0
        self._reported_at_s = time.monotonic()

    def add(self, source: Source, time_s: float, faces: int) -> None:
        self.frames += 1
        self.faces += faces
        self.video_s = time_s + (1 / source.fps if source.fps else 0.0)
        if time.monotonic() - self._reported_at_s >= _REPORT_INTERVAL_S:
            self._report()

    def end(self, source: Source) -> None:
        self.notes += source.notes
        self._report()

    def _report(self) -> None:
        self._on_progress(self.frames - self._reported)
        self._reported = self.frames
        self._reported_at_s = time.monotonic()
