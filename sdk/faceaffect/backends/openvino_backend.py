"""OpenVINO on the CPU: an extra for x86-64 machines on which it measures faster."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any

from faceaffect.backends.backend import (
    Backend,
    BackendError,
    BackendOptions,
    HeadOutputs,
    check_outputs,
    require_cpu,
)
from faceaffect.backends.cpu_model_selection import select_cpu_model
from faceaffect.bundle.bundle import MODEL_FILE, Bundle
from faceaffect.bundle.model_spec import HEADS, BundleError
from faceaffect.system.install_command import install_command
from faceaffect.types import FloatArray


def unavailable_reason() -> str:
    """Reason why OpenVINO cannot be used, or an empty string."""
    if importlib.util.find_spec("openvino") is None:
        return f"openvino is not installed; {install_command('openvino')}"
    return ""


class _NoTelemetry(types.ModuleType):
    """Replaces `openvino_telemetry`, which looks up a host when openvino is imported."""

    class Telemetry:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __getattr__(self, _: str) -> Any:
            return lambda *_args, **_kwargs: None


def _import_openvino() -> Any:
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = _NoTelemetry("openvino_telemetry")
        sys.modules["openvino_telemetry.main"] = _NoTelemetry("openvino_telemetry.main")
    return importlib.import_module("openvino")


class OpenVINOBackend:
    """One compiled model, in float32 or int8.

    bfloat16 stays off even on processors that have it, so that results are comparable with ONNX
    Runtime.
    """

    name = "openvino"

    def __init__(self, bundle: Bundle, options: BackendOptions) -> None:
        openvino = _import_openvino()
        file = bundle.path / MODEL_FILE
        content, self.precision = select_cpu_model(bundle, options)
        config = {
            "INFERENCE_NUM_THREADS": options.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": 1,
        }
        try:
            core = openvino.Core()
            model = core.read_model(content)
            self._request = core.compile_model(model, "CPU", config).create_infer_request()
        except RuntimeError as error:
            raise BundleError(f"{file}: OpenVINO cannot load it: {error}") from None
        check_outputs({output.any_name for output in model.outputs}, file)
        self.version = str(openvino.__version__)

    def infer(self, crops: FloatArray) -> HeadOutputs:
        """Run the network on crops [N, 3, S, S]."""
        try:
            self._request.infer({"crops": crops}, share_inputs=True)
        except RuntimeError as error:
            raise BackendError(f"OpenVINO cannot run the network: {error}") from None
        return {name: self._request.get_tensor(name).data.copy() for name in HEADS}


def open(bundle: Bundle, *, device: str, options: BackendOptions) -> Backend:
    """Open the backend; raises BackendError or BundleError."""
    require_cpu("openvino", device, options)
    return OpenVINOBackend(bundle, options)
