"""Values of the options that select a backend and its precision, for type checkers."""

from __future__ import annotations

from typing import Literal

BackendName = Literal["auto", "onnx", "openvino", "tensorrt"]
PrecisionName = Literal["auto", "fp32", "fp16", "int8"]
