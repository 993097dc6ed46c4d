"""Simulated TensorRT with ONNX Runtime inside, over the stand-in CUDA runtime.

The run of an engine is a step of a stream: it reads and writes device memory and can be captured
and replayed. What the real one refuses is refused: shapes outside the profile, addresses that are
not multiples of 256, runs without the memory that a USER_MANAGED context needs, DLA engines in a
runtime without a DLA core.
"""

from __future__ import annotations

import atexit
import enum
import json
import threading
from typing import Any

import numpy as np
import onnxruntime

from tests.native.cuda_standin import standin

__version__ = "10.3.0"
ALIGNMENT = 256
SCRATCH_BYTES_PER_FACE = 4096


class Faults:
    """Number of coming calls that fail."""

    refused_engines = 0
    failed_runs = 0


runs: list[int] = []
"""Batch size of each run."""


class _EngineRuns:
    """Ends the runs before Python does: ONNX Runtime ends the process if Python exits within one.

    TensorRT's own runs need no Python.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._active = 0
        self._is_exiting = False
        atexit.register(self._end)

    def run(self, engine: Engine, values: np.ndarray) -> list[Any]:
        """The engine's outputs; none once Python exits."""
        with self._changed:
            if self._is_exiting:
                return []
            self._active += 1
        try:
            return list(engine.session.run(None, {engine.input: values}))
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self._is_exiting = True
            self._changed.wait_for(lambda: self._active == 0, timeout=10)


_engine_runs = _EngineRuns()
_calls: list[Any] = []  # kept: streams and graphs call them after everything else is gone


