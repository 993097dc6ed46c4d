"""Creates ONNX Runtime sessions on the CPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from faceaffect.bundle.model_spec import BundleError


def import_onnxruntime() -> Any:
    """Import onnxruntime without telemetry; raises ImportError if it is missing."""
    # Releases from 1.29 on look up a telemetry host at import unless this is set before.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def onnxruntime_version() -> str:
    """Version of the installed onnxruntime."""
    return str(import_onnxruntime().__version__)


def open_session(content: bytes, threads: int, file: Path) -> Any:
    """Create a CPU session.

    Args:
        content: The ONNX model.
        threads: Threads of one operator.
        file: Name for errors.

    Raises:
        BundleError: ONNX Runtime cannot load the model.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin between two frames would burn the cores that decoding needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes share no base but Exception
        raise BundleError(f"{file}: ONNX Runtime cannot load it: {error}") from None
