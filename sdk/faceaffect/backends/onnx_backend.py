"""ONNX Runtime on the CPU: the default backend."""

from __future__ import annotations

from faceaffect.backends import Backend, BackendOptions, HeadOutputs, check_outputs, require_cpu
from faceaffect.backends.cpu_model_selection import select_cpu_model
from faceaffect.backends.onnx_session import import_runtime, onnx_version, open_session
from faceaffect.bundle.bundle import MODEL_FILE, Bundle
from faceaffect.bundle.model_spec import HEADS, BundleError
from faceaffect.types import FloatArray


def unavailable_reason() -> str:
    """An empty text, or the reason why ONNX Runtime cannot be used."""
    try:
        import_runtime()
    except ImportError as error:
        return f"onnxruntime does not import ({error}); pip install 'onnxruntime<1.29'"
    return ""


class OnnxBackend:
    """One session, in float32 or int8."""

    name = "onnx"

    def __init__(self, bundle: Bundle, options: BackendOptions) -> None:
        content, self.precision = select_cpu_model(bundle, options)
        self._session = open_session(content, options.threads, bundle.path / MODEL_FILE)
        check_outputs(
            {output.name for output in self._session.get_outputs()}, bundle.path / MODEL_FILE
        )
        size_px = bundle.spec.crop.size_px
        wanted, got = [3, size_px, size_px], self._session.get_inputs()[0].shape[1:]
        if self._session.get_inputs()[0].name != "crops" or got != wanted:
            raise BundleError(
                f"{bundle.path / MODEL_FILE}: input must be crops [N, 3, {size_px}, {size_px}], got {got}"
            )
        self._names = list(HEADS)
        self.version = onnx_version()

    def infer(self, crops: FloatArray) -> HeadOutputs:
        return dict(zip(self._names, self._session.run(self._names, {"crops": crops}), strict=True))


def open_here(bundle: Bundle, *, device: str, options: BackendOptions) -> Backend:
    require_cpu("onnx", device, options)
    return OnnxBackend(bundle, options)
