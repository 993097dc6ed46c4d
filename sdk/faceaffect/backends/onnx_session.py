"""ONNX Runtime on the CPU, set up as everything here wants it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from faceaffect.bundle.model_spec import BundleError


def import_runtime() -> Any:
    """The package; raises ImportError where it is missing."""
    # Releases from 1.29 on look up a telemetry host at import unless this is set before.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def onnx_version() -> str:
    return str(import_runtime().__version__)


def open_session(content: bytes, threads: int, where: Path) -> Any:
    """A session on the CPU; BundleError, naming the file, where the content is no network that can
    be run.
    """
    runtime = import_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin between two frames would burn the cores that decoding needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except (
        Exception
    ) as error:  # onnxruntime raises its own classes, which share no base but Exception
        raise BundleError(f"{where}: ONNX Runtime cannot load it: {error}") from None
