"""Tasks shared out to the machines of a Ray cluster.

Ray gives a task whose machine or process was lost to another; parts appear whole and under one
name, so such a task leaves one part, however often it was begun. Every machine needs the same
faceaffect, and sees the inputs and the output folder under the same names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from faceaffect.batch.file_task import BatchError, Event, FileResult, Input, TaskSettings

if TYPE_CHECKING:
    from faceaffect.batch.file_analyzer import FileAnalyzer

_RETRIES: Final = 3  # of a task whose process or machine was lost
_QUEUED_PER_CPU: Final = 4
_LEAST_QUEUED: Final = 64  # enough to let a cluster that grows see that there is work
LOCAL: Final = "local"


class RayCluster:
    """`address` is `local` (a cluster of `jobs` processes here, for this run), `auto`, host:port or
    ray://host:port.
    """

    def __init__(self, settings: TaskSettings, address: str, jobs: int) -> None:
        self._settings, self._address, self._jobs = settings, address, jobs

    def run(self, tasks: Sequence[Input]) -> Iterator[Event]:
        """Outcomes as they come, one per task. Raises BatchError where a worker says that all must
        stop.
        """
        ray = self._connect()
        try:
            yield from self._run(ray, tasks)
        finally:
            ray.shutdown()

    def _connect(self) -> Any:
        ray = require_ray()
        # Ray reports its use to its makers unless told not to; this package opens no connection
        # that nobody asked for.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        here = (
            {"num_cpus": self._jobs, "include_dashboard": False} if self._address == LOCAL else {}
        )
        try:
            ray.init(address=self._address, configure_logging=False, log_to_driver=False, **here)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            raise BatchError(
                f"--ray must be local, auto, host:port or ray://host:port of a cluster that runs, {self._address} does not "
                f"answer ({error})"
            ) from None
        return ray

    def _run(self, ray: Any, tasks: Sequence[Input]) -> Iterator[Event]:
        device = str(self._settings.pipeline["device"])
        needs_gpu = device.startswith("cuda") or self._settings.pipeline["backend"] == "tensorrt"
        options = {
            "num_cpus": self._settings.pipeline["threads"],
            "num_gpus": int(needs_gpu),
            "max_retries": _RETRIES,
        }
        remote = ray.remote(**options)(analyze_one)
        settings, waiting, running = (
            self._settings.as_json(),
            list(reversed(tasks)),
            dict[Any, Input](),
        )
        while waiting or running:
            most = max(_LEAST_QUEUED, int(_QUEUED_PER_CPU * ray.cluster_resources().get("CPU", 1)))
            while waiting and len(running) < most:
                task = waiting.pop()
                running[remote.remote(settings, asdict(task))] = task
            ready, _ = ray.wait(list(running), num_returns=1)
            for reference in ready:
                yield self._outcome(ray, reference, running.pop(reference))

    def _outcome(self, ray: Any, reference: Any, task: Input) -> FileResult:
        try:
            kind, value = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise BatchError(
                f"the cluster cannot run this ({error.cause!r}): install the same faceaffect on every machine of it"
            ) from None
        except ray.exceptions.RayError as error:
            said = (
                str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            )
            return FileResult(
                task.uri,
                task.name,
                error=f"{task.uri}: lost {_RETRIES + 1} times by the cluster: {said}",
            )
        if kind == "stop":
            raise BatchError(str(value))
        return FileResult(**value)


def require_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise BatchError(
            f'--ray needs ray, which cannot be used ({error}): pip install "faceaffect[ray]"'
        ) from None
    return ray


def analyze_one(settings: dict[str, Any], task: dict[str, Any]) -> tuple[str, Any]:
    """What runs on a machine of the cluster: `outcome` with its fields, or `stop` with the reason."""
    from faceaffect.batch.worker import describe

    try:
        analyzer = _analyzer(_Key(settings))
    except Exception as error:  # whatever it is, no other task would fare better
        return "stop", describe(error)
    try:
        return "outcome", asdict(analyzer.analyze(Input(**task)))
    except BatchError as error:
        return "stop", str(error)


class _Key:
    """Settings that can be looked up by: a process keeps its pipeline from task to task."""

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
