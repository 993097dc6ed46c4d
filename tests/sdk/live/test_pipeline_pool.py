"""Pipelines are lent within limits, and every client has its turn."""

from __future__ import annotations

import asyncio
import time

import pytest

from faceaffect.live.metrics import Metrics
from faceaffect.live.pipeline_pool import BusyError, PipelinePool
from faceaffect.live.settings import Limits, LiveSettings

REQUIRES = ("fastapi", "prometheus_client")
FRAME_S = 0.004


def test_pipelines_are_lent_within_the_limit_and_used_again(trained: None) -> None:
    pool = PipelinePool(LiveSettings(limits=Limits(streams=2)), Metrics())

    async def run() -> None:
        async with pool.lend() as first:
            async with pool.lend() as second:
                assert first is not second
                with pytest.raises(BusyError, match="all 2 streams"):
                    await pool.lend().__aenter__()
                assert pool.lent == 2
            async with pool.lend() as third:
                assert third is second
        assert pool.lent == 0

    asyncio.run(run())
    pool.close()


def test_a_client_that_sends_more_gets_no_more_than_its_turn(trained: None) -> None:
    """On one thread, eight requests of one client and a stream of another alternate."""
    pool = PipelinePool(LiveSettings(workers=1), Metrics())
    order: list[str] = []

    def work(name: str) -> None:
        time.sleep(FRAME_S)
        order.append(name)

    async def client(name: str, frames: int) -> None:
        for _ in range(frames):
            await pool.run(work, name)

    async def run() -> None:
        await asyncio.gather(client("a", 20), client("b", 20))

    asyncio.run(run())
    pool.close()
    first_half = order[:20]
    assert 8 <= first_half.count("a") <= 12
    assert pool.waiting == 0