class ILogger:
    class Severity(enum.IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class IProgressMonitor:
    pass


class NetworkDefinitionCreationFlag(enum.IntEnum):
    EXPLICIT_BATCH, STRONGLY_TYPED = range(2)


class BuilderFlag(enum.IntEnum):
    FP16, INT8, _, GPU_FALLBACK = range(4)


class DeviceType(enum.IntEnum):
    GPU, DLA = range(2)


class DataType(enum.IntEnum):
    FLOAT, HALF = range(2)


class MemoryPoolType(enum.IntEnum):
    WORKSPACE = 0


class ExecutionContextAllocationStrategy(enum.IntEnum):
    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = range(3)


class Profile:
    def __init__(self) -> None:
        self.shapes: tuple[Any, ...] = ()

    def set_shape(self, name: str, smallest: Any, best: Any, largest: Any) -> None:
        self.shapes = (smallest, largest)


class TimingCache:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def serialize(self) -> bytes:
        return self.data


class Config:
    progress_monitor: Any = None
    default_device_type = DeviceType.GPU
    DLA_core = -1
    builder_optimization_level = 3

    def __init__(self) -> None:
        self.profiles: list[Profile] = []
        self._cache: TimingCache | None = None

    def set_memory_pool_limit(self, pool: Any, nbytes: int) -> None: ...

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def set_flag(self, flag: Any) -> None: ...

    def can_run_on_DLA(self, layer: Any) -> bool:  # noqa: N802
        return True

    def create_timing_cache(self, data: bytes) -> TimingCache:
        return TimingCache(data)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        self._cache = cache
        return True

    def get_timing_cache(self) -> TimingCache | None:
        return self._cache


class Network(dict[str, bytes]):
    num_layers = 41

    def get_layer(self, index: int) -> int:
        return index


class Builder:
    num_DLA_cores = 2  # noqa: N815

    def __init__(self, logger: Any) -> None: ...

    def create_network(self, flags: int) -> Network:
        return Network()

    def create_builder_config(self) -> Config:
        return Config()

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> bytes:
        """A line of JSON, a zero, the ONNX file."""
        if monitor := config.progress_monitor:
            monitor.phase_start("tactics", None, 2)
            monitor.step_complete("tactics", 0)
            monitor.phase_finish("tactics")
        if config._cache is not None:
            config._cache.data += b"tactic"
        header = {
            "profiles": [profile.shapes for profile in config.profiles],
            "dla_core": config.DLA_core,
        }
        return json.dumps(header).encode() + b"\0" + network["onnx"]


class OnnxParser:
    num_errors = 0

    def __init__(self, network: Network, logger: Any) -> None:
        self._network = network

    def parse(self, onnx: bytes) -> bool:
        self._network["onnx"] = onnx
        return True


class Runtime:
    DLA_core = -1

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
        header, _, onnx = bytes(plan).partition(b"\0")
        facts = json.loads(header)
        problem = ""
        if Faults.refused_engines > 0:
            Faults.refused_engines -= 1
            problem = "built by another version"
        elif facts["dla_core"] != self.DLA_core:
            problem = f"built for DLA core {facts['dla_core']}, this runtime has {self.DLA_core}"
        if problem:
            self._logger.log(ILogger.Severity.ERROR, problem)
            return None
        return Engine(facts["profiles"], onnx, self._logger)


class Engine:
    def __init__(self, profiles: list[Any], onnx: bytes, logger: Any) -> None:
        self.profiles, self.logger = profiles, logger
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.session = onnxruntime.InferenceSession(
            onnx, options, providers=["CPUExecutionProvider"]
        )
        (crops,) = self.session.get_inputs()
        self.input = crops.name
        self.input_type = np.float16 if crops.type == "tensor(float16)" else np.float32
        self.crop_shape = tuple(profiles[0][0][1:])
        made = self.session.run(
            None, {self.input: np.zeros((1, *self.crop_shape), self.input_type)}
        )
        self.outputs = {
            output.name: (value.shape[1:], value.dtype)
            for output, value in zip(self.session.get_outputs(), made, strict=True)
        }
        self._names = [self.input, *self.outputs]
        self.num_io_tensors = len(self._names)
        self.num_optimization_profiles = len(profiles)
        self.device_memory_size_v2 = SCRATCH_BYTES_PER_FACE * max(
            largest[0] for _, largest in profiles
        )

    def output_shape(self, name: str, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of an output for an input of another size than `crop_shape`."""
        zeros = np.zeros(input_shape, self.input_type)
        (value,) = self.session.run([name], {self.input: zeros})
        return tuple(value.shape)

    def shape_of_one(self, name: str) -> tuple[int, ...]:
        return self.crop_shape if name == self.input else tuple(self.outputs[name][0])

    def get_tensor_name(self, index: int) -> str:
        return self._names[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self.shape_of_one(name))

    def get_tensor_dtype(self, name: str) -> DataType:
        dtype = self.input_type if name == self.input else self.outputs[name][1]
        return DataType.HALF if dtype == np.float16 else DataType.FLOAT

    def create_execution_context(
        self,
        strategy: ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy.STATIC,
    ) -> Context:
        return Context(self, strategy)


class Context:
    def __init__(self, engine: Engine, strategy: ExecutionContextAllocationStrategy) -> None:
        self._engine = engine
        self._needs_memory = strategy == ExecutionContextAllocationStrategy.USER_MANAGED
        self._memory = (0, 0)
        self._profile = 0
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self._profile = index
        return 0 <= index < len(self._engine.profiles)

    def set_device_memory(self, address: int, nbytes: int) -> None:
        self._memory = (address, nbytes)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        smallest, largest = self._engine.profiles[self._profile]
        limits = zip(smallest, shape, largest, strict=True)
        if not all(low <= side <= high for low, side, high in limits):
            return False
        self._shape = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name == self._engine.input:
            return self._shape
        if self._shape[1:] == self._engine.crop_shape:
            return (self._shape[0], *self._engine.shape_of_one(name))
        return self._engine.output_shape(name, self._shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        if address % ALIGNMENT:
            return False
        self._addresses[name] = address
        return True

    def _problem(self) -> str:
        address, nbytes = self._memory
        if Faults.failed_runs > 0:
            Faults.failed_runs -= 1
            return "[executionContext.cpp] Cuda failure"
        if self._needs_memory and (
            not address or address % ALIGNMENT or nbytes < self._engine.device_memory_size_v2
        ):
            return f"needs {self._engine.device_memory_size_v2} bytes of device memory"
        return ""

    def execute_async_v3(self, stream: int) -> bool:
        problem = self._problem()
        if problem:
            self._engine.logger.log(ILogger.Severity.ERROR, problem)
            return False
        engine, addresses, shape, memory = (
            self._engine,
            dict(self._addresses),
            self._shape,
            self._memory,
        )

        def run(_: int) -> None:
            crops = standin.memory(addresses[engine.input], shape, engine.input_type)
            if crops is None or (memory[0] and standin.memory(*memory[:1], (1,), "u1") is None):
                return
            runs.append(shape[0])
            values = _engine_runs.run(engine, crops)
            for name, value in zip(engine.outputs, values, strict=False):
                out = standin.memory(addresses[name], value.shape, value.dtype)
                if out is not None:
                    out[...] = value

        call = standin.HOST_CALL(run)
        _calls.append(call)
        return bool(standin.library.standin_enqueue(stream, call, 0, b"engine") == 0)
