"""Which TensorRT is here, and everything in which 10.3 to 11.x and TensorRT for RTX differ. The
rest uses what all have.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from faceaffect.backends import BackendError

if TYPE_CHECKING:
    import tensorrt as trt  # type: ignore[import-not-found,import-untyped,unused-ignore]

_FLAVOURS: Final[dict[str, str]] = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}
_OLDEST: Final[tuple[int, int]] = (10, 3)
_NEWEST_MAJOR: Final[int] = 11
SHOWN_MESSAGES: Final[int] = 4
ADVICE: Final[str] = (
    "on a Jetson install JetPack's python3-libnvinfer; else `pip install tensorrt`; or use --backend onnx"
)


@dataclass(frozen=True, slots=True)
class TensorRTModule:
    """The Python module of one flavour of TensorRT."""

    module: Any
    flavour: str
    version: str

    def __str__(self) -> str:
        return f"{self.flavour} {self.version}"

    @property
    def is_rtx(self) -> bool:
        return self.flavour == _FLAVOURS["tensorrt_rtx"]


def find_tensorrt(
    importer: Callable[[str], Any] = importlib.import_module,
) -> tuple[TensorRTModule | None, str]:
    """The TensorRT that imports, the full one first, or None and the reason."""
    reasons = []
    for name, flavour in _FLAVOURS.items():
        try:
            module = importer(name)
        except (
            Exception
        ) as error:  # the module may be there without its library, or break on another NumPy
            reasons.append(
                f"{name}: {error}"
                if isinstance(error, ImportError | OSError)
                else f"{name}: {error!r}"
            )
            continue
        found = TensorRTModule(module, flavour, str(module.__version__))
        problem = _version_problem(found)
        if not problem:
            return found, ""
        reasons.append(problem)
    return None, f"no TensorRT that can be used ({'; '.join(reasons)}); {ADVICE}"


def _version_problem(found: TensorRTModule) -> str:
    if found.is_rtx:
        return ""
    try:
        major, minor = (int(part) for part in found.version.split(".")[:2])
    except ValueError:
        return f"{found}: a version that is no number"
    if (major, minor) < _OLDEST or major > _NEWEST_MAJOR:
        return f"{found} found, 10.3 to {_NEWEST_MAJOR}.x wanted"
    return ""


def started(make: Callable[..., Any], *given: Any, logger: Any, what: str) -> Any:
    """An object of TensorRT's, or a BackendError with its words.

    Where CUDA does not start, some versions give None and others a TypeError out of their
    bindings, which says nothing.
    """
    try:
        made = make(*given)
    except (TypeError, RuntimeError) as error:
        words = said(logger, str(error))
    else:
        if made is not None:
            return made
        words = said(logger)
    raise BackendError(
        f"{what} does not start: {words}; check the driver with `nvidia-smi` and `faceaffect doctor`"
    )


def said(logger: Any, otherwise: str = "it gave no reason") -> str:
    """The last errors that TensorRT told a `collecting_logger`."""
    return "; ".join(logger.messages[-SHOWN_MESSAGES:]) or otherwise


def network_flags(module: Any) -> int:
    """Strongly typed: the ONNX file says what is computed in which precision. From 11 on there is
    nothing else.
    """
    flag = getattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


class BuildWatcher(Protocol):
    """Told how far a build is: `phase` names what is done, `done` of `steps` (None while it is not
    known).
    """

    def step(self, phase: str, done: int, steps: int | None) -> None: ...


class BuildMonitor(Protocol):
    """`stopped` is what a watcher raised, Ctrl-C among it: the build then ends at its next step."""

    stopped: BaseException | None


def watch_build(
    module: Any, config: trt.IBuilderConfig, watcher: BuildWatcher
) -> BuildMonitor | None:
    """Report a build's progress where the version can (10.0 and later, but not every flavour)."""
    if not hasattr(module, "IProgressMonitor") or not hasattr(config, "progress_monitor"):
        return None
    monitor = _monitor_class(module)(watcher)
    config.progress_monitor = monitor
    found: BuildMonitor = monitor
    return found


def _monitor_class(module: Any) -> Any:
    class Monitor(module.IProgressMonitor):  # type: ignore[misc]
        def __init__(self, watcher: BuildWatcher) -> None:
            module.IProgressMonitor.__init__(self)
            self._watcher = watcher
            self._steps: dict[str, int] = {}
            self._one_at_a_time = threading.Lock()  # the builder calls from threads of its own
            self.stopped: BaseException | None = None

        def _tell(self, phase: str, done: int, steps: int | None) -> None:
            try:
                with self._one_at_a_time:
                    self._watcher.step(phase, done, steps)
            except BaseException as error:  # what gets out of a callback ends the process
                self.stopped = self.stopped or error

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            self._tell(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._tell(phase_name, step + 1, self._steps.get(phase_name))
            return self.stopped is None  # False ends the build

        def phase_finish(self, phase_name: str) -> None:
            steps = self._steps.pop(phase_name, 1)
            self._tell(phase_name, steps, steps)

    return Monitor


def use_dla(module: Any, builder: trt.Builder, config: trt.IBuilderConfig, core: int) -> str:
    """Put the network on a DLA core, what that cannot do on the GPU; an empty text, or why it
    cannot be done.
    """
    cores = int(getattr(builder, "num_DLA_cores", 0))
    if not hasattr(module, "DeviceType") or not hasattr(module.DeviceType, "DLA") or cores == 0:
        return "this device, or this version of TensorRT, has no DLA (10.8 to 11.3 had none); build without --dla-core"
    if not 0 <= core < cores:
        return f"DLA core must be from 0 to {cores - 1}, got {core}"
    config.default_device_type = module.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(module.BuilderFlag.GPU_FALLBACK)
    return ""


def allow_capture(module: Any, config: trt.IBuilderConfig) -> None:
    """TensorRT for RTX allocates while it runs, which no CUDA graph can record, unless the engine
    is built not to.
    """
    flag = getattr(module.BuilderFlag, "REQUIRE_USER_ALLOCATION", None)
    if flag is not None:
        config.set_flag(flag)


def new_context(module: Any, engine: trt.ICudaEngine) -> trt.IExecutionContext | None:
    """An execution context; None where TensorRT can make none.

    TensorRT for RTX compiles kernels for a new shape in the background and runs slower ones
    meanwhile. A graph captured then would keep those for good, so they are compiled at the first
    run.
    """
    strategies = getattr(module, "DynamicShapesKernelSpecializationStrategy", None)
    if strategies is None:
        return engine.create_execution_context()
    settings: Any = engine.create_runtime_config()  # type: ignore[attr-defined,unused-ignore]  # not in 10.3
    settings.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
    return engine.create_execution_context(settings)


def limit_workspace(module: Any, config: trt.IBuilderConfig, nbytes: int) -> None:
    """What tactics may use while the engine is built and run."""
    config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, nbytes)


def collecting_logger(module: Any) -> Any:
    """A logger that keeps errors in `messages` instead of printing them."""

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.messages: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (module.ILogger.Severity.ERROR, module.ILogger.Severity.INTERNAL_ERROR):
                self.messages.append(" ".join(msg.split()))

    return Logger()
