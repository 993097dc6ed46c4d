"""TensorRT on an NVIDIA GPU: frame to read faces without a copy to the host in between.

A backend may be shared by threads: each gets its own stream, buffers, execution contexts and
graphs at its first frame.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from faceaffect.backends import (
    DEFAULT_MAX_FACES,
    BackendError,
    BackendOptions,
    HeadOutputs,
    check_outputs,
)
from faceaffect.backends.build_engine import (
    OUT_OF_MEMORY_HINT,
    EngineSettings,
    build_engine,
    is_out_of_memory,
)
from faceaffect.backends.build_progress import BuildProgress
from faceaffect.backends.cuda_frame_runner import CudaFrameRunner, batch_sizes
from faceaffect.backends.engine_cache import EngineCache, EngineKey
from faceaffect.backends.tensorrt_compat import (
    TensorRTModule,
    collecting_logger,
    find_tensorrt,
    new_context,
    said,
    started,
)
from faceaffect.bundle.bundle import MODEL_FILE, Bundle, model_bytes
from faceaffect.bundle.model_spec import AUTO_PRECISION, BundleError, CropSpec
from faceaffect.kernels.native import native
from faceaffect.types import FloatArray, Frame, PixelFormat

if TYPE_CHECKING:
    import tensorrt as trt  # type: ignore[import-not-found,import-untyped,unused-ignore]

log = logging.getLogger("faceaffect")


def unavailable_reason() -> str:
    """An empty text, or the reason why TensorRT cannot be used."""
    if native is None or not native.has_cuda:
        return "faceaffect was built without CUDA kernels; install the CUDA toolkit and build it again with FACEAFFECT_CUDA=ON"
    try:
        native.require_device()
    except native.CudaError as error:
        return f"{error}; to run on the CPU use --backend onnx"
    return find_tensorrt()[1]


def device_index(device: str) -> int:
    """`cuda:1` is 1; `cuda` and `auto` are the first GPU. Anything else is a BackendError."""
    if device in ("auto", "cuda"):
        return 0
    found = re.fullmatch(r"cuda:(\d+)", device)
    if found is None:
        raise BackendError(
            f"backend 'tensorrt' runs on device 'cuda:N', got {device!r}; use --device cuda:0 or --backend onnx"
        )
    return int(found[1])


class _Network:
    """An engine with execution contexts of one thread, one for each number of faces: graphs stay
    valid that way.
    """

    def __init__(self, module: Any, engine: trt.ICudaEngine, logger: Any, fewest: int) -> None:
        """`fewest` faces are the least that the engine takes in a run; `logger` collects what
        TensorRT says.
        """
        self._module, self._engine, self._logger = module, engine, logger
        self._contexts: dict[int, trt.IExecutionContext] = {}
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        check_outputs(set(names), MODEL_FILE)
        self._crop_shape = tuple(engine.get_tensor_shape("crops"))[1:]
        # Some shapes of outputs are known only once that of the input is.
        context = self._context(fewest)
        self.output_shapes = {
            name: tuple(context.get_tensor_shape(name))[1:] for name in names if name != "crops"
        }
        kinds = {module.DataType.FLOAT: "<f4", module.DataType.HALF: "<f2"}
        self.crop_typestr = kinds.get(engine.get_tensor_dtype("crops"), "")
        wrong = [
            name
            for name in self.output_shapes
            if engine.get_tensor_dtype(name) != module.DataType.FLOAT
        ]
        if wrong or not self.crop_typestr:
            raise BundleError(
                f"{MODEL_FILE}: outputs must be float32 and crops float32 or float16, others are {wrong or 'crops'}"
            )

    def _context(self, faces: int) -> trt.IExecutionContext:
        context: trt.IExecutionContext | None = new_context(self._module, self._engine)
        if context is None:
            words = said(self._logger, "the GPU's memory is full")
            raise BackendError(
                f"TensorRT cannot make an execution context: {words}; {OUT_OF_MEMORY_HINT}"
            )
        if not context.set_input_shape("crops", (faces, *self._crop_shape)):
            raise BackendError(
                f"the engine does not take {faces} faces; `faceaffect build-engine --max-faces {faces}` makes one"
            )
        return context

    def bind(self, faces: int, addresses: dict[str, int]) -> None:
        context = self._contexts[faces] = self._context(faces)
        for name, address in addresses.items():
            if not context.set_tensor_address(name, address):
                raise BackendError(f"TensorRT refuses the memory of {name!r}")

    def enqueue(self, faces: int, stream: int) -> None:
        if not self._contexts[faces].execute_async_v3(stream):
            words = said(self._logger, "the GPU may be lost or its memory full")
            raise BackendError(f"TensorRT could not run the engine: {words}; start again")


class TensorrtBackend:
    """One engine; `infer_frame` is what the pipeline calls, `infer` takes crops that lie on the
    host.
    """

    name = "tensorrt"

    def __init__(
        self,
        library: TensorRTModule,
        plan: bytes,
        bundle: Bundle,
        settings: EngineSettings,
        device: int,
        key: EngineKey,
    ) -> None:
        self._library, self._bundle, self._settings, self._device, self.key = (
            library,
            bundle,
            settings,
            device,
            key,
        )
        self._local, self._opening = threading.local(), threading.Lock()
        # The logger must outlive the runtime.
        self._logger = collecting_logger(library.module)
        self._runtime = started(
            library.module.Runtime, self._logger, logger=self._logger, what=str(library)
        )
        self._engine: trt.ICudaEngine | None = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            words = said(self._logger)
            if is_out_of_memory(words):
                raise BackendError(
                    f"{library} cannot load the engine: {words}; {OUT_OF_MEMORY_HINT}, or use --backend onnx"
                )
            raise EngineLoadError(words)
        self.precision = {"fp32": "float32", "fp16": "float16", "int8": "int8"}[settings.precision]
        self.version = str(library)
        self.plan_bytes = len(plan)
        self.device = f"cuda:{device}"

    @property
    def path(self) -> CudaFrameRunner:
        """The calling thread's own, whose current device becomes the engine's."""
        if native is None or self._engine is None:
            raise BackendError("the TensorRT backend was closed")
        native.use_device(
            self._device
        )  # another backend of this thread may have chosen another GPU
        path: CudaFrameRunner | None = getattr(self._local, "path", None)
        if path is None:
            slots = self._settings.slots
            with self._opening:  # an engine makes its contexts one after the other
                network = _Network(self._library.module, self._engine, self._logger, slots[0])
                path = CudaFrameRunner(
                    native, network, self._bundle.graph, self._bundle.spec.crop, slots
                )
            self._local.path = path
        return path

    @property
    def cuda_stream(self) -> int:
        """Handle of the calling thread's own stream."""
        return self.path.cuda_stream

    def infer_frame(self, frame: Frame, crop_maps: FloatArray) -> tuple[HeadOutputs, FloatArray]:
        """See `CudaFrameRunner.read`; raises BackendError where the GPU fails."""
        try:
            return self.path.read(frame, crop_maps)
        except RuntimeError as error:  # CudaError among them
            raise self._failed(error) from error

    def warm_up(self) -> None:
        """Take this thread's memory now, so that a GPU without room is known before the first
        frame.
        """
        try:
            _ = self.path
        except RuntimeError as error:
            raise self._failed(error) from error

    def _failed(self, error: RuntimeError) -> BackendError:
        return BackendError(f"backend 'tensorrt' failed on {self.device}: {error}")

    def infer(self, crops: FloatArray) -> HeadOutputs:
        """Heads of crops [N, 3, S, S] on the host: the pipeline never does this, parity checks do."""
        return read_crops(self.infer_frame, self._bundle.spec.crop, crops)


