"""Backends run the network: crops in, heads out. They know nothing of frames or faces."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final, Protocol

from faceaffect.bundle import Bundle
from faceaffect.types import FloatArray

Heads = dict[str, FloatArray]
"""Raw network outputs by the names of `spec.HEADS`, each [N, ...]."""


class BackendError(RuntimeError):
    """A backend that cannot be used here: which, why, and what to do."""


class Backend(Protocol):
    """A network that is ready to run. One thread may use an instance at a time; results may reuse its buffers."""

    name: str
    precision: str
    version: str

    def infer(self, crops: FloatArray) -> Heads:
        """Heads of crops [N, 3, S, S], N >= 1."""
        ...


_FACTORIES: Final[dict[str, str]] = {
    "onnx": "faceaffect.backends.onnx_backend",
    "openvino": "faceaffect.backends.openvino_backend",
    "tensorrt": "faceaffect.backends.tensorrt_engine",
}


def available_backends() -> dict[str, str]:
    """Each backend's name with an empty text where it can be used, or the reason why not."""
    return {name: importlib.import_module(module).why_not() for name, module in _FACTORIES.items()}


def open_backend(name: str, bundle: Bundle, *, device: str = "cpu", threads: int = 1) -> Backend:
    """The backend that was asked for, or a BackendError that says why not; `auto` takes the best usable one."""
    if name == "auto":
        name = "onnx" if device == "cpu" else "tensorrt"
    if name not in _FACTORIES:
        raise BackendError(f"backend must be auto or one of {sorted(_FACTORIES)}, got {name!r}")
    module = importlib.import_module(_FACTORIES[name])
    reason = module.why_not()
    if reason:
        raise BackendError(f"backend {name!r} cannot be used: {reason}")
    opener: Callable[..., Backend] = module.open_here
    return opener(bundle, device=device, threads=threads)


def require_cpu(name: str, device: str) -> None:
    """Raise BackendError unless `device` is the CPU: nothing runs elsewhere than where it was asked to."""
    if device != "cpu":
        raise BackendError(f"backend {name!r} runs on device 'cpu' only, got {device!r}")


def check_outputs(names: set[str], where: Any) -> None:
    """Raise BundleError unless the network offers every head."""
    from faceaffect.spec import HEADS, BundleError

    missing = sorted(HEADS.keys() - names)
    if missing:
        raise BundleError(f"{where}: the network must have the outputs {sorted(HEADS)}, missing {missing}")
