"""Runs whose workers, pipes, threads or time run out: they end with words, never in a hang."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.backends import BackendError
from faceaffect.batch import BatchError, FileResult, Input, TaskSettings, open_store
from faceaffect.batch.batch_run import Plan, execute, make_plan
from faceaffect.batch.process_pool import ProcessPool
from faceaffect.cli.file_timeout import limit_time
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.segments.parallel_video import ParallelVideo
from faceaffect.segments.plan import Segment
from faceaffect.segments.task import SegmentSettings
from faceaffect.sources.open_source import open_source
from faceaffect.sources.prefetch import FramePrefetcher
from faceaffect.sources.source import SourceError, SourceOptions
from faceaffect.system import worker_process
from faceaffect.system.worker_process import WorkerProcess
from faceaffect.types import Frame
from tests.sdk.cli.conftest import make_clip

SLEEPER = (
    sys.executable,
    "-c",
    "import sys, time; sys.stdin.readline(); print('{\"ready\": 1}', flush=True); time.sleep(99)",
)


def settings(out: Path, file_timeout_s: float = 0.0) -> TaskSettings:
    return TaskSettings(
        str(out), "csv", None, {}, SourceOptions(), "auto", "0", file_timeout_s=file_timeout_s
    )


class LosingRunner:
    """Ends without the result of its last task."""

    def run(self, tasks: list[Input]) -> Iterator[FileResult]:
        for task in tasks[:-1]:
            yield FileResult(task.uri, task.name)


def test_run_that_loses_an_input_raises_batch_error(tmp_path: Path) -> None:
    plan = Plan(todo=[Input(name, name) for name in ("a", "b", "c")])
    with pytest.raises(BatchError, match=r"results of 3 inputs, 1 have none \(c\)"):
        list(execute(open_store(str(tmp_path)), plan, LosingRunner()))


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), MemoryError("no memory")])
def test_pool_whose_processes_cannot_start_raises_batch_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(worker_process.subprocess, "Popen", fail)
    pool = ProcessPool(settings(tmp_path), 2)
    with pytest.raises(BatchError, match=str(error.args[-1])):
        list(pool.run([Input("a", "a"), Input("b", "b")]))


def test_parallel_video_whose_processes_cannot_start_raises_backend_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(worker_process.subprocess, "Popen", fail)
    segments = [Segment(0, 100, 0), Segment(100, 200, 50), Segment(200, None, 150)]
    video = ParallelVideo(SegmentSettings("clip.mp4", None, {}, SourceOptions()), segments, 25.0, 2)
    with pytest.raises(BackendError, match="Too many open files"):
        list(video)


@pytest.mark.parametrize("kind", [ProcessPool, ParallelVideo])
def test_threads_that_cannot_start_end_the_run_with_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    results: Iterable[object]
    if kind is ProcessPool:
        results = ProcessPool(settings(tmp_path), 1).run([Input("a", "a")])
    else:
        uri = SegmentSettings("clip.mp4", None, {}, SourceOptions())
        results = ParallelVideo(uri, [Segment(0, None, 0)], 25.0, 1)
    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises((BatchError, BackendError), match="use fewer --jobs"):
        list(results)


def test_pool_kills_process_that_exceeds_file_timeout(tmp_path: Path) -> None:
    pool = ProcessPool(settings(tmp_path, 0.2), 1, SLEEPER, kill_grace_s=0.1)
    (result,) = list(pool.run([Input("a.mp4", "a.mp4")]))
    assert isinstance(result, FileResult)
    assert result.error == "a.mp4: took longer than --file-timeout 0.2 seconds"


def test_worker_process_dropped_without_close_is_killed() -> None:
    worker = WorkerProcess(SLEEPER)
    process = worker._process
    del worker
    gc.collect()
    assert process.poll() is not None


def test_limit_time_ends_wait_for_a_decoder_that_hangs() -> None:
    def frames() -> Iterator[int]:
        yield 1
        threading.Event().wait()

    numbers = limit_time(frames(), "clip.mp4", 0.2)
    assert next(numbers) == 1
    with pytest.raises(SourceError, match=r"longer than --file-timeout 0\.2 seconds"):
        next(numbers)


def test_limit_time_ends_slow_consumer_between_frames() -> None:
    numbers = limit_time(range(1000), "clip.mp4", 0.1)
    assert next(numbers) == 0
    time.sleep(0.2)
    with pytest.raises(SourceError, match="--file-timeout"):
        next(numbers)
    assert list(limit_time(range(3), "clip.mp4", 9)) == [0, 1, 2]


def test_replaced_input_of_a_batch_is_told(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "parts"))
    source = tmp_path / "a.mp4"
    source.write_bytes(b"first")
    one = Input(str(source), "a.mp4")

    class Runner:
        def run(self, tasks: list[Input]) -> Iterator[FileResult]:
            for task in tasks:
                store.write(f"{task.name}.csv", "rows")
                yield FileResult(task.uri, task.name)

    list(execute(store, Plan(todo=[one]), Runner()))
    assert make_plan(store, settings(tmp_path), [one], False).finished == [one]
    source.write_bytes(b"other")
    (failed,) = make_plan(store, settings(tmp_path), [one], False).failed_before
    assert "was replaced since a.mp4.csv was written" in failed.error
    assert make_plan(store, settings(tmp_path), [one], True).todo == [one]


def frames() -> Iterator[Frame]:
    for index in range(1000):
        yield Frame(np.zeros((4, 4, 3), np.uint8), time_s=0.0, index=index, source="clip.mp4")


def test_frames_of_a_source_that_only_its_iterator_holds_are_complete(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    for _ in range(5):
        iterator = iter(open_source(tmp_path / "a.png"))
        time.sleep(0.05)  # by then the decoding thread has ended
        assert len(list(iterator)) == 1


def test_prefetcher_dropped_without_close_ends_its_thread() -> None:
    threads = threading.active_count()
    prefetchers = [FramePrefetcher(frames(), 2) for _ in range(20)]  # type: ignore[arg-type]
    for one in prefetchers:
        next(iter(one))
    del one
    with pytest.warns(ResourceWarning, match="unclosed source"):
        prefetchers.clear()
    end_s = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < end_s:
        time.sleep(0.01)
    assert threading.active_count() == threads


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.usefixtures("trained")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_pipelines_and_videos_dropped_without_close_leave_nothing(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 60)

    def drop_one() -> None:
        pipeline, source = open_pipeline(precision="fp32"), open_source(clip)
        pipeline.analyze(next(iter(source)))

    drop_one()
    before = _settled()
    for _ in range(10):
        drop_one()
    assert _settled() <= before


def _settled() -> tuple[int, int]:
    """Descriptors and threads once dropped objects have ended theirs."""
    gc.collect()
    counts = []
    for _ in range(20):
        time.sleep(0.05)
        counts.append((len(os.listdir("/proc/self/fd")), threading.active_count()))
    return min(counts)


def test_pipeline_used_by_two_threads_says_so_at_once(pipeline: Pipeline) -> None:
    entered, leave = threading.Event(), threading.Event()

    class SlowFrame:
        """A frame that is analyzed until the test lets it go."""

        def __getattr__(self, _name: str) -> object:
            entered.set()
            leave.wait(10)
            raise KeyError

    def analyze() -> None:
        with pytest.raises(KeyError):
            pipeline.analyze(SlowFrame())  # type: ignore[arg-type]

    thread = threading.Thread(target=analyze)
    thread.start()
    assert entered.wait(10)
    try:
        with pytest.raises(RuntimeError, match="open a pipeline per thread"):
            pipeline.analyze(next(frames()))
    finally:
        leave.set()
        thread.join()
    pipeline.reset()
    faces, _ = pipeline.analyze(next(frames()))
    assert len(faces) == 0
