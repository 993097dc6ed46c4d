"""An ONNX network becomes a TensorRT engine for the GPU at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from faceaffect.backends import BackendError
from faceaffect.backends.cuda_frame_runner import batch_sizes
from faceaffect.backends.tensorrt_compat import (
    SHOWN_MESSAGES,
    BuildWatcher,
    TensorRTModule,
    allow_capture,
    collecting_logger,
    limit_workspace,
    network_flags,
    said,
    started,
    use_dla,
    watch_build,
)

if TYPE_CHECKING:
    import tensorrt as trt  # type: ignore[import-not-found,import-untyped,unused-ignore]

WORKSPACE_BYTES: Final[int] = 256 * 1024 * 1024
OUT_OF_MEMORY_HINT: Final[str] = "close other programs on the GPU or lower --max-faces"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What decides which engine comes out, beside network and device. `dla` is a core's number,
    None for the GPU.
    """

    precision: str
    max_faces: int
    size_px: int
    dla: int | None = None

    @property
    def slots(self) -> tuple[int, ...]:
        """Numbers of faces that it runs: powers of two up to `max_faces`; a DLA takes one size
        only.
        """
        return batch_sizes(self.max_faces) if self.dla is None else (self.max_faces,)


def build_engine(
    library: TensorRTModule, onnx: bytes, settings: EngineSettings, watcher: BuildWatcher
) -> bytes:
    """The engine's bytes; raises BackendError with TensorRT's own words where the network cannot be
    built.
    """
    module = library.module
    logger = collecting_logger(module)
    builder: trt.Builder = started(module.Builder, logger, logger=logger, what=str(library))
    network: trt.INetworkDefinition = builder.create_network(network_flags(module))
    _parse(library, network, logger, onnx)
    config: trt.IBuilderConfig = builder.create_builder_config()
    limit_workspace(module, config, WORKSPACE_BYTES)
    allow_capture(module, config)
    _add_profile(builder, config, settings)
    if settings.dla is not None:
        problem = use_dla(module, builder, config, settings.dla)
        if problem:
            raise BackendError(f"DLA cannot be used: {problem}")
    monitor = watch_build(module, config, watcher)
    plan: Any = builder.build_serialized_network(network, config)  # IHostMemory or None
    if monitor is not None and monitor.stopped is not None:
        raise monitor.stopped
    if plan is None:
        raise BackendError(_failed_build(library, logger, settings))
    return bytes(plan)


def _parse(
    library: TensorRTModule, network: trt.INetworkDefinition, logger: Any, onnx: bytes
) -> None:
    parser: trt.OnnxParser = started(
        library.module.OnnxParser, network, logger, logger=logger, what=f"the parser of {library}"
    )
    if parser.parse(onnx):
        return
    errors = [str(parser.get_error(i)) for i in range(parser.num_errors)] or logger.messages
    raise BackendError(
        f"{library} cannot read the network: {'; '.join(errors[:SHOWN_MESSAGES])}; "
        "export the model again, or use --backend onnx"
    )


def _add_profile(
    builder: trt.Builder, config: trt.IBuilderConfig, settings: EngineSettings
) -> None:
    """From the fewest faces to the most, tuned for the fewest: one is what most frames hold."""
    fewest, most = (
        (faces, 3, settings.size_px, settings.size_px)
        for faces in (settings.slots[0], settings.slots[-1])
    )
    profile: trt.IOptimizationProfile = builder.create_optimization_profile()
    profile.set_shape("crops", fewest, fewest, most)
    config.add_optimization_profile(profile)


def _failed_build(library: TensorRTModule, logger: Any, settings: EngineSettings) -> str:
    words = said(logger)
    remedy = (
        "use --backend onnx"
        if settings.precision == "fp32"
        else "try --precision fp32, or use --backend onnx"
    )
    if is_out_of_memory(words):
        remedy = f"{OUT_OF_MEMORY_HINT}, or use --backend onnx"
    return f"{library} cannot build the {settings.precision} network: {words}; {remedy}"


def is_out_of_memory(words: str) -> bool:
    """Whether TensorRT's words speak of memory: it has no code for it that all versions share."""
    return any(
        word in words.lower() for word in ("out of memory", "outofmemory", "insufficient memory")
    )
