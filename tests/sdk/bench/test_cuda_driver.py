"""Tests with fake bindings of the driver: no GPU is needed, and none is tested."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from faceaffect.bench.configuration import BenchError
from faceaffect.bench.cuda_driver import CudaDriver, EventClock
from faceaffect.system.stage_timer import StageTimer


class FakeBindings:
    """Driver of a GPU whose clock advances by 0.25 ms per event; records its calls."""

    def __init__(self, failing: str = "") -> None:
        self.calls: list[str] = []
        self.recorded: dict[int, float] = {}
        self.streams: list[Any] = []
        self.free_mb = 900
        self._failing, self._events, self._now_ms = failing, 0, 0.0

    def __getattr__(self, name: str) -> Callable[..., tuple[Any, ...]]:
        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(name)
            if name == self._failing:
                return (2, None)
            return (0, *getattr(type(self), f"on_{name}", lambda *_: ())(self, *arguments))

        return call

    def on_cuDeviceGet(self, index: int) -> tuple[int]:  # noqa: N802
        return (index,)

    def on_cuDevicePrimaryCtxRetain(self, device: int) -> tuple[str]:  # noqa: N802
        return (f"context of {device}",)

    def on_cuEventCreate(self, flags: int) -> tuple[int]:  # noqa: N802
        self._events += 1
        return (self._events,)

    def on_cuEventRecord(self, event: int, stream: int) -> tuple[()]:  # noqa: N802
        self._now_ms += 0.25
        self.recorded[event] = self._now_ms
        self.streams.append(stream)
        return ()

    def on_cuEventElapsedTime(self, before: int, after: int) -> tuple[float]:  # noqa: N802
        return (self.recorded[after] - self.recorded[before],)

    def on_cuMemGetInfo(self) -> tuple[int, int]:  # noqa: N802
        return self.free_mb * 10**6, 1000 * 10**6

    def on_cuDeviceGetName(self, size: int, device: Any) -> tuple[bytes]:  # noqa: N802
        return (b"Fake GPU".ljust(size, b"\0"),)

    def on_cuDriverGetVersion(self) -> tuple[int]:  # noqa: N802
        return (12040,)


def test_event_timer_measures_stages_and_reuses_events() -> None:
    bindings = FakeBindings()
    clock = StageTimer(EventClock(CudaDriver("cuda:0", bindings), stream=77))
    for _ in range(3):
        clock.begin()
        clock.enter("crop")
        clock.enter("network")
        clock.end()
        assert clock.elapsed_ns["event"]["track"] == clock.elapsed_ns["event"]["crop"] == 250_000
        assert clock.elapsed_ns["event"]["network"] == 250_000
    assert bindings.calls.count("cuEventCreate") == 4, "events are reused"
    assert bindings.calls.count("cuEventSynchronize") == 3, (
        "one synchronization per frame, at its end"
    )
    assert set(bindings.streams) == {77}


def test_cuda_driver_describe_returns_name_memory_and_version() -> None:
    bindings = FakeBindings()
    driver = CudaDriver("cuda:1", bindings)
    assert driver.describe() == "Fake GPU, 1000 MB, driver for CUDA 12.4"
    assert driver.free_bytes() == 900 * 10**6


@pytest.mark.parametrize(
    "failing", ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent"]
)
def test_cuda_driver_call_failure_names_function(failing: str) -> None:
    with pytest.raises(BenchError, match=rf"failed in {failing} with error 2; see `nvidia-smi`"):
        CudaDriver("cuda:0", FakeBindings(failing))


def test_cuda_driver_uses_functions_and_handles_of_the_bindings() -> None:
    """The names exist in NVIDIA's package, which checks types even without a driver."""
    bindings = pytest.importorskip("cuda.bindings.driver")
    for name in FakeBindings.__dict__:
        if name.startswith("on_"):
            assert callable(getattr(bindings, name.removeprefix("on_")))
    event = bindings.CUevent(0)
    with pytest.raises(TypeError):
        bindings.cuEventRecord(event, "no stream")


def test_cuda_driver_without_a_driver_suggests_cpu() -> None:
    def cannot_load(*_: Any) -> None:
        raise RuntimeError("libcuda.so.1: cannot open shared object file")

    bindings = FakeBindings()
    bindings.cuInit = cannot_load  # type: ignore[method-assign,assignment]
    with pytest.raises(BenchError, match=r"cannot be loaded \(libcuda.*use --device cpu"):
        CudaDriver("cuda:0", bindings)


def test_cuda_driver_without_bindings_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(BenchError, match=r"run pip install .*\[cuda\]"):
        CudaDriver("cuda:0")
