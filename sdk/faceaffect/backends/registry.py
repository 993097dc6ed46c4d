"""The registry of backends and the policy that selects one."""

from __future__ import annotations

import importlib
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from faceaffect.backends.backend import Backend, BackendError, BackendOptions
from faceaffect.bundle.model_spec import AUTO_PRECISION, INT8_CPU, PRECISIONS

if TYPE_CHECKING:
    from faceaffect.bundle.bundle import Bundle

log = logging.getLogger("faceaffect")

_MODULES: Final[dict[str, str]] = {
    "onnx": "faceaffect.backends.onnx_backend",
    "openvino": "faceaffect.backends.openvino_backend",
    "tensorrt": "faceaffect.backends.tensorrt_backend",
}
"""Module of each backend, imported on demand; it implements `_BackendModule`."""

_DEVICE: Final = re.compile(r"auto|cpu|cuda(:\d{1,3})?", re.ASCII)
_DRIVER_FILES: Final = ("/proc/driver/nvidia/version", "/etc/nv_tegra_release", "/dev/nvidiactl")


class _BackendModule(Protocol):
    def unavailable_reason(self) -> str: ...

    def open(self, bundle: Bundle, *, device: str, options: BackendOptions) -> Backend: ...


def _import_backend(name: str) -> _BackendModule:
    return cast(_BackendModule, importlib.import_module(_MODULES[name]))


def available_backends() -> dict[str, str]:
    """Name of each backend -> "" if it can be used here, else the reason why not."""
    return {name: _import_backend(name).unavailable_reason() for name in _MODULES}


def open_backend(
    name: str, bundle: Bundle, *, device: str = "auto", options: BackendOptions | None = None
) -> Backend:
    """Open a backend.

    Backend `auto` selects TensorRT if there is an NVIDIA GPU (or one was named), else ONNX Runtime
    on the CPU. Only what was left to `auto` changes: a device or precision that was named and is
    missing is an error. With backend and device `auto` a GPU that does not start is replaced by the
    CPU, with a warning, and only while opening: a GPU that fails later is an error, since the whole
    process has then lost the device.

    Args:
        name: `auto`, `onnx`, `openvino` or `tensorrt`.
        bundle: The model.
        device: `cpu`, `cuda`, `cuda:N` or `auto` (the device of the backend).
        options: See `BackendOptions`.

    Raises:
        BackendError: The backend cannot be used here.
        BundleError: The bundle has no model for it.
    """
    options = options or BackendOptions()
    if options.precision not in (*PRECISIONS, AUTO_PRECISION):
        raise BackendError(
            f"precision must be {AUTO_PRECISION} or one of {', '.join(PRECISIONS)}, "
            f"got {options.precision!r}"
        )
    if not _DEVICE.fullmatch(device):
        raise BackendError(f"device must be auto, cpu, cuda or cuda:N, got {device!r}")
    if name == "auto":
        return _open_best(bundle, device, options)
    if name not in _MODULES:
        raise BackendError(f"backend must be auto or one of {sorted(_MODULES)}, got {name!r}")
    module = _import_backend(name)
    reason = module.unavailable_reason()
    if reason:
        raise BackendError(f"backend {name!r} cannot be used: {reason}")
    return module.open(bundle, device=device, options=options)


def _open_best(bundle: Bundle, device: str, options: BackendOptions) -> Backend:
    if device == "cpu":
        return open_backend("onnx", bundle, device="cpu", options=options)
    if device != "auto":
        return open_backend("tensorrt", bundle, device=device, options=options)
    needs_gpu = _gpu_option(bundle, options)
    if not has_nvidia_gpu():
        if needs_gpu:
            raise BackendError(
                f"{needs_gpu} needs an NVIDIA GPU, and there is none; "
                f"use --precision {AUTO_PRECISION} for the fastest that this machine runs"
            )
        return open_backend("onnx", bundle, device="cpu", options=options)
    try:
        return open_backend("tensorrt", bundle, device=device, options=options)
    except RuntimeError as error:
        if needs_gpu:
            raise
        log.warning("faceaffect: running on the CPU with ONNX Runtime, since %s", error)
        return open_backend("onnx", bundle, device="cpu", options=options)


def _gpu_option(bundle: Bundle, options: BackendOptions) -> str:
    """The option that only a GPU can follow, or an empty string."""
    if options.dla_core is not None:
        return f"DLA core {options.dla_core}"
    runs_on_cpu = options.precision in (AUTO_PRECISION, "fp32") or (
        options.precision == "int8" and bundle.has(INT8_CPU)
    )
    return "" if runs_on_cpu else f"precision {options.precision}"


def has_nvidia_gpu() -> bool:
    """Whether an NVIDIA driver is loaded, on a PC or a Jetson; creates no CUDA context."""
    return any(Path(file).exists() for file in _DRIVER_FILES)
