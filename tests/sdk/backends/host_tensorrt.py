"""Simulated TensorRT engine and contexts over the simulated GPU, with ONNX Runtime inside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from faceaffect.bundle.model_spec import HEADS
from tests.sdk.backends.fake_tensorrt import Logger
from tests.sdk.backends.host_gpu import CudaError, HostGpu, OnnxNetwork


class HostNative(HostGpu):
    """Replaces `_native` for opening a backend; `devices` are the selected GPUs in order."""

    has_cuda = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.devices: list[int] = []
        self.wait_modes: list[tuple[int, str]] = []
        self.stream_fails = ""

    def require_device(self) -> None: ...

    def DeviceGuard(self, index: int) -> Any:  # noqa: N802
        """Record the selected GPU."""
        self.devices.append(index)
        return nullcontext()

    def set_wait_mode(self, index: int, mode: str) -> None:
        self.wait_modes.append((index, mode))

    def device_facts(self, index: int) -> dict[str, Any]:
        return {"name": "Host", "compute_capability": (8, 7), "multiprocessors": 8}

    def Stream(self) -> Any:  # noqa: N802
        if self.stream_fails:
            raise CudaError(self.stream_fails)
        return super().Stream()


class HostEngine:
    """An engine of the builder's network and profile; `failure` names a failing call."""

    def __init__(self, gpu: HostGpu, made: Any, failure: Callable[[], str]) -> None:
        self.gpu, self.failure, self._made = gpu, failure, made
        (_, (min_batch, _, _)), (_, (_, _, max_batch)) = made.profiles[0], made.profiles[-1]
        self.num_optimization_profiles = len(made.profiles)
        self.device_memory_size_v2 = 1000
        self.size_px, self.min_batch, self.max_batch = min_batch[2], min_batch[0], max_batch[0]
        self.network = OnnxNetwork(gpu, made.onnx, self.size_px)
        self._names = ["crops", *HEADS]
        self.num_io_tensors = len(self._names)

    def get_tensor_name(self, index: int) -> str:
        return self._names[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (
            (-1, 3, self.size_px, self.size_px)
            if name == "crops"
            else (-1, *self.network.output_shapes[name])
        )

    def get_tensor_dtype(self, name: str) -> str:
        return "float16" if self.failure() == f"dtype {name}" else "float32"

    def create_runtime_config(self) -> Any:
        config = SimpleNamespace(dynamic_shapes_kernel_specialization_strategy="lazy")
        config.set_execution_context_allocation_strategy = lambda strategy: setattr(
            config, "allocation", strategy
        )
        return config

    def create_execution_context(self, settings: Any = None) -> Any:
        self.settings = settings
        return None if self.fails_at("context") else HostContext(self)

    def fails_at(self, call: str) -> bool:
        """Log the error message after the call's name, as in "execute: out of memory"."""
        name, _, message = self.failure().partition(": ")
        if name == call and message:
            self._made.logger.log(Logger.Severity.ERROR, message)
        return name == call


class HostContext:
    def __init__(self, engine: HostEngine) -> None:
        self._engine, self._faces = engine, 0
        self._addresses: dict[str, int] = {}

    def set_device_memory(self, address: int, nbytes: int) -> None:
        assert address
        assert nbytes >= self._engine.device_memory_size_v2

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        return index < self._engine.num_optimization_profiles

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._faces = shape[0]
        return self._engine.min_batch <= shape[0] <= self._engine.max_batch

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self._faces, *self._engine.get_tensor_shape(name)[1:])

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return self._engine.failure() != "address"

    def execute_async_v3(self, stream: int) -> bool:
        if self._engine.fails_at("execute"):
            return False
        self._engine.network.bind(self._faces, self._addresses)
        self._engine.network.enqueue(self._faces, stream)
        return True


def failure_box() -> SimpleNamespace:
    """A box whose `now` is the failing call, with an optional error message after it."""
    return SimpleNamespace(now="")
