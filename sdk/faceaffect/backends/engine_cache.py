"""Caches TensorRT engines on disk, keyed by model, TensorRT version, device and settings.

A cache file is a line of JSON (key, SHA-256 of the engine) followed by the engine. A file whose
line or checksum does not match is ignored, so that stale and damaged engines are built again.

An engine is code, and who can write the file can write its checksum too: the folder has mode 0700,
and links and files that others own or can write are never loaded.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from platformdirs import user_cache_path

from faceaffect.system.interprocess_lock import hold_lock
from faceaffect.system.private_folder import (
    check_private_folder,
    make_private_folder,
    read_private_file,
)

CACHE_VARIABLE: Final[str] = "FACEAFFECT_CACHE"
log = logging.getLogger("faceaffect")
_FORMAT: Final[int] = 3  # version of the file format and of the build code
_TEMP_PREFIX: Final[str] = ".engine-"
_MAX_TEMP_AGE_S: Final[float] = 3600.0
_MAX_ENGINE_BYTES: Final[int] = 4 << 30


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Everything that an engine depends on.

    Attributes:
        onnx_sha256: SHA-256 of the ONNX file.
        library: Flavor and version of TensorRT.
        device: Name of the GPU.
        compute_capability: Of the GPU.
        multiprocessors: Of the GPU: boards of the same name may differ.
        precision: See `EngineSettings`, as the rest.
    """

    onnx_sha256: str
    library: str
    device: str
    compute_capability: str
    multiprocessors: int
    precision: str
    max_faces: int
    size_px: int
    dla_core: int | None
    optimization_level: int | None
    profile_per_batch_size: bool

    @property
    def digest(self) -> str:
        """SHA-256 of the key."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def user_cache_dir() -> Path:
    """`$FACEAFFECT_CACHE`, else `faceaffect` in the user's cache folder."""
    override = os.environ.get(CACHE_VARIABLE, "")
    return Path(override) if override else user_cache_path("faceaffect", appauthor=False)


class EngineCache:
    """The engines in one folder, shared by processes."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = (folder or user_cache_dir()) / "engines"

    def path_for(self, key: EngineKey) -> Path:
        """Path of the file for a key."""
        return self._folder / f"{key.precision}-{key.digest[:24]}.engine"

    def find(self, key: EngineKey) -> bytes | None:
        """The cached engine of a key, or None if it is missing or damaged."""
        try:
            check_private_folder(self._folder)
            content = read_private_file(self.path_for(key), _MAX_ENGINE_BYTES)
            line, _, engine = content.partition(b"\n")
            header = json.loads(line)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("faceaffect: %s: the cached engine is not used (%s)", self._folder, error)
            return None
        except (ValueError, RecursionError):  # no JSON; endless brackets
            return None
        return engine if isinstance(header, dict) and header == _header(key, engine) else None

    def find_or_build(
        self,
        key: EngineKey,
        build: Callable[[], bytes],
        *,
        on_wait: Callable[[Path], None] = lambda _: None,
    ) -> bytes:
        """The engine of a key, built by one process while others wait.

        Args:
            key: The key.
            build: Builds the engine if there is none.
            on_wait: Called with the lock file before waiting for another process.
        """
        engine = self.find(key)
        if engine is not None:
            return engine
        with self._lock(key, on_wait):
            engine = self.find(key)  # another process may have built it meanwhile
            if engine is None:
                engine = build()
                self._store(key, engine)
        return engine

    def replace(
        self,
        key: EngineKey,
        rejected: bytes,
        build: Callable[[], bytes],
        *,
        on_wait: Callable[[Path], None] = lambda _: None,
    ) -> bytes:
        """Rebuild the engine `rejected` unless another process has done so meanwhile."""
        with self._lock(key, on_wait):
            engine = self.find(key)
            if engine is None or engine == rejected:
                engine = build()
                self._store(key, engine)
        return engine

    @contextmanager
    def _lock(self, key: EngineKey, on_wait: Callable[[Path], None]) -> Iterator[None]:
        """Hold the key's lock; without one if the folder is not writable."""
        with ExitStack() as stack:
            try:
                make_private_folder(self._folder)
                path = self.path_for(key).with_suffix(".lock")
                stack.enter_context(hold_lock(path, on_wait))
            except OSError:
                pass  # `_store` warns
            yield

    def _store(self, key: EngineKey, engine: bytes) -> None:
        header = json.dumps(_header(key, engine)).encode()
        self._write(self.path_for(key), header + b"\n" + engine)

    def timing_file(self, key: EngineKey) -> TimingFile:
        """The kernel timings of all engines of a key's TensorRT and GPU."""
        machine = [key.library, key.device, key.compute_capability, key.multiprocessors]
        digest = hashlib.sha256(json.dumps(machine).encode()).hexdigest()
        return TimingFile(self._folder / f"timings-{digest[:24]}.cache", self._write)

    def _write(self, path: Path, content: bytes) -> None:
        """Write atomically: a reader never sees half a file, not even after a power cut."""
        temp = ""
        try:
            make_private_folder(self._folder)
            self._remove_old_temp_files()
            handle, temp = tempfile.mkstemp(dir=self._folder, prefix=_TEMP_PREFIX)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temp, path)
        except BaseException as error:
            if temp:
                Path(temp).unlink(missing_ok=True)
            if not isinstance(error, OSError):
                raise
            log.warning(
                "faceaffect: the engine cannot be cached in %s (%s), so the next start builds it "
                "again; set %s to another folder",
                self._folder,
                error,
                CACHE_VARIABLE,
            )

    def _remove_old_temp_files(self) -> None:
        """Remove temporary files of processes that were killed while writing."""
        for path in self._folder.glob(f"{_TEMP_PREFIX}*"):
            if time.time() - path.stat().st_mtime > _MAX_TEMP_AGE_S:
                path.unlink(missing_ok=True)


class TimingFile:
    """Kernel timings of builds, on disk; see `build_engine.TimingStore`."""

    def __init__(self, path: Path, write: Callable[[Path, bytes], None]) -> None:
        self._path = path
        self._write = write

    def load(self) -> bytes:
        """Return the stored timings; TensorRT checks them."""
        try:
            return self._path.read_bytes()
        except OSError:
            return b""

    def store(self, timings: bytes) -> None:
        """Replace them."""
        if timings:
            self._write(self._path, timings)


def _header(key: EngineKey, engine: bytes) -> dict[str, Any]:
    return {"format": _FORMAT, "sha256": hashlib.sha256(engine).hexdigest(), "key": asdict(key)}
