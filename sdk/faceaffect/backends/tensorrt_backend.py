"""TensorRT on an NVIDIA GPU: from frame to head outputs without an intermediate copy to the host.

Threads may share a backend: each gets its own stream, buffers, execution contexts and CUDA graphs
at its first frame.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faceaffect.backends.backend import (
    DEFAULT_MAX_FACES,
    BackendError,
    BackendOptions,
    HeadOutputs,
    TensorRTOptions,
)
from faceaffect.backends.build_engine import (
    OUT_OF_MEMORY_HINT,
    EngineSettings,
    build_engine,
    is_out_of_memory,
)
from faceaffect.backends.build_progress import BuildProgress
from faceaffect.backends.cuda_frame_runner import CudaFrameRunner, batch_sizes
from faceaffect.backends.dla_placement import check_dla
from faceaffect.backends.engine_cache import EngineCache, EngineKey
from faceaffect.backends.engine_network import EngineNetwork
from faceaffect.backends.tensorrt_compat import (
    TensorRTModule,
    create_or_raise,
    find_tensorrt,
    last_errors,
    make_error_logger,
)
from faceaffect.bundle.bundle import Bundle, model_bytes
from faceaffect.bundle.model_spec import AUTO_PRECISION, CropSpec
from faceaffect.kernels.native import native
from faceaffect.types import FloatArray, Frame, PixelFormat

if TYPE_CHECKING:
    import tensorrt as trt  # type: ignore[import-not-found,import-untyped,unused-ignore]

log = logging.getLogger("faceaffect")

_PRECISION_NAMES = {"fp32": "float32", "fp16": "float16", "int8": "int8"}


class EngineLoadError(BackendError):
    """TensorRT cannot load a cached engine."""


def unavailable_reason() -> str:
    """Reason why TensorRT cannot be used, or an empty string."""
    if native is None or not native.has_cuda:
        return (
            "faceaffect was built without CUDA kernels; "
            "install the CUDA toolkit and build it again with FACEAFFECT_CUDA=ON"
        )
    try:
        native.require_device()
    except native.CudaError as error:
        return f"{error}; to run on the CPU use --backend onnx"
    return find_tensorrt()[1]


def device_index(device: str) -> int:
    """Index of a GPU: 1 for `cuda:1`, 0 for `cuda` and `auto`; raises BackendError."""
    if device in ("auto", "cuda"):
        return 0
    match = re.fullmatch(r"cuda:(\d+)", device)
    if match is None:
        raise BackendError(
            f"backend 'tensorrt' runs on device 'cuda:N', got {device!r}; "
            "use --device cuda:0 or --backend onnx"
        )
    return int(match[1])


class TensorRTBackend:
    """One engine; the pipeline calls `infer_frame`, parity checks call `infer`."""

    name = "tensorrt"

    def __init__(
        self,
        library: TensorRTModule,
        plan: bytes,
        bundle: Bundle,
        settings: EngineSettings,
        device: int,
        key: EngineKey,
        options: TensorRTOptions,
    ) -> None:
        self._library = library
        self._bundle = bundle
        self._settings = settings
        self._device = device
        self._options = options
        self.key = key
        self._local = threading.local()
        self._opening = threading.Lock()
        # The logger must outlive the runtime.
        self._logger = make_error_logger(library.module)
        self._runtime = create_or_raise(
            library.module.Runtime, self._logger, logger=self._logger, what=str(library)
        )
        if settings.dla_core is not None:
            self._runtime.DLA_core = (
                settings.dla_core
            )  # that of the build is not stored in the plan
        self._engine: trt.ICudaEngine | None = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            errors = last_errors(self._logger)
            if is_out_of_memory(errors):
                raise BackendError(
                    f"{library} cannot load the engine: {errors}; {OUT_OF_MEMORY_HINT}, "
                    "or use --backend onnx"
                )
            raise EngineLoadError(errors)
        if settings.dla_core is not None:
            check_dla(library.module, self._engine)
        self.precision = _PRECISION_NAMES[settings.precision]
        self.version = str(library)
        self.plan_bytes = len(plan)
        self.device = f"cuda:{device}"

    @property
    def frame_runner(self) -> CudaFrameRunner:
        """The calling thread's runner. Its GPU must be the current device when it is used."""
        if native is None or self._engine is None:
            raise BackendError("the TensorRT backend was closed")
        runner: CudaFrameRunner | None = getattr(self._local, "runner", None)
        if runner is None:
            sizes = self._settings.batch_sizes
            # an engine creates its contexts one after the other
            with self._opening, native.DeviceGuard(self._device):
                network = EngineNetwork(
                    native, self._library.module, self._engine, self._logger, sizes
                )
                runner = CudaFrameRunner(
                    native,
                    network,
                    self._bundle.graph,
                    self._bundle.spec.crop,
                    sizes,
                    zero_copy=self._options.zero_copy,
                )
            self._local.runner = runner
        return runner

    @property
    def cuda_stream(self) -> int:
        """Handle of the calling thread's stream."""
        return self.frame_runner.cuda_stream

    def infer_frame(
        self, frame: Frame, crop_to_frame: FloatArray
    ) -> tuple[HeadOutputs, FloatArray]:
        """See `CudaFrameRunner.run`; raises BackendError if the GPU fails."""
        runner = self._open_runner()
        try:
            with native.DeviceGuard(self._device):  # type: ignore[union-attr]  # open
                return runner.run(frame, crop_to_frame)
        except RuntimeError as error:  # includes CudaError
            raise self._wrap(error) from error

    def warm_up(self) -> None:
        """Allocate this thread's memory and capture its graphs, before the first frame."""
        self._open_runner()

    def _open_runner(self) -> CudaFrameRunner:
        try:
            return self.frame_runner
        except RuntimeError as error:
            raise self._wrap(error) from error

    def _wrap(self, error: RuntimeError) -> BackendError:
        return BackendError(f"backend 'tensorrt' failed on {self.device}: {error}")

    def infer(self, crops: FloatArray) -> HeadOutputs:
        """Run the network on crops [N, 3, S, S] in host memory; for parity checks only."""
        return infer_crops(self.infer_frame, self._bundle.spec.crop, crops)


