"""One input after another through one pipeline, each into a part of its own: what every worker
does.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import replace

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
from faceaffect.multistage.source_audio import source_audio
from faceaffect.pipeline import open_pipeline
from faceaffect.sinks.open_sink import open_sink
from faceaffect.sinks.sink import Sink, SinkError
from faceaffect.sources.import_opencv import import_opencv
from faceaffect.sources.open_source import open_source
from faceaffect.sources.source import Source, SourceError

_REPORT_EVERY_S = 0.5


class FileAnalyzer:
    """Raises BundleError or BackendError where the pipeline cannot be opened here, BatchError in
    another release.
    """

    def __init__(self, settings: TaskSettings) -> None:
        if settings.version != installed_version():
            raise BatchError(
                f"every machine needs faceaffect {settings.version or '(not installed)'}, {platform.node()} has "
                f"{installed_version() or 'none that is installed'}: install the same release everywhere"
            )
        # OpenCV takes every core for the detector, which is for a process that has the machine to
        # itself.
        import_opencv().setNumThreads(settings.pipeline.get("threads", 1))
        self._settings = settings
        self._store = open_store(settings.out)
        self._pipeline = open_pipeline(settings.model, **settings.pipeline)

    def analyze(
        self, task: Input, report: Callable[[int], None] = lambda frames: None
    ) -> FileResult:
        """Write the part of `task` and say how it went; an input that cannot be read is an outcome,
        not an error.

        `report` gets the number of frames since its last call, twice a second. Raises BatchError
        where no other input would fare better: a full disk, a lost GPU.
        """
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        run = _Run(task, report)
        part = self._settings.part_name(task)
        try:
            with self._store.work_folder() as folder, local_copy(task.uri) as path:
                file = folder / f"part.{self._settings.row_format}"
                with open_sink(file) as sink:
                    self._fill(path, sink, run)
                self._store.publish(file, part)
        except SourceError as error:
            return FileResult(task.uri, task.name, error=str(error))
        except (SinkError, BackendError) as error:
            raise BatchError(str(error)) from None
        except BatchError:
            raise
        except Exception as error:  # one strange file must not end the work on a thousand others
            return FileResult(
                task.uri, task.name, error=f"{task.uri}: {type(error).__name__}: {error}"
            )
        spent = (time.process_time() - cpu_s, time.perf_counter() - wall_s)
        return FileResult(
            task.uri, task.name, "", run.frames, run.faces, run.video_s, *spent, run.notes
        )

    def _fill(self, path: str, sink: Sink, run: _Run) -> None:
        self._pipeline.reset(track_ids=True)
        sink.begin(run.task.uri)
        with (
            open_source(path, self._settings.source_options) as source,
            source_audio(self._pipeline, source, self._settings.audio, run.notes),
        ):
            for frame in source:
                if not source.is_sequence:
                    self._pipeline.reset()
                faces, affect = self._pipeline.analyze(frame)
                sink.write(
                    frame if path == run.task.uri else replace(frame, source=run.task.uri),
                    faces,
                    affect,
                )
                run.add(source, frame.time_s, len(faces))
            run.end(source)
        sink.end(run.task.uri)


class _Run:
    """Counts of one input, told to the outside now and then."""

    def __init__(self, task: Input, report: Callable[[int], None]) -> None:
        self.task, self._report = task, report
        self.frames, self.faces, self.video_s = 0, 0, 0.0
        self.notes: list[str] = []
        self._told, self._told_s = 0, time.monotonic()

    def add(self, source: Source, time_s: float, faces: int) -> None:
        self.frames += 1
        self.faces += faces
        self.video_s = time_s + (1 / source.fps if source.fps else 0.0)
        if time.monotonic() - self._told_s >= _REPORT_EVERY_S:
            self._tell()

    def end(self, source: Source) -> None:
        self.notes += source.notes
        self._tell()

    def _tell(self) -> None:
        self._report(self.frames - self._told)
        self._told, self._told_s = self.frames, time.monotonic()
