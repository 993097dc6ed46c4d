"""TensorRT on an NVIDIA GPU: from frame to head outputs without an intermediate copy to the host.

Threads may share a backend: each gets its own stream, buffers, execution contexts and CUDA graphs
at its first frame.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence

import numpy as np

from faceaffect.backends.backend import (
    DEFAULT_MAX_FACES,
    BackendError,
    BackendOptions,
    HeadOutputs,
    TensorRTOptions,
)
from faceaffect.backends.build_engine import EngineSettings
from faceaffect.backends.cuda_detector_runner import CudaDetectorRunner, InputNormalization
from faceaffect.backends.cuda_frame_runner import CudaFrameRunner, batch_sizes
from faceaffect.backends.engine_cache import EngineCache, EngineKey
from faceaffect.backends.engine_network import EngineNetwork
from faceaffect.backends.load_engine import LoadedEngine, engine_key, load_or_build
from faceaffect.backends.tensorrt_compat import TensorRTModule, find_tensorrt
from faceaffect.bundle.bundle import Bundle, model_bytes
from faceaffect.bundle.model_spec import AUTO_PRECISION, CropSpec
from faceaffect.kernels.native import native
from faceaffect.types import FloatArray, Frame, PixelFormat

_PRECISION_NAMES = {"fp32": "float32", "fp16": "float16", "int8": "int8"}


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
        loaded: LoadedEngine,
        bundle: Bundle,
        device: int,
        key: EngineKey,
        options: TensorRTOptions,
        cache: EngineCache,
    ) -> None:
        self._loaded = loaded
        self._library = loaded.library
        self._settings = loaded.settings
        self._bundle = bundle
        self._device = device
        self._options = options
        self._cache = cache
        self.key = key
        self._local = threading.local()
        self._opening = threading.Lock()
        self.precision = _PRECISION_NAMES[self._settings.precision]
        self.version = str(self._library)
        self.plan_bytes = loaded.plan_bytes
        self.device = f"cuda:{device}"

    @property
    def frame_runner(self) -> CudaFrameRunner:
        """The calling thread's runner. Its GPU must be the current device when it is used."""
        if native is None:
            raise BackendError("faceaffect was built without CUDA kernels")
        runner: CudaFrameRunner | None = getattr(self._local, "runner", None)
        if runner is None:
            sizes = self._settings.batch_sizes
            # an engine creates its contexts one after the other
            with self._opening, native.DeviceGuard(self._device):
                network = EngineNetwork(
                    native, self._library.module, self._loaded.engine, self._loaded.logger, sizes
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
        return self.infer_frames([(frame, crop_to_frame)])

    def infer_frames(
        self, frames: Sequence[tuple[Frame, FloatArray]]
    ) -> tuple[HeadOutputs, FloatArray]:
        """See `CudaFrameRunner.run_frames`; raises BackendError if the GPU fails."""
        runner = self._open_runner()
        try:
            with native.DeviceGuard(self._device):  # type: ignore[union-attr]  # open
                return runner.run_frames(frames)
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

    def open_detector_runner(
        self,
        name: str,
        onnx: bytes,
        sides_px: tuple[int, int, int],
        normalization: InputNormalization,
    ) -> CudaDetectorRunner:
        """A runner of a fully convolutional network on whole frames, on its own stream.

        Args:
            name: Of the network, for messages.
            onnx: Network with the input `images` [1, 3, H, W] and the output `maps`.
            sides_px: Smallest, usual and largest side of the input.
            normalization: Of the input.

        Raises:
            BackendError: The engine cannot be built or loaded.
        """
        settings = EngineSettings(
            "fp32",
            1,
            sides_px[-1],
            optimization_level=self._options.optimization_level,
            input_name="images",
            sides_px=sides_px,
        )
        assert native is not None  # this backend is open
        try:
            with native.DeviceGuard(self._device):
                key = engine_key(self._library, onnx, settings, native.device_facts(self._device))
                loaded = load_or_build(self._library, name, onnx, settings, key, self._cache)
                return CudaDetectorRunner(native, loaded, self._device, normalization)
        except native.CudaError as error:
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
    loaded = load_or_build(library, bundle.spec.name, onnx, settings, key, cache)
    return TensorRTBackend(loaded, bundle, index, key, options, cache)


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
