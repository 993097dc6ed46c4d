"""What the routes share."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from starlette.requests import HTTPConnection

from faceaffect.live.access import Access
from faceaffect.live.metrics import Metrics
from faceaffect.live.pipeline_pool import PipelinePool
from faceaffect.live.results import ModelResult, model_result
from faceaffect.live.settings import LiveSettings
from faceaffect.live.source_runner import SourceRunner
from faceaffect.live.video_jobs import VideoJobs


class Service:
    """The parts of a running server.

    Raises:
        BundleError: The model is missing or damaged.
        BackendError: The backend cannot run.
    """

    def __init__(self, settings: LiveSettings) -> None:
        """Open the model; nothing runs yet."""
        self.settings = settings
        self.metrics = Metrics()
        self.access = Access(settings)
        self.pool = PipelinePool(settings, self.metrics)
        first = self.pool.first
        assert first is not None
        self._model = model_result(first, None, asdict(settings.limits))
        self.runner = (
            SourceRunner(settings, self.pool, self.metrics) if settings.source is not None else None
        )
        self.jobs = VideoJobs(settings, self.metrics)
        self.is_ready = False
        gauge = self.metrics.gauge
        gauge("queue", "Frames that wait for a thread or are analyzed.", lambda: self.pool.waiting)
        gauge("streams", "Streams of clients.", lambda: self.pool.lent)
        gauge("viewers", "Viewers of the server's source.", lambda: self.viewers)
        gauge("jobs", "Videos that wait or run.", lambda: self.jobs.unfinished)

    @property
    def viewers(self) -> int:
        """Number of viewers of the server's source."""
        return 0 if self.runner is None else self.runner.viewers

    def model(self) -> ModelResult:
        """Describe the model and the source."""
        source = None if self.runner is None else self.runner.state
        return {**self._model, "source": source}

    def close(self) -> None:
        """Stop all threads and delete all uploads."""
        if self.runner is not None:
            self.runner.close()
        self.jobs.close()
        self.pool.close()


def service_of(connection: HTTPConnection) -> Service:
    """Return the service of the app that answers a request or WebSocket."""
    return cast(Service, connection.app.state.service)