def infer_crops(
    infer_frame: Callable[[Frame, FloatArray], tuple[HeadOutputs, FloatArray]],
    spec: CropSpec,
    crops: FloatArray,
) -> HeadOutputs:
    """Run a `FrameBackend` on crops [N, 3, S, S], each as a frame.

    The frames have 8 bits per channel, so outputs differ by that rounding.
    """
    mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (spec.mean, spec.std))
    identity = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    outputs = []
    for crop in crops:
        rgb = np.clip(np.rint((crop * std + mean) * 255), 0, 255).astype(np.uint8)
        frame = Frame(np.ascontiguousarray(rgb.transpose(1, 2, 0)), PixelFormat.RGB)
        outputs.append(infer_frame(frame, identity)[0])
    return {name: np.concatenate([heads[name] for heads in outputs]) for name in outputs[0]}


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


def open_engine(
    bundle: Bundle,
    *,
    device: str = "cuda:0",
    precision: str = "fp32",
    max_faces: int = DEFAULT_MAX_FACES,
    dla_core: int | None = None,
    cache: EngineCache | None = None,
    tensorrt: TensorRTOptions | None = None,
) -> TensorRTBackend:
    """Open a backend with the cached engine, which is built now if there is none.

    Args:
        bundle: The model.
        device: `cuda`, `cuda:N` or `auto`.
        precision: One of `model_spec.PRECISIONS`.
        max_faces: Largest batch, rounded up to a power of two.
        dla_core: Deep-learning accelerator; None: the GPU.
        cache: Engine cache; None: the user's.
        tensorrt: Further options.

    Raises:
        BackendError: TensorRT, the GPU or the precision cannot be used here.
        BundleError: The bundle has no model of the precision.
    """
    if dla_core is not None and precision == "fp32":
        raise BackendError(
            "a DLA computes in fp16 or int8, got precision fp32; "
            "add --precision fp16, or omit --dla-core"
        )
    index = device_index(device)
    reason = unavailable_reason()
    library = None if reason else find_tensorrt()[0]
    if library is None or native is None:
        raise BackendError(f"backend 'tensorrt' cannot be used: {reason}")
    options = tensorrt or TensorRTOptions()
    settings = EngineSettings(
        precision,
        batch_sizes(max_faces)[-1],
        bundle.spec.crop.size_px,
        dla_core,
        options.optimization_level,
        options.profile_per_batch_size,
    )
    try:
        if options.wait != "auto":
            native.set_wait_mode(index, options.wait)
        with native.DeviceGuard(index):
            return _open_engine(library, bundle, settings, index, cache or EngineCache(), options)
    except native.CudaError as error:
        raise BackendError(f"backend 'tensorrt' failed on cuda:{index}: {error}") from error


def _open_engine(
    library: TensorRTModule,
    bundle: Bundle,
    settings: EngineSettings,
    index: int,
    cache: EngineCache,
    options: TensorRTOptions,
) -> TensorRTBackend:
    """Find or build the engine, and load it; its GPU is the current device."""
    assert native is not None  # of the caller
    onnx = model_bytes(bundle, settings.precision)
    key = engine_key(library, onnx, settings, native.device_facts(index))

    def build() -> bytes:
        title = f"building the {settings.precision} engine of {bundle.spec.name} with {library}"
        with BuildProgress(title) as progress:
            return build_engine(library, onnx, settings, progress, cache.timing_file(key))

    plan = cache.find_or_build(key, build, on_wait=_log_wait)
    try:
        return TensorRTBackend(library, plan, bundle, settings, index, key, options)
    except EngineLoadError as error:
        log.warning(
            "faceaffect: %s cannot load the cached engine (%s); building it again", library, error
        )
    try:
        plan = cache.replace(key, plan, build, on_wait=_log_wait)
        return TensorRTBackend(library, plan, bundle, settings, index, key, options)
    except EngineLoadError as error:
        raise BackendError(
            f"{library} cannot load the engine that it built on {key.device}: {error}"
        ) from None


def _log_wait(_: Path) -> None:
    log.warning("faceaffect: another process builds this engine; waiting for it")


def open(bundle: Bundle, *, device: str, options: BackendOptions) -> TensorRTBackend:
    """Open the backend and warm it up; raises BackendError or BundleError."""
    backend = open_engine(
        bundle,
        device=device,
        precision="fp32" if options.precision == AUTO_PRECISION else options.precision,
        max_faces=options.max_faces,
        dla_core=options.dla_core,
        tensorrt=options.tensorrt,
    )
    backend.warm_up()
    return backend