def read_crops(
    infer_frame: Callable[[Frame, FloatArray], tuple[HeadOutputs, FloatArray]],
    spec: CropSpec,
    crops: FloatArray,
) -> HeadOutputs:
    """Heads of crops [N, 3, S, S], each as a frame of its own; these have 8 bits, and heads differ
    by that rounding.
    """
    mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (spec.mean, spec.std))
    identity = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    parts = []
    for crop in crops:
        pixels = np.clip(np.rint((crop * std + mean) * 255), 0, 255).astype(np.uint8)
        parts.append(
            infer_frame(
                Frame(np.ascontiguousarray(pixels.transpose(1, 2, 0)), PixelFormat.RGB), identity
            )[0]
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class EngineLoadError(BackendError):
    """TensorRT does not load an engine that the cache holds."""


def engine_key(
    library: TensorRTModule, onnx: bytes, settings: EngineSettings, facts: dict[str, Any]
) -> EngineKey:
    return EngineKey(
        onnx_sha256=hashlib.sha256(onnx).hexdigest(),
        library=str(library),
        device=str(facts["name"]),
        compute_capability=".".join(map(str, facts["compute_capability"])),
        precision=settings.precision,
        max_faces=settings.max_faces,
        size_px=settings.size_px,
        dla=settings.dla,
    )


def open_engine(
    bundle: Bundle,
    *,
    device: str = "cuda:0",
    precision: str = "fp32",
    max_faces: int = DEFAULT_MAX_FACES,
    dla: int | None = None,
    cache: EngineCache | None = None,
) -> TensorrtBackend:
    """A backend over the cached engine, which is built now if there is none."""
    if dla is not None and precision == "fp32":
        raise BackendError(
            "a DLA computes in fp16 or int8, got precision fp32; add --precision fp16, or leave --dla-core out"
        )
    index = device_index(device)
    reason = unavailable_reason()
    if reason:
        raise BackendError(f"backend 'tensorrt' cannot be used: {reason}")
    library, _ = find_tensorrt()
    if library is None or native is None:
        raise BackendError("backend 'tensorrt' cannot be used: TensorRT went away")
    native.use_device(index)
    onnx = model_bytes(bundle, precision)
    settings = EngineSettings(precision, batch_sizes(max_faces)[-1], bundle.spec.crop.size_px, dla)
    key = engine_key(library, onnx, settings, native.device_facts(index))
    cache = cache or EngineCache()

    def build() -> bytes:
        with BuildProgress(
            f"building the {precision} engine of {bundle.spec.name} with {library}"
        ) as progress:
            return build_engine(library, onnx, settings, progress)

    def waiting(_: Any) -> None:
        log.warning("faceaffect: another process builds this engine; waiting for it")

    plan = cache.find_or_build(key, build, waiting=waiting)
    try:
        return TensorrtBackend(library, plan, bundle, settings, index, key)
    except EngineLoadError as error:
        log.warning(
            "faceaffect: %s refuses the engine in the cache (%s); building it again", library, error
        )
    try:
        again = cache.replace(key, plan, build, waiting=waiting)
        return TensorrtBackend(library, again, bundle, settings, index, key)
    except EngineLoadError as error:
        raise BackendError(
            f"{library} does not run the engine that it built on {key.device}: {error}"
        ) from None


def open_here(bundle: Bundle, *, device: str, options: BackendOptions) -> TensorrtBackend:
    precision = "fp32" if options.precision == AUTO_PRECISION else options.precision
    backend = open_engine(
        bundle, device=device, precision=precision, max_faces=options.max_faces, dla=options.dla
    )
    backend.warm_up()
    return backend
