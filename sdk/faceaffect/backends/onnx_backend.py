"""ONNX Runtime on the CPU: the default backend."""

from __future__ import annotations

from faceaffect.backends.backend import (
    Backend,
    BackendOptions,
    HeadOutputs,
    check_outputs,
    require_cpu,
)
from faceaffect.backends.cpu_model_selection import select_cpu_model
from faceaffect.backends.onnx_session import (
    import_onnxruntime,
    onnxruntime_version,
    open_session,
)
from faceaffect.bundle.bundle import MODEL_FILE, Bundle
from faceaffect.bundle.model_spec import HEADS, BundleError
from faceaffect.types import FloatArray


def unavailable_reason() -> str:
    """Reason why ONNX Runtime cannot be used, or an empty string."""
    try:
        import_onnxruntime()
    except ImportError as error:
        return f"onnxruntime does not import ({error}); pip install onnxruntime"
    return ""


class OnnxBackend:
    """One session, in float32 or int8."""

    name = "onnx"

    def __init__(self, bundle: Bundle, options: BackendOptions) -> None:
        file = bundle.path / MODEL_FILE
        content, self.precision = select_cpu_model(bundle, options)
        self._session = open_session(content, options.threads, file, is_checked=True)
        check_outputs({output.name for output in self._session.get_outputs()}, file)
        network_input = self._session.get_inputs()[0]
        size_px = bundle.spec.crop.size_px
        if network_input.name != "crops" or network_input.shape[1:] != [3, size_px, size_px]:
            raise BundleError(
                f"{file}: expected input crops [N, 3, {size_px}, {size_px}], "
                f"got {network_input.name} {network_input.shape}"
            )
        self._names = list(HEADS)
        self.version = onnxruntime_version()

    def infer(self, crops: FloatArray) -> HeadOutputs:
        """Run the network on crops [N, 3, S, S]."""
        return dict(zip(self._names, self._session.run(self._names, {"crops": crops}), strict=True))


def open(bundle: Bundle, *, device: str, options: BackendOptions) -> Backend:
    """Open the backend; raises BackendError or BundleError."""
    require_cpu("onnx", device, options)
    return OnnxBackend(bundle, options)
