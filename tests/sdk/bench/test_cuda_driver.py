"""Tests with a fake driver library: no GPU is needed, and none is tested."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest

from faceaffect.bench.configuration import BenchError
from faceaffect.bench.cuda_driver import CudaDriver, EventClock
from faceaffect.system.stage_timer import StageTimer


class FakeLibrary:
    """Driver of a GPU whose clock advances by 0.25 ms per event; records its calls."""

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
        self, elapsed: Any, before: ctypes.c_void_p, after: ctypes.c_void_p
    ) -> None:
        elapsed._obj.value = self.recorded[after.value or 0] - self.recorded[before.value or 0]

    def on_cuMemGetInfo_v2(self, free: Any, total: Any) -> None:  # noqa: N802
        free._obj.value, total._obj.value = self.free_mb * 10**6, 1000 * 10**6

    def on_cuDeviceGetName(self, name: Any, size: int, device: Any) -> None:  # noqa: N802
        name.value = b"Fake GPU"

    def on_cuDriverGetVersion(self, version: Any) -> None:  # noqa: N802
        version._obj.value = 12040


def test_event_timer_measures_stages_and_reuses_events() -> None:
    library = FakeLibrary()
    clock = StageTimer(EventClock(CudaDriver("cuda:0", library), stream=77))
    for _ in range(3):
        clock.begin()
        clock.enter("crop")
        clock.enter("network")
        clock.end()
        assert clock.elapsed_ns["event"]["track"] == clock.elapsed_ns["event"]["crop"] == 250_000
        assert clock.elapsed_ns["event"]["network"] == 250_000
    assert library.calls.count("cuEventCreate") == 4, "events are reused"
    assert library.calls.count("cuEventSynchronize") == 3, (
        "one synchronization per frame, at its end"
    )
    assert set(library.streams) == {77}


def test_cuda_driver_describe_returns_name_memory_and_version() -> None:
    library = FakeLibrary()
    driver = CudaDriver("cuda:1", library)
    assert driver.describe() == "Fake GPU, 1000 MB, driver for CUDA 12.4"
    assert driver.free_bytes() == 900 * 10**6


@pytest.mark.parametrize(
    "failing", ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent"]
)
def test_cuda_driver_call_failure_names_function(failing: str) -> None:
    with pytest.raises(BenchError, match=rf"failed in {failing} with error 2; see `nvidia-smi`"):
        CudaDriver("cuda:0", FakeLibrary(failing))


def test_cuda_driver_without_library_suggests_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceaffect.bench.cuda_driver._LIBRARY", "libcuda_missing.so")
    with pytest.raises(BenchError, match="use --device cpu"):
        CudaDriver("cuda:0")
