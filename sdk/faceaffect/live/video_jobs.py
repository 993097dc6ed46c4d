"""Uploaded videos: analyzed one after another, their results kept for a time."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from faceaffect.errors import FaceAffectError
from faceaffect.live.metrics import Metrics
from faceaffect.live.results import JobResult
from faceaffect.live.settings import Limits, LiveSettings
from faceaffect.live.upload_folder import UploadFolder
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.sinks.open_overlay import open_overlay
from faceaffect.sinks.open_sink import open_sink
from faceaffect.sinks.sink import OverwritePolicy, SinkOptions
from faceaffect.sources.source import Source, SourceError, SourceOptions
from faceaffect.sources.video_file import VideoFile
from faceaffect.system.thread_priority import lower_thread_priority

Output = Literal["rows", "report", "overlay"]
FILES: Final[dict[Output, str]] = {
    "rows": "rows.csv",
    "report": "report.html",
    "overlay": "overlay.mp4",
}
VIDEO: Final = "upload"
_KIND: Final = "video"
_MAX_FPS: Final = 240


class TooManyJobsError(FaceAffectError, RuntimeError):
    """As many videos wait as are allowed."""


class CanceledError(FaceAffectError, RuntimeError):
    """The job was canceled while it ran."""


@dataclass(slots=True)
class Job:
    """A video and what is asked of it.

    Attributes:
        id: Random; whoever knows it may see the results.
        name: Name in rows and report.
        folder: Holds the upload and the outputs.
        outputs: What to write.
        state: See `JobResult`.
        progress: 0 to 1; None while unknown.
        ended_s: By `time.monotonic`; 0 until then.
    """

    id: str
    name: str
    folder: Path
    outputs: tuple[Output, ...]
    state: Literal["queued", "running", "done", "failed", "canceled"] = "queued"
    progress: float | None = 0.0
    frames: int = 0
    faces: int = 0
    error: str = ""
    ended_s: float = 0.0
    is_canceled: threading.Event = field(default_factory=threading.Event)
    future: Future[None] | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ("done", "failed", "canceled")

    def result(self, keep_s: float) -> JobResult:
        """Describe the job for clients."""
        left_s = keep_s - (time.monotonic() - self.ended_s) if self.is_finished else keep_s
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "progress": self.progress,
            "frames": self.frames,
            "faces": self.faces,
            "outputs": list(self.outputs) if self.state == "done" else [],
            "error": self.error,
            "expires_s": round(max(0.0, left_s), 1),
        }


class VideoJobs:
    """A queue of videos and the thread that analyzes them."""

    def __init__(self, settings: LiveSettings, metrics: Metrics, root: Path | None = None) -> None:
        """Create the folder of uploads below `root`."""
        self._settings = settings
        self._limits = settings.limits
        self._metrics = metrics
        self._folder = UploadFolder(root)
        self._thread = ThreadPoolExecutor(1, "faceaffect-job", initializer=lower_thread_priority)
        self._jobs: dict[str, Job] = {}
        self._receiving = 0

    @property
    def unfinished(self) -> int:
        """Videos that are received, wait or run."""
        return self._receiving + sum(not job.is_finished for job in self._jobs.values())

    def create(self, name: str, outputs: tuple[Output, ...]) -> Job:
        """Return a new job, whose upload goes to `job.folder / VIDEO` before `submit`.

        Raises:
            TooManyJobsError: Too many wait.
        """
        self.delete_expired()
        if self.unfinished >= self._limits.jobs or len(self._jobs) >= self._limits.jobs_kept:
            raise TooManyJobsError(f"{self.unfinished} videos wait; try again later")
        self._receiving += 1
        identifier = secrets.token_urlsafe(18)
        return Job(identifier, name, self._folder.create(identifier), outputs)

    def submit(self, job: Job) -> None:
        """Queue a job whose upload is complete."""
        self._receiving -= 1
        self._jobs[job.id] = job
        job.future = self._thread.submit(self._run, job)

    def abandon(self, job: Job) -> None:
        """Forget a job whose upload failed."""
        self._receiving -= 1
        self._folder.delete(job.id)

    def find(self, identifier: str) -> Job | None:
        """Return a job; None if there is none or it has expired."""
        self.delete_expired()
        return self._jobs.get(identifier)

    def list(self) -> list[Job]:
        """Return all jobs, oldest first."""
        self.delete_expired()
        return [*self._jobs.values()]

    def delete(self, job: Job) -> None:
        """Cancel a job, or delete its results; its files are gone at once or when it stops."""
        job.is_canceled.set()
        is_pending = job.future is not None and job.future.cancel()
        if job.is_finished or is_pending:
            self._folder.delete(job.id)
        if not job.is_finished and is_pending:
            job.state = "canceled"
        self._jobs.pop(job.id, None)

    def delete_expired(self) -> None:
        """Delete the jobs whose time is up."""
        now_s = time.monotonic()
        for job in [*self._jobs.values()]:
            if job.is_finished and now_s - job.ended_s > self._limits.keep_s:
                self.delete(job)

    def close(self) -> None:
        """Cancel all jobs and delete all files."""
        for job in [*self._jobs.values()]:
            job.is_canceled.set()
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._folder.close()

    def _run(self, job: Job) -> None:
        job.state = "running"
        try:
            _analyze(job, self._settings, self._metrics)
            if job.is_canceled.is_set():
                raise CanceledError("canceled")
            job.state, job.progress = "done", 1.0
        except CanceledError:
            job.state = "canceled"
        except FaceAffectError as error:
            job.state = "failed"
            job.error = str(error).replace(str(job.folder / VIDEO), job.name)
            job.error = job.error.replace(str(job.folder), "")
        except Exception as error:  # a job must not end the thread of all jobs
            job.state, job.error = "failed", f"the analysis failed ({type(error).__name__})"
        finally:
            job.ended_s = time.monotonic()
            (job.folder / VIDEO).unlink(missing_ok=True)
            if job.is_canceled.is_set():
                self._folder.delete(job.id)


def _analyze(job: Job, settings: LiveSettings, metrics: Metrics) -> None:
    limits = settings.limits
    options = SourceOptions(max_pixels=limits.image_pixels, prefetch_frames=2)
    # A video by its content, whatever its name: no image, playlist, folder or address.
    with (
        VideoFile(job.folder / VIDEO, options) as source,
        closing(open_pipeline(settings.model, **settings.pipeline)) as pipeline,
    ):
        if source.fps and source.frame_count and source.frame_count / source.fps > limits.video_s:
            raise _too_long(limits)
        _write_outputs(job, source, pipeline, limits, metrics)
    if "report" in job.outputs:
        from faceaffect.report.write_report import write_report

        facts = [(key, pipeline.describe()[key]) for key in ("model", "backend", "precision")]
        write_report([job.folder / FILES["rows"]], job.folder / FILES["report"], facts=facts)


def _write_outputs(
    job: Job, source: Source, pipeline: Pipeline, limits: Limits, metrics: Metrics
) -> None:
    pipeline.prefetch_detections(source)
    with ExitStack() as stack:
        sink = stack.enter_context(
            open_sink(job.folder / FILES["rows"], SinkOptions(is_resumable=False))
        )
        draw: Callable[..., None] = lambda *_: None  # noqa: E731
        if "overlay" in job.outputs:
            overlay = stack.enter_context(
                closing(
                    open_overlay(
                        job.folder / FILES["overlay"],
                        source,
                        OverwritePolicy.REFUSE,
                        tuple(pipeline.spec.au_thresholds),
                    )
                )
            )
            draw = overlay.write
        for frame in source:
            if job.is_canceled.is_set():
                raise CanceledError("canceled")
            if frame.time_s > limits.video_s or job.frames > limits.video_s * _MAX_FPS:
                raise _too_long(limits)
            faces, affect = pipeline.analyze(frame)
            named = replace(frame, source=job.name)
            sink.write(named, faces, affect)
            draw(frame, faces, affect)
            job.frames += 1
            job.faces += len(faces)
            metrics.time_frame(_KIND, len(faces), {})
            if source.frame_count:
                job.progress = min(0.99, job.frames / source.frame_count)
            else:
                job.progress = None


def _too_long(limits: Limits) -> SourceError:
    return SourceError(
        f"expected a video of at most {limits.video_s:g} seconds; send a shorter one"
    )
