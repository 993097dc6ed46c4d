"""TensorRT on NVIDIA GPUs: this release has the CUDA kernels but not yet the engine, and says so."""

from __future__ import annotations

from faceaffect.backends import Backend, BackendError
from faceaffect.bundle import Bundle

_REASON = "this release holds no TensorRT engine yet; use --backend onnx or openvino with --device cpu"


def why_not() -> str:
    """The reason why TensorRT cannot be used."""
    return _REASON


def open_here(bundle: Bundle, *, device: str, threads: int) -> Backend:
    raise BackendError(f"backend 'tensorrt' cannot be used for {bundle.spec.name} on {device}: {_REASON}")
