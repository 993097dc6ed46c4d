"""ONNX Runtime on the CPU, set up as everything here wants it."""

from __future__ import annotations

import os
from typing import Any


def import_runtime() -> Any:
    """The package; raises ImportError where it is missing."""
    # Releases from 1.29 on look up a telemetry host at import unless this is set before.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def open_session(network: bytes, threads: int) -> Any:
    """An `InferenceSession` over an ONNX file's bytes; raises what ONNX Runtime raises."""
    runtime = import_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin between two frames would burn the cores that decoding needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
