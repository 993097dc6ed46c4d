"""Distributes inputs to the machines of a Ray cluster.

Ray retries a task whose machine or process was lost. Output files appear whole and under a fixed
name, so such a task leaves one file, however often it was started. Every machine needs the same
release of faceaffect and the same paths for the inputs and the output folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from faceaffect.batch.file_task import BatchError, Event, FileResult, Input, TaskSettings
from faceaffect.system.install_command import install_command
from faceaffect.system.worker_process import describe_error

if TYPE_CHECKING:
    from faceaffect.batch.file_analyzer import FileAnalyzer

_MAX_RETRIES: Final = 3  # of a task whose process or machine was lost
_QUEUED_PER_CPU: Final = 4
_MIN_QUEUED: Final = 64  # lets an autoscaling cluster see that there is work
LOCAL: Final = "local"


class RayCluster:
    """A Ray cluster.

    Its address is `local` (`jobs` processes here, for this run), `auto`, host:port or
    ray://host:port.
    """

    def __init__(self, settings: TaskSettings, address: str, jobs: int) -> None:
        self._settings = settings
        self._address = address
        self._jobs = jobs

    def run(self, tasks: Sequence[Input]) -> Iterator[Event]:
        """Yield results as they come, one per task.

        Raises:
            BatchError: If the cluster cannot be used, or a worker reports that no input can be
                analyzed.
        """
        ray = self._connect()
        try:
            yield from self._run(ray, tasks)
        finally:
            ray.shutdown()

    def _connect(self) -> Any:
        ray = require_ray()
        # Ray reports usage statistics by default; this package opens no connection unasked.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        is_local = self._address == LOCAL
        options = {"num_cpus": self._jobs, "include_dashboard": False} if is_local else {}
        try:
            ray.init(address=self._address, configure_logging=False, log_to_driver=False, **options)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            raise BatchError(
                "--ray must be local, auto, host:port or ray://host:port of a running cluster,"
                f" {self._address} does not answer ({error})"
            ) from None
        return ray

    def _run(self, ray: Any, tasks: Sequence[Input]) -> Iterator[Event]:
        pipeline = self._settings.pipeline
        needs_gpu = str(pipeline["device"]).startswith("cuda") or pipeline["backend"] == "tensorrt"
        analyze = ray.remote(
            num_cpus=pipeline["threads"], num_gpus=int(needs_gpu), max_retries=_MAX_RETRIES
        )(analyze_one)
        settings = self._settings.as_json()
        waiting = list(reversed(tasks))
        running: dict[Any, Input] = {}
        while waiting or running:
            cpus = ray.cluster_resources().get("CPU", 1)
            max_queued = max(_MIN_QUEUED, int(_QUEUED_PER_CPU * cpus))
            while waiting and len(running) < max_queued:
                task = waiting.pop()
                running[analyze.remote(settings, asdict(task))] = task
            ready, _ = ray.wait(list(running), num_returns=1)
            for reference in ready:
                yield self._result(ray, reference, running.pop(reference))

    def _result(self, ray: Any, reference: Any, task: Input) -> FileResult:
        try:
            kind, value = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise BatchError(
                f"the cluster cannot run this ({error.cause!r}); install the same release of"
                " faceaffect on every machine"
            ) from None
        except ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            message = f"{task.uri}: lost {_MAX_RETRIES + 1} times by the cluster: {lines[0]}"
            return FileResult(task.uri, task.name, error=message)
        if kind == "stop":
            raise BatchError(str(value))
        return FileResult(**value)


def require_ray() -> Any:
    """Import ray; raises BatchError if it cannot be used."""
    try:
        import ray
    except ImportError as error:
        raise BatchError(
            f"--ray needs ray, which cannot be used ({error}): {install_command('ray')}"
        ) from None
    return ray


def analyze_one(settings: dict[str, Any], task: dict[str, Any]) -> tuple[str, Any]:
    """Analyze one input on a machine of the cluster.

    Returns:
        `result` and the fields of FileResult, or `stop` and the reason.
    """
    try:
        analyzer = _analyzer(_Key(settings))
    except Exception as error:  # whatever it is, no other task would fare better
        return "stop", describe_error(error)
    try:
        return "result", asdict(analyzer.analyze(Input(**task)))
    except BatchError as error:
        return "stop", str(error)


class _Key:
    """Hashable settings, so that a process keeps its pipeline from task to task."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = TaskSettings.from_json(settings)
        self._text = repr(self.settings)

    def __hash__(self) -> int:
        return hash(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other._text == self._text


@lru_cache(maxsize=1)
def _analyzer(key: _Key) -> FileAnalyzer:
    from faceaffect.batch.file_analyzer import FileAnalyzer

    return FileAnalyzer(key.settings)
