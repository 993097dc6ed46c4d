"""A fake TensorRT module with the part of its interface that is used."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class Logger:
    class Severity:
        INTERNAL_ERROR, ERROR, WARNING = range(3)

    def __init__(self) -> None: ...


class Monitor:
    def __init__(self) -> None: ...


NO_CUDA = "CUDA initialization failure with error 35"


def fail_to_start(logger: Any) -> None:
    """Fail as the bindings of TensorRT 10 if CUDA does not start."""
    logger.log(Logger.Severity.ERROR, NO_CUDA)
    raise TypeError("pybind11::init(): factory function returned nullptr")


def _builder_class(made: Any, fails: str, dla_cores: int) -> Any:
    class Profile:
        def set_shape(self, name: str, *shapes: tuple[int, ...]) -> None:
            made.profiles.append((name, shapes))

    class Config:
        progress_monitor: Any = None

        def set_memory_pool_limit(self, pool: Any, nbytes: int) -> None:
            made.pool = (pool, nbytes)

        def add_optimization_profile(self, profile: Profile) -> None: ...

        def set_flag(self, flag: Any) -> None:
            made.flags.append(flag)

        def can_run_on_DLA(self, layer: Any) -> bool:  # noqa: N802
            return fails != "no layer on DLA"

    class Builder:
        num_DLA_cores = dla_cores  # noqa: N815

        def __init__(self, logger: Any) -> None:
            self.logger = logger
            if fails == "start":
                fail_to_start(logger)

        def create_network(self, flags: int) -> Any:
            made.network_flags.append(flags)
            return SimpleNamespace(num_layers=2, get_layer=lambda index: index)

        def create_builder_config(self) -> Config:
            made.config = Config()
            return made.config  # type: ignore[no-any-return]

        def create_optimization_profile(self) -> Profile:
            return Profile()

        def build_serialized_network(self, network: Any, config: Config) -> bytes | None:
            made.builds += 1
            if config.progress_monitor is not None:
                config.progress_monitor.phase_start("tactics", None, 2)
                continues = config.progress_monitor.step_complete("tactics", 0)
                config.progress_monitor.phase_finish("tactics")
                if not continues:
                    self.logger.log(Logger.Severity.ERROR, "cancelled")
                    return None
            if fails.startswith("build"):
                self.logger.log(Logger.Severity.ERROR, fails)
                self.logger.log(Logger.Severity.WARNING, "not an error")
                return None
            return b"plan %d" % made.builds

    return Builder


def fake_tensorrt(
    version: str = "10.3.0",
    *,
    fails: str = "",
    refuses_first: int = 0,
    refusal: str = "built by another version",
    dla_cores: int = 0,
    open_engine: Callable[[Any], Any] = lambda made: object(),
) -> Any:
    """Make the module.

    Args:
        version: Its version; 1.x is TensorRT for RTX.
        fails: Error of parsing ("parse...") or building ("build..."); "start" and "runtime" fail
            to start.
        refuses_first: Number of engines that do not load.
        refusal: The error logged for them.
        dla_cores: DLA cores of the device.
        open_engine: Makes an engine from the record of the build.
    """
    made = SimpleNamespace(
        builds=0, loads=0, profiles=[], flags=[], network_flags=[], config=None, phases=[], onnx=b""
    )

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = made.logger = logger
            if fails == "runtime":
                fail_to_start(logger)

        def deserialize_cuda_engine(self, plan: bytes) -> Any:
            made.loads += 1
            if made.loads <= refuses_first:
                self.logger.log(Logger.Severity.ERROR, refusal)
                return None
            return open_engine(made)

    flags = {"STRONGLY_TYPED": 3} if version.startswith("10.") else {}
    return SimpleNamespace(
        **_only_in_rtx()
        if version.startswith("1.")
        else {"BuilderFlag": SimpleNamespace(GPU_FALLBACK="fallback", FP16="fp16", INT8="int8")},
        __version__=version,
        made=made,
        ILogger=Logger,
        Builder=_builder_class(made, fails, dla_cores),
        OnnxParser=_parser_class(made, fails),
        Runtime=Runtime,
        NetworkDefinitionCreationFlag=SimpleNamespace(**flags),
        IProgressMonitor=Monitor,
        DataType=SimpleNamespace(FLOAT="float32", HALF="float16"),
        MemoryPoolType=SimpleNamespace(WORKSPACE="workspace"),
        DeviceType=SimpleNamespace(DLA="dla"),
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="user managed"),
    )


def _parser_class(made: SimpleNamespace, fails: str) -> type:
    class OnnxParser:
        num_errors = 1

        def __init__(self, network: Any, logger: Any) -> None: ...

        def parse(self, onnx: bytes) -> bool:
            made.onnx = onnx
            return not fails.startswith("parse")

        def get_error(self, index: int) -> str:
            return fails

    return OnnxParser


def _only_in_rtx() -> dict[str, Any]:
    return {
        "BuilderFlag": SimpleNamespace(
            GPU_FALLBACK="fallback", REQUIRE_USER_ALLOCATION="user allocation"
        ),
        "DynamicShapesKernelSpecializationStrategy": SimpleNamespace(
            LAZY="lazy", EAGER="eager", NONE="none"
        ),
    }
