"""Backends run the network: crops in, heads out. They know nothing of frames or faces."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from faceaffect.bundle.bundle import Bundle
from faceaffect.bundle.model_spec import AUTO_PRECISION, INT8_CPU, PRECISIONS
from faceaffect.errors import FaceAffectError
from faceaffect.types import FloatArray, Frame

log = logging.getLogger("faceaffect")

HeadOutputs = dict[str, FloatArray]
"""Raw network outputs by the names of `spec.HEADS`, each [N, ...]."""


class BackendError(FaceAffectError, RuntimeError):
    """A backend that cannot be used here: which, why, and what to do."""


class Backend(Protocol):
    """A network that is ready to run. One thread may use an instance at a time; results may reuse
    its buffers.
    """

    name: str
    precision: str
    version: str

    def infer(self, crops: FloatArray) -> HeadOutputs:
        """Heads of crops [N, 3, S, S], N >= 1."""
        ...


DEFAULT_MAX_FACES: Final[int] = 8


@runtime_checkable
class FrameBackend(Protocol):
    """A backend that cuts the faces out itself, where the network runs, and adds the head
    `au_logit` [N, 12].
    """

    def infer_frame(self, frame: Frame, crop_maps: FloatArray) -> tuple[HeadOutputs, FloatArray]:
        """Heads of the crops of maps [N, 2, 3], N >= 1, and what `sample_grid` says of
        them [N, 3, 12, 12].
        """
        ...


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """`threads` is for CPU backends; `max_faces` (of one run) and `dla` are for engines built
    ahead.

    `dla` is the number of a Jetson's deep-learning accelerator, None for the GPU itself.
    """

    threads: int = 1
    precision: str = "fp32"
    max_faces: int = DEFAULT_MAX_FACES
    dla: int | None = None


_FACTORIES: Final[dict[str, str]] = {
    "onnx": "faceaffect.backends.onnx_backend",
    "openvino": "faceaffect.backends.openvino_backend",
    "tensorrt": "faceaffect.backends.tensorrt_backend",
}


def available_backends() -> dict[str, str]:
    """Each backend's name with an empty text where it can be used, or the reason why not."""
    return {
        name: importlib.import_module(module).unavailable_reason()
        for name, module in _FACTORIES.items()
    }


def open_backend(
    name: str, bundle: Bundle, *, device: str = "auto", options: BackendOptions | None = None
) -> Backend:
    """The backend that was asked for, or a BackendError that says why not.

    `auto` takes TensorRT where there is a GPU (or one was named) and ONNX Runtime on the CPU
    elsewhere. It alone steps down to the CPU, and says so in one line; `device` "auto" is the
    place where the backend runs. Once open, a backend is kept: a GPU that fails later is an
    error, since the device is then lost to the whole process.
    """
    options = options or BackendOptions()
    if options.precision not in (*PRECISIONS, AUTO_PRECISION):
        raise BackendError(
            f"precision must be {AUTO_PRECISION} or one of {', '.join(PRECISIONS)}, got {options.precision!r}"
        )
    if name == "auto":
        return _open_best(bundle, device, options)
    if name not in _FACTORIES:
        raise BackendError(f"backend must be auto or one of {sorted(_FACTORIES)}, got {name!r}")
    module = importlib.import_module(_FACTORIES[name])
    reason = module.unavailable_reason()
    if reason:
        raise BackendError(f"backend {name!r} cannot be used: {reason}")
    opener: Callable[..., Backend] = module.open_here
    return opener(bundle, device=device, options=options)


def _open_best(bundle: Bundle, device: str, options: BackendOptions) -> Backend:
    if device == "cpu":
        return open_backend("onnx", bundle, device="cpu", options=options)
    is_for_cpu = options.precision in (AUTO_PRECISION, "fp32") or (
        options.precision == "int8" and bundle.has(INT8_CPU)
    )
    on_cpu = BackendOptions(options.threads, options.precision if is_for_cpu else "fp32")
    if device == "auto" and not has_nvidia_gpu():
        if options.precision != on_cpu.precision or options.dla is not None:
            wanted = (
                options.precision
                if options.dla is None
                else f"{options.precision} on DLA core {options.dla}"
            )
            log.warning(
                "faceaffect: running on the CPU with ONNX Runtime in fp32, since %s needs an NVIDIA GPU",
                wanted,
            )
        return open_backend("onnx", bundle, device="cpu", options=on_cpu)
    try:
        return open_backend("tensorrt", bundle, device=device, options=options)
    except (BackendError, RuntimeError) as error:
        log.warning("faceaffect: running on the CPU with ONNX Runtime, since %s", error)
        return open_backend("onnx", bundle, device="cpu", options=on_cpu)


def has_nvidia_gpu() -> bool:
    """Whether a driver of NVIDIA's is loaded, on a PC or a Jetson; cheap, and makes no CUDA
    context.
    """
    return any(
        Path(sign).exists()
        for sign in ("/proc/driver/nvidia/version", "/etc/nv_tegra_release", "/dev/nvidiactl")
    )


def require_cpu(name: str, device: str, options: BackendOptions) -> None:
    """Raise BackendError unless this is for the CPU: nothing runs elsewhere than it was asked to."""
    if device not in ("cpu", "auto"):
        raise BackendError(
            f"backend {name!r} runs on device 'cpu' only, got {device!r}; use --backend tensorrt for a GPU"
        )
    if options.dla is not None:
        raise BackendError(
            f"backend {name!r} runs on the CPU, got DLA core {options.dla}; use --backend tensorrt"
        )


def check_outputs(names: set[str], where: Any) -> None:
    """Raise BundleError unless the network offers every head."""
    from faceaffect.bundle.model_spec import HEADS, BundleError

    missing = sorted(HEADS.keys() - names)
    if missing:
        raise BundleError(
            f"{where}: the network must have the outputs {sorted(HEADS)}, missing {missing}"
        )
