"""Finds TensorRT and hides the differences between 10.3 to 11.x and TensorRT for RTX."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from faceaffect.backends.backend import BackendError

if TYPE_CHECKING:
    import tensorrt as trt  # type: ignore[import-not-found,import-untyped,unused-ignore]

log = logging.getLogger("faceaffect")

_FLAVORS: Final[dict[str, str]] = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}
_MIN_VERSION: Final[tuple[int, int]] = (10, 3)
_MAX_MAJOR: Final[int] = 11
MAX_SHOWN_ERRORS: Final[int] = 4
_INSTALL_HINT: Final[str] = (
    "on a Jetson install JetPack's python3-libnvinfer; else `pip install tensorrt`; "
    "or use --backend onnx"
)


@dataclass(frozen=True, slots=True)
class TensorRTModule:
    """The Python module of one flavor of TensorRT."""

    module: Any
    flavor: str
    version: str

    def __str__(self) -> str:
        return f"{self.flavor} {self.version}"

    @property
    def is_rtx(self) -> bool:
        """Whether this is TensorRT for RTX."""
        return self.flavor == _FLAVORS["tensorrt_rtx"]


def find_tensorrt(
    importer: Callable[[str], Any] = importlib.import_module,
) -> tuple[TensorRTModule | None, str]:
    """Import TensorRT, else TensorRT for RTX; None and the reason if neither can be used."""
    reasons = []
    for name, flavor in _FLAVORS.items():
        try:
            module = importer(name)
        except Exception as error:  # the module may lack its library, or fail with another NumPy
            text = str(error) if isinstance(error, ImportError | OSError) else repr(error)
            reasons.append(f"{name}: {text}")
            continue
        library = TensorRTModule(module, flavor, str(module.__version__))
        problem = _version_problem(library)
        if not problem:
            return library, ""
        reasons.append(problem)
    return None, f"no TensorRT that can be used ({'; '.join(reasons)}); {_INSTALL_HINT}"


def _version_problem(library: TensorRTModule) -> str:
    if library.is_rtx:
        return ""
    try:
        major, minor = (int(part) for part in library.version.split(".")[:2])
    except ValueError:
        return f"{library}: unknown version format"
    if (major, minor) < _MIN_VERSION or major > _MAX_MAJOR:
        return f"expected TensorRT 10.3 to {_MAX_MAJOR}.x, got {library}"
    return ""


def create_or_raise(factory: Callable[..., Any], *args: Any, logger: Any, what: str) -> Any:
    """Create a TensorRT object, or raise BackendError with TensorRT's errors.

    If CUDA does not start, some versions return None and others raise a TypeError in their
    bindings that does not name the cause.
    """
    try:
        created = factory(*args)
    except (TypeError, RuntimeError) as error:
        errors = last_errors(logger, str(error))
    else:
        if created is not None:
            return created
        errors = last_errors(logger)
    raise BackendError(
        f"{what} does not start: {errors}; "
        "check the driver with `nvidia-smi` and `faceaffect doctor`"
    )


def last_errors(logger: Any, default: str = "no reason was logged") -> str:
    """The last errors of a logger made by `make_error_logger`."""
    return "; ".join(logger.messages[-MAX_SHOWN_ERRORS:]) or default


def network_flags(module: Any, precision_flags: list[Any]) -> int:
    """Flags for a strongly typed network, whose precisions come from the ONNX file.

    From TensorRT 11 on there is no other kind, and no flag. A network built with
    `dla_precision_flags` is not strongly typed.
    """
    flag = getattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None or precision_flags else 1 << int(flag)


def dla_precision_flags(module: Any, precision: str) -> list[Any]:
    """Builder flags that a DLA needs: before TensorRT 11 it runs no strongly typed network."""
    names = {"fp16": ("FP16",), "int8": ("FP16", "INT8")}[precision]
    return [
        getattr(module.BuilderFlag, name) for name in names if hasattr(module.BuilderFlag, name)
    ]


class BuildWatcher(Protocol):
    """Receives the progress of a build."""

    def step(self, phase: str, done: int, steps: int | None) -> None:
        """Report that `done` of `steps` (None: unknown) of a phase are finished."""
        ...


class BuildMonitor(Protocol):
    """`error` is what a watcher raised, such as KeyboardInterrupt; it ends the build."""

    error: BaseException | None


def watch_build(
    module: Any, config: trt.IBuilderConfig, watcher: BuildWatcher
) -> BuildMonitor | None:
    """Report a build's progress, if this flavor supports it (10.0 and later)."""
    if not hasattr(module, "IProgressMonitor") or not hasattr(config, "progress_monitor"):
        return None
    monitor = _monitor_class(module)(watcher)
    config.progress_monitor = monitor
    result: BuildMonitor = monitor
    return result


