"""Events and memory over a driver of the test's own: no GPU is needed, and none is proved to work."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest

from faceaffect.bench.configuration import BenchError
from faceaffect.bench.cuda_driver import CudaDriver, EventTimer
from faceaffect.system.stage_timer import StageTimer


class FakeLibrary:
    """A GPU whose clock goes on by 0.25 ms with every event; it remembers what it was asked for."""

    def __init__(self, failing: str = "") -> None:
        self.calls: list[str] = []
        self.recorded: dict[int, float] = {}
        self.streams: list[Any] = []
        self.free_mb = 900
        self._failing, self._events, self._now_ms = failing, 0, 0.0

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name == self._failing:
                return 2
            getattr(type(self), f"on_{name}", lambda *_: None)(self, *arguments)
            return 0

        return call

    def on_cuEventCreate(self, event: Any, flags: int) -> None:  # noqa: N802
        self._events += 1
        event._obj.value = self._events

    def on_cuEventRecord(self, event: ctypes.c_void_p, stream: ctypes.c_void_p) -> None:  # noqa: N802
        self._now_ms += 0.25
        self.recorded[event.value or 0] = self._now_ms
        self.streams.append(stream.value)

    def on_cuEventElapsedTime(  # noqa: N802
        self, found: Any, before: ctypes.c_void_p, after: ctypes.c_void_p
    ) -> None:
        found._obj.value = self.recorded[after.value or 0] - self.recorded[before.value or 0]

    def on_cuMemGetInfo_v2(self, free: Any, total: Any) -> None:  # noqa: N802
        free._obj.value, total._obj.value = self.free_mb * 10**6, 1000 * 10**6

    def on_cuDeviceGetName(self, name: Any, size: int, device: Any) -> None:  # noqa: N802
        name.value = b"Made-up GPU"

    def on_cuDriverGetVersion(self, found: Any) -> None:  # noqa: N802
        found._obj.value = 12040


def test_events_make_a_timer_of_the_stage_clock() -> None:
    library = FakeLibrary()
    clock = StageTimer(EventTimer(CudaDriver("cuda:0", library), stream=77))
    for _ in range(3):
        clock.begin()
        clock.enter("crop")
        clock.enter("network")
        clock.end()
        assert clock.elapsed_ns["event"]["track"] == clock.elapsed_ns["event"]["crop"] == 250_000
        assert clock.elapsed_ns["event"]["network"] == 250_000
    assert library.calls.count("cuEventCreate") == 4, "events are used again"
    assert library.calls.count("cuEventSynchronize") == 3, (
        "a frame is waited for once, when it has ended"
    )
    assert set(library.streams) == {77}


def test_what_the_gpu_is() -> None:
    library = FakeLibrary()
    driver = CudaDriver("cuda:1", library)
    assert driver.describe() == "Made-up GPU, 1000 MB, driver for CUDA 12.4"
    assert driver.free_bytes() == 900 * 10**6


@pytest.mark.parametrize(
    "failing", ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent"]
)
def test_a_driver_that_fails_says_where(failing: str) -> None:
    with pytest.raises(BenchError, match=rf"failed in {failing} with error 2; see `nvidia-smi`"):
        CudaDriver("cuda:0", FakeLibrary(failing))


def test_without_a_driver_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceaffect.bench.cuda_driver._LIBRARY", "libcuda_that_is_not_there.so")
    with pytest.raises(BenchError, match="use --device cpu"):
        CudaDriver("cuda:0")
