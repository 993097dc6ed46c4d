"""Loads an engine from the cache, or builds it."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceaffect.backends.backend import BackendError
from faceaffect.backends.build_engine import (
    OUT_OF_MEMORY_HINT,
    EngineSettings,
    build_engine,
    is_out_of_memory,
)
from faceaffect.backends.build_progress import BuildProgress
from faceaffect.backends.dla_placement import check_dla
from faceaffect.backends.engine_cache import EngineCache, EngineKey
from faceaffect.backends.tensorrt_compat import (
    TensorRTModule,
    create_or_raise,
    last_errors,
    make_error_logger,
)

if TYPE_CHECKING:
    import tensorrt as trt  # type: ignore[import-not-found,import-untyped,unused-ignore]

log = logging.getLogger("faceaffect")


class EngineLoadError(BackendError):
    """TensorRT cannot load a cached engine."""


class LoadedEngine:
    """An engine with what must outlive it."""

    def __init__(self, library: TensorRTModule, plan: bytes, settings: EngineSettings) -> None:
        """Load a serialized engine on the current GPU.

        Raises:
            EngineLoadError: TensorRT refuses it.
            BackendError: TensorRT does not start or is out of memory.
        """
        self.library = library
        self.settings = settings
        self.plan_bytes = len(plan)
        self.logger = make_error_logger(library.module)  # must outlive the runtime
        self._runtime = create_or_raise(
            library.module.Runtime, self.logger, logger=self.logger, what=str(library)
        )
        if settings.dla_core is not None:
            # the core of the build is not stored in the plan
            self._runtime.DLA_core = settings.dla_core
        engine: trt.ICudaEngine | None = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            errors = last_errors(self.logger)
            if is_out_of_memory(errors):
                raise BackendError(
                    f"{library} cannot load the engine: {errors}; {OUT_OF_MEMORY_HINT}, "
                    "or use --backend onnx"
                )
            raise EngineLoadError(errors)
        self.engine = engine
        if settings.dla_core is not None:
            check_dla(library.module, engine)


def engine_key(
    library: TensorRTModule, onnx: bytes, settings: EngineSettings, facts: dict[str, Any]
) -> EngineKey:
    """Cache key of an engine; `facts` describe the GPU (`native.device_facts`)."""
    return EngineKey(
        onnx_sha256=hashlib.sha256(onnx).hexdigest(),
        library=str(library),
        device=str(facts["name"]),
        compute_capability=".".join(map(str, facts["compute_capability"])),
        multiprocessors=int(facts["multiprocessors"]),
        precision=settings.precision,
        max_faces=settings.max_faces,
        size_px=settings.size_px,
        dla_core=settings.dla_core,
        optimization_level=settings.optimization_level,
        profile_per_batch_size=settings.profile_per_batch_size,
    )


def load_or_build(
    library: TensorRTModule,
    name: str,
    onnx: bytes,
    settings: EngineSettings,
    key: EngineKey,
    cache: EngineCache,
) -> LoadedEngine:
    """Load the cached engine of `key` on the current GPU, which is built if there is none.

    Args:
        library: TensorRT.
        name: Of the network, for messages.
        onnx: The network.
        settings: Of the build.
        key: Cache key.
        cache: Engine cache.

    Raises:
        BackendError: The engine cannot be built or loaded.
    """

    def build() -> bytes:
        title = f"building the {settings.precision} engine of {name} with {library}"
        with BuildProgress(title) as progress:
            return build_engine(library, onnx, settings, progress, cache.timing_file(key))

    plan = cache.find_or_build(key, build, on_wait=_log_wait)
    try:
        return LoadedEngine(library, plan, settings)
    except EngineLoadError as error:
        log.warning(
            "faceaffect: %s cannot load the cached engine (%s); building it again", library, error
        )
    try:
        plan = cache.replace(key, plan, build, on_wait=_log_wait)
        return LoadedEngine(library, plan, settings)
    except EngineLoadError as error:
        raise BackendError(
            f"{library} cannot load the engine that it built on {key.device}: {error}"
        ) from None


def _log_wait(_: Path) -> None:
    log.warning("faceaffect: another process builds this engine; waiting for it")