def _monitor_class(module: Any) -> Any:
    class Monitor(module.IProgressMonitor):  # type: ignore[misc]
        def __init__(self, watcher: BuildWatcher) -> None:
            module.IProgressMonitor.__init__(self)
            self._watcher = watcher
            self._steps: dict[str, int] = {}
            self._lock = threading.Lock()  # the builder calls from its own threads
            self.error: BaseException | None = None

        def _report(self, phase: str, done: int, steps: int | None) -> None:
            try:
                with self._lock:
                    self._watcher.step(phase, done, steps)
            except BaseException as error:  # an exception out of a callback ends the process
                self.error = self.error or error

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            self._report(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._report(phase_name, step + 1, self._steps.get(phase_name))
            return self.error is None  # False ends the build

        def phase_finish(self, phase_name: str) -> None:
            steps = self._steps.pop(phase_name, 1)
            self._report(phase_name, steps, steps)

    return Monitor


def use_dla(
    module: Any,
    builder: trt.Builder,
    network: trt.INetworkDefinition,
    config: trt.IBuilderConfig,
    core: int,
    precision_flags: list[Any],
) -> str:
    """Run the network on a DLA core, with unsupported layers on the GPU.

    Logs how many layers run on the DLA.

    Returns:
        The reason why that is not possible, or an empty string.
    """
    cores = int(getattr(builder, "num_DLA_cores", 0))
    if not hasattr(module, "DeviceType") or not hasattr(module.DeviceType, "DLA") or cores == 0:
        return (
            "this device, or this version of TensorRT, has no DLA (10.8 to 11.3 had none); "
            "build without --dla-core"
        )
    if not 0 <= core < cores:
        return f"expected a DLA core from 0 to {cores - 1}, got {core}"
    config.default_device_type = module.DeviceType.DLA
    config.DLA_core = core
    for flag in (module.BuilderFlag.GPU_FALLBACK, *precision_flags):
        config.set_flag(flag)
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    num_on_dla = sum(bool(config.can_run_on_DLA(layer)) for layer in layers)
    if num_on_dla == 0:
        return f"none of the network's {len(layers)} layers runs on it; build without --dla-core"
    log.info(
        "faceaffect: %d of %d layers can run on the DLA, the others run on the GPU",
        num_on_dla,
        len(layers),
    )
    verbosity = getattr(module, "ProfilingVerbosity", None)
    if verbosity is not None:
        config.profiling_verbosity = verbosity.DETAILED  # so that the engine names its devices
    return ""


def use_timing_cache(module: Any, config: trt.IBuilderConfig, stored: bytes) -> None:
    """Reuse the kernel timings of earlier builds, if this flavor supports it."""
    if not hasattr(config, "create_timing_cache"):
        return
    for data in (stored, b""):  # timings of another device or version are refused
        cache = config.create_timing_cache(data)
        if cache is not None and config.set_timing_cache(cache, False):
            return


def timings(config: trt.IBuilderConfig) -> bytes:
    """The timing cache after a build; empty if there is none."""
    cache = config.get_timing_cache() if hasattr(config, "get_timing_cache") else None
    if cache is None:
        return b""
    content: Any = cache.serialize()  # IHostMemory, a buffer
    return bytes(content)


def allow_graph_capture(module: Any, config: trt.IBuilderConfig) -> None:
    """Build an engine whose runs can be captured as a CUDA graph.

    TensorRT for RTX would otherwise allocate memory during a run, which cannot be captured.
    """
    flag = getattr(module.BuilderFlag, "REQUIRE_USER_ALLOCATION", None)
    if flag is not None:
        config.set_flag(flag)


def new_context(module: Any, engine: trt.ICudaEngine) -> trt.IExecutionContext | None:
    """Create an execution context that runs in the memory it is given; None if TensorRT cannot.

    Contexts that never run at the same time share that memory. TensorRT for RTX requires it of
    engines that can be captured, see `allow_graph_capture`.

    TensorRT for RTX compiles kernels for a new shape in the background and runs slower ones
    meanwhile. A graph captured then would keep those for good, so they are compiled at the first
    run.
    """
    allocation = module.ExecutionContextAllocationStrategy.USER_MANAGED
    strategies = getattr(module, "DynamicShapesKernelSpecializationStrategy", None)
    if strategies is None:
        return engine.create_execution_context(allocation)
    config: Any = engine.create_runtime_config()  # type: ignore[attr-defined,unused-ignore]  # not in 10.3
    config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
    config.set_execution_context_allocation_strategy(allocation)
    return engine.create_execution_context(config)


def limit_workspace(module: Any, config: trt.IBuilderConfig, nbytes: int) -> None:
    """Limit the scratch memory of building and running the engine."""
    config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, nbytes)


def make_error_logger(module: Any) -> Any:
    """Create a logger that keeps errors in `messages` instead of printing them."""

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.messages: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (module.ILogger.Severity.ERROR, module.ILogger.Severity.INTERNAL_ERROR):
                self.messages.append(" ".join(msg.split()))

    return Logger()
