"""Builds a TensorRT engine from an ONNX model for the current GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from faceaffect.backends.backend import BackendError
from faceaffect.backends.cuda_frame_runner import batch_sizes
from faceaffect.backends.tensorrt_compat import (
    MAX_SHOWN_ERRORS,
    BuildWatcher,
    TensorRTModule,
    allow_graph_capture,
    create_or_raise,
    dla_precision_flags,
    last_errors,
    limit_workspace,
    make_error_logger,
    network_flags,
    timings,
    use_dla,
    use_timing_cache,
    watch_build,
)

if TYPE_CHECKING:
    import tensorrt as trt  # type: ignore[import-not-found,import-untyped,unused-ignore]

WORKSPACE_BYTES: Final[int] = 256 * 1024 * 1024
OUT_OF_MEMORY_HINT: Final[str] = "close other programs on the GPU or lower --max-faces"
_OUT_OF_MEMORY_WORDS: Final = ("out of memory", "outofmemory", "insufficient memory")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Build settings of an engine.

    Attributes:
        precision: One of `model_spec.PRECISIONS`.
        max_faces: Largest batch.
        size_px: Side of the crops.
        dla_core: Deep-learning accelerator; None: the GPU.
        optimization_level: See `TensorRTOptions`, as `profile_per_batch_size`.
        input_name: Name of the network's input.
        sides_px: Smallest, usual and largest side of the input if it varies.
    """

    precision: str
    max_faces: int
    size_px: int
    dla_core: int | None = None
    optimization_level: int | None = None
    profile_per_batch_size: bool = False
    input_name: str = "crops"
    sides_px: tuple[int, int, int] | None = None

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Batch sizes that it runs: powers of two up to `max_faces`; a DLA has one size only."""
        return batch_sizes(self.max_faces) if self.dla_core is None else (self.max_faces,)


class TimingStore(Protocol):
    """Keeps kernel timings between builds."""

    def load(self) -> bytes:
        """Return the stored timings, or nothing."""
        ...

    def store(self, timings: bytes) -> None:
        """Replace them."""
        ...


def build_engine(
    library: TensorRTModule,
    onnx: bytes,
    settings: EngineSettings,
    watcher: BuildWatcher,
    timing_store: TimingStore | None = None,
) -> bytes:
    """Build an engine.

    Args:
        library: TensorRT.
        onnx: The ONNX model.
        settings: See `EngineSettings`.
        watcher: Receives the progress; an exception that it raises ends the build.
        timing_store: Timings of earlier builds, which shorten this one.

    Returns:
        The serialized engine.

    Raises:
        BackendError: The build failed; the message includes TensorRT's errors.
    """
    module = library.module
    logger = make_error_logger(module)
    builder: trt.Builder = create_or_raise(module.Builder, logger, logger=logger, what=str(library))
    precision_flags = (
        [] if settings.dla_core is None else dla_precision_flags(module, settings.precision)
    )
    network: trt.INetworkDefinition = builder.create_network(network_flags(module, precision_flags))
    _parse(library, network, logger, onnx)
    config: trt.IBuilderConfig = builder.create_builder_config()
    limit_workspace(module, config, WORKSPACE_BYTES)
    allow_graph_capture(module, config)
    _add_profiles(builder, config, settings)
    if settings.optimization_level is not None:
        config.builder_optimization_level = settings.optimization_level
    if timing_store is not None:
        use_timing_cache(module, config, timing_store.load())
    if settings.dla_core is not None:
        problem = use_dla(module, builder, network, config, settings.dla_core, precision_flags)
        if problem:
            raise BackendError(f"DLA cannot be used: {problem}")
    monitor = watch_build(module, config, watcher)
    plan: Any = builder.build_serialized_network(network, config)  # IHostMemory or None
    if monitor is not None and monitor.error is not None:
        raise monitor.error
    if plan is None:
        raise BackendError(_build_error(library, logger, settings))
    if timing_store is not None:
        timing_store.store(timings(config))
    return bytes(plan)


def _parse(
    library: TensorRTModule, network: trt.INetworkDefinition, logger: Any, onnx: bytes
) -> None:
    parser: trt.OnnxParser = create_or_raise(
        library.module.OnnxParser, network, logger, logger=logger, what=f"the parser of {library}"
    )
    if parser.parse(onnx):
        return
    errors = [str(parser.get_error(i)) for i in range(parser.num_errors)] or logger.messages
    raise BackendError(
        f"{library} cannot read the network: {'; '.join(errors[:MAX_SHOWN_ERRORS])}; "
        "export the model again, or use --backend onnx"
    )


def _add_profiles(
    builder: trt.Builder, config: trt.IBuilderConfig, settings: EngineSettings
) -> None:
    """Add a profile for each batch size, or one for all of them.

    The latter is tuned for the smallest: most frames show one face.
    """
    sizes = settings.batch_sizes
    ranges = [(n, n) for n in sizes] if settings.profile_per_batch_size else [(sizes[0], sizes[-1])]
    sides = settings.sides_px or (settings.size_px,) * 3
    for first, last in ranges:
        shapes = [(n, 3, side, side) for n, side in zip((first, first, last), sides, strict=True)]
        profile: trt.IOptimizationProfile = builder.create_optimization_profile()
        profile.set_shape(settings.input_name, *shapes)
        config.add_optimization_profile(profile)


def _build_error(library: TensorRTModule, logger: Any, settings: EngineSettings) -> str:
    errors = last_errors(logger)
    if is_out_of_memory(errors):
        hint = f"{OUT_OF_MEMORY_HINT}, or use --backend onnx"
    elif settings.precision == "fp32":
        hint = "use --backend onnx"
    else:
        hint = "try --precision fp32, or use --backend onnx"
    return f"{library} cannot build the {settings.precision} network: {errors}; {hint}"


def is_out_of_memory(errors: str) -> bool:
    """Whether TensorRT's errors are about memory; it has no error code for it in all versions."""
    return any(words in errors.lower() for words in _OUT_OF_MEMORY_WORDS)
