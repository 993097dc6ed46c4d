"""Streams that share a network: the rows of separate pipelines, from fewer runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from faceaffect import Frame, open_multi_pipeline, open_pipeline, open_source
from faceaffect.live.batched_streams import StreamBatch
from faceaffect.live.metrics import Metrics
from faceaffect.live.pipeline_pool import PipelinePool
from faceaffect.live.settings import Limits, LiveSettings
from tests.sdk.multicamera.test_multi_pipeline import assert_rows_equal, count_batches

REQUIRES = ("fastapi", "prometheus_client")
DELAYS = (0, 6, 12)
STEPS = 10


@pytest.fixture(scope="module")
def clip(demo: Path) -> list[Frame]:
    with open_source(demo) as source:
        return [frame for frame, _ in zip(source, range(max(DELAYS) + STEPS), strict=False)]


def test_frames_that_wait_together_run_once_and_give_the_rows_of_each(clip: list[Frame]) -> None:
    multi = open_multi_pipeline(len(DELAYS), backend="onnx", precision="fp32")
    batch = StreamBatch(multi)
    sizes = count_batches(multi)
    alone = [open_pipeline(backend="onnx", precision="fp32") for _ in DELAYS]
    with ThreadPoolExecutor(len(DELAYS)) as threads:
        for step in range(STEPS):
            frames = [clip[step + delay] for delay in DELAYS]
            sizes.clear()
            with batch.lock:  # as if another batch were running
                running = [
                    threads.submit(stream.analyze, frame)
                    for stream, frame in zip(batch.streams, frames, strict=True)
                ]
                wait_until(lambda: batch.waiting == len(DELAYS))
            for frame, pipeline, one in zip(frames, alone, running, strict=True):
                assert_rows_equal(one.result(10), pipeline.analyze(frame))
    assert sizes == [len(DELAYS)], "one run for the tracked faces of all streams"


def test_a_stream_alone_waits_for_nobody(clip: list[Frame]) -> None:
    batch = StreamBatch(open_multi_pipeline(2))
    faces, _ = batch.streams[1].analyze(clip[0])
    assert len(faces) == 1
    assert batch.waiting == 0


def test_an_error_ends_no_stream(clip: list[Frame], monkeypatch: pytest.MonkeyPatch) -> None:
    multi = open_multi_pipeline(2)
    batch = StreamBatch(multi)
    with monkeypatch.context() as broken:
        broken.setattr(multi, "analyze", lose_device)
        with pytest.raises(RuntimeError, match="device lost"):
            batch.streams[0].analyze(clip[0])
    assert len(batch.streams[0].analyze(clip[1])[0]) == 1


def test_a_reset_stream_forgets_its_faces_and_no_other(clip: list[Frame]) -> None:
    batch = StreamBatch(open_multi_pipeline(2))
    for stream in batch.streams:
        stream.analyze(clip[0])
    batch.streams[0].reset()
    assert [stream.analyze(clip[1])[0].track_id.tolist() for stream in batch.streams] == [[2], [1]]


def test_the_pool_lends_streams_of_one_network(clip: list[Frame]) -> None:
    settings = LiveSettings(limits=Limits(streams=2))
    pool = PipelinePool(settings, Metrics(), batches=True)

    async def client() -> list[float]:
        valence = []
        async with pool.lend() as pipeline:
            for frame in clip[:STEPS]:
                received_ns = time.perf_counter_ns()
                done = await pool.run(
                    pool.analyze, "stream", pipeline, lambda f=frame: f, received_ns
                )
                valence += done.affect.valence.tolist()
        return valence

    async def run() -> list[list[float]]:
        return await asyncio.gather(client(), client())

    first, second = asyncio.run(run())
    pool.close()
    assert len(first) == STEPS
    np.testing.assert_allclose(first, second, atol=1e-3)


def lose_device(_frames: object) -> None:
    raise RuntimeError("device lost")


def wait_until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.002)
