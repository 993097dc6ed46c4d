"""OpenVINO on the CPU: an extra for x86-64 machines on which it measures faster."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any

from faceaffect.backends import Backend, BackendOptions, HeadOutputs, check_outputs, require_cpu
from faceaffect.backends.cpu_model_selection import select_cpu_model
from faceaffect.bundle.bundle import MODEL_FILE, Bundle
from faceaffect.bundle.model_spec import HEADS, BundleError
from faceaffect.types import FloatArray


def unavailable_reason() -> str:
    """An empty text, or the reason why OpenVINO cannot be used."""
    if importlib.util.find_spec("openvino") is None:
        return "openvino is not installed; pip install 'faceaffect[openvino]'"
    return ""


class _Silence(types.ModuleType):
    """Stands in for `openvino_telemetry`, which looks up a host when the runtime is imported."""

    class Telemetry:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __getattr__(self, _: str) -> Any:
            return lambda *_args, **_kwargs: None


def _import() -> Any:
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = _Silence("openvino_telemetry")
        sys.modules["openvino_telemetry.main"] = _Silence("openvino_telemetry.main")
    return importlib.import_module("openvino")


class OpenvinoBackend:
    """One compiled model in float32 or int8; the processor's own bfloat16 is not used, so figures
    compare with ONNX Runtime.
    """

    name = "openvino"

    def __init__(self, bundle: Bundle, settings: BackendOptions) -> None:
        openvino = _import()
        content, self.precision = select_cpu_model(bundle, settings)
        try:
            runtime = openvino.Core()
            model = runtime.read_model(content)
            options = {
                "INFERENCE_NUM_THREADS": settings.threads,
                "INFERENCE_PRECISION_HINT": "f32",
                "NUM_STREAMS": 1,
            }
            self._request = runtime.compile_model(model, "CPU", options).create_infer_request()
        except RuntimeError as error:
            raise BundleError(
                f"{bundle.path / MODEL_FILE}: OpenVINO cannot load it: {error}"
            ) from None
        check_outputs({output.any_name for output in model.outputs}, bundle.path / MODEL_FILE)
        self.version = str(openvino.__version__)

    def infer(self, crops: FloatArray) -> HeadOutputs:
        self._request.infer({"crops": crops}, share_inputs=True)
        return {name: self._request.get_tensor(name).data.copy() for name in HEADS}


def open_here(bundle: Bundle, *, device: str, options: BackendOptions) -> Backend:
    require_cpu("openvino", device, options)
    return OpenvinoBackend(bundle, options)
