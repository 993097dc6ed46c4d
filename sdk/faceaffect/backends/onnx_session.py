"""Creates ONNX Runtime sessions on the CPU, for networks that may come from anybody."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from faceaffect.backends.backend import BackendError
from faceaffect.bundle.check_onnx import check_onnx
from faceaffect.bundle.model_spec import BundleError
from faceaffect.types import FloatArray

MAX_MEMORY_BYTES: Final[int] = 4 << 30
"""Memory of all networks of a process together: weights and intermediate tensors."""

_NO_FOLDER: Final[str] = os.path.join(os.devnull, "none")
"""Folder of external weights, which cannot exist; `check_onnx` refuses such weights before."""

_arena_lock: Final = threading.Lock()


def import_onnxruntime() -> Any:
    """Import onnxruntime without telemetry; raises ImportError if it is missing."""
    # Releases from 1.29 on look up a telemetry host at import unless this is set before.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


@lru_cache(maxsize=1)
def _limit_memory() -> None:
    """Create the arena that all sessions of the process share; it raises instead of growing."""
    onnxruntime = import_onnxruntime()
    unset = -1
    arena = onnxruntime.OrtArenaCfg(
        {
            "max_mem": MAX_MEMORY_BYTES,
            "arena_extend_strategy": unset,
            "initial_chunk_size_bytes": unset,
            "max_dead_bytes_per_chunk": unset,
        }
    )
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(memory, arena)


def onnxruntime_version() -> str:
    """Version of the installed onnxruntime."""
    return str(import_onnxruntime().__version__)


class OnnxSession:
    """A network in ONNX Runtime; a run that fails raises BackendError with the file's name."""

    def __init__(self, session: Any, file: Path) -> None:
        self._session = session
        self._file = file

    def get_inputs(self) -> list[Any]:
        """Inputs with `name`, `shape` and `type`."""
        return list(self._session.get_inputs())

    def get_outputs(self) -> list[Any]:
        """Outputs, as `get_inputs`."""
        return list(self._session.get_outputs())

    def run(self, outputs: Sequence[str] | None, inputs: dict[str, FloatArray]) -> list[FloatArray]:
        """Run the network; returns the named outputs, or all of them for None."""
        try:
            results: list[FloatArray] = self._session.run(outputs, inputs)
        except Exception as error:  # onnxruntime's own classes share no base but Exception
            raise BackendError(
                f"{self._file}: the network cannot run: {error}; export it again, or lower "
                "--max-faces if memory ran out"
            ) from None
        return results


def open_session(
    content: bytes, threads: int, file: Path, *, is_checked: bool = False
) -> OnnxSession:
    """Create a CPU session.

    Args:
        content: The ONNX model.
        threads: Threads of one operator.
        file: Name for errors.
        is_checked: Whether `check_onnx` has seen it, as all that `model_bytes` returns.

    Raises:
        BundleError: `check_onnx` refuses the model, or ONNX Runtime cannot load it.
    """
    if not is_checked:
        check_onnx(content, file)
    onnxruntime = import_onnxruntime()
    with _arena_lock:
        _limit_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised
    # Threads that spin between two frames would burn the cores that decoding needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", _NO_FOLDER
    )
    try:
        # Constants are folded in memory without a limit, and exports hold none to fold.
        session = onnxruntime.InferenceSession(
            content,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["ConstantFolding"],
        )
    except Exception as error:  # onnxruntime's own classes share no base but Exception
        raise BundleError(f"{file}: ONNX Runtime cannot load it: {error}") from None
    return OnnxSession(session, file)
