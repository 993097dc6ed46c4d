"""ONNX Runtime on the CPU: the default backend."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from faceaffect.backends import Backend, BackendOptions, Heads, check_outputs, require_cpu
from faceaffect.bundle import MODEL_FILE, Bundle
from faceaffect.spec import HEADS, BundleError
from faceaffect.types import FloatArray


def why_not() -> str:
    """An empty text, or the reason why ONNX Runtime cannot be used."""
    try:
        _import()
    except ImportError as error:
        return f"onnxruntime does not import ({error}); pip install 'onnxruntime<1.29'"
    return ""


def _import() -> Any:
    # Releases from 1.29 on look up a telemetry host at import unless this is set before.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def onnx_version() -> str:
    return str(_import().__version__)


def open_session(content: bytes, threads: int, where: Path) -> Any:
    """A session on the CPU; BundleError, naming the file, where the content is no network that can be run."""
    runtime = _import()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin between two frames would burn the cores that decoding needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own classes, which share no base but Exception
        raise BundleError(f"{where}: ONNX Runtime cannot load it: {error}") from None


class OnnxBackend:
    """One session, float32."""

    name = "onnx"
    precision = "float32"

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self._session = open_session(bundle.onnx, threads, bundle.path / MODEL_FILE)
        check_outputs({output.name for output in self._session.get_outputs()}, bundle.path / MODEL_FILE)
        size_px = bundle.spec.crop.size_px
        wanted, got = [3, size_px, size_px], self._session.get_inputs()[0].shape[1:]
        if self._session.get_inputs()[0].name != "crops" or got != wanted:
            raise BundleError(f"{bundle.path / MODEL_FILE}: input must be crops [N, 3, {size_px}, {size_px}], got {got}")
        self._names = list(HEADS)
        self.version = onnx_version()

    def infer(self, crops: FloatArray) -> Heads:
        return dict(zip(self._names, self._session.run(self._names, {"crops": crops}), strict=True))


def open_here(bundle: Bundle, *, device: str, options: BackendOptions) -> Backend:
    require_cpu("onnx", device, options)
    return OnnxBackend(bundle, options.threads)
