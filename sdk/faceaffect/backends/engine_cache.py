"""Built engines on disk: found again only for the very network, TensorRT, device and settings they
were built for.

One file an engine: a line of JSON that says what it is and the SHA-256 of what follows. A file
whose line or checksum is not the wanted one is never handed out, so a stale, foreign or damaged
engine is built again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

CACHE_VARIABLE: Final[str] = "FACEAFFECT_CACHE"
log = logging.getLogger("faceaffect")
_FORMAT: Final[int] = 2  # of the file, and of how `build_engine` builds
_LEFTOVER: Final[str] = ".engine-"  # what a file that is being written is called
_LEFTOVER_AGE_S: Final[float] = 3600.0


@dataclass(frozen=True, slots=True)
class EngineKey:
    """All that an engine depends on; another value of any of them is another engine."""

    onnx_sha256: str
    library: str  # flavour and version of TensorRT
    device: str  # name of the GPU
    compute_capability: str
    precision: str
    max_faces: int
    size_px: int
    dla: int | None

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def cache_folder() -> Path:
    """`$FACEAFFECT_CACHE`, else the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE, "")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "faceaffect" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "faceaffect"


class EngineCache:
    """The engines in one folder, shared by processes."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = (folder or cache_folder()) / "engines"

    def path_of(self, key: EngineKey) -> Path:
        return self._folder / f"{key.precision}-{key.digest[:24]}.engine"

    def find(self, key: EngineKey) -> bytes | None:
        """The engine of this key, if it is there and whole."""
        try:
            head, _, engine = self.path_of(key).read_bytes().partition(b"\n")
            said = json.loads(head)
        except (
            OSError,
            ValueError,
            RecursionError,
        ):  # no file; no JSON, or bytes that are no text; brackets without end
            return None
        return engine if isinstance(said, dict) and said == _header(key, engine) else None

    def find_or_build(
        self,
        key: EngineKey,
        build: Callable[[], bytes],
        *,
        waiting: Callable[[Path], None] = lambda _: None,
    ) -> bytes:
        """The engine of this key, built by one process while others wait; `waiting` is told before
        a wait.
        """
        found = self.find(key)
        if found is not None:
            return found
        with self._held(key, waiting):
            found = self.find(key)  # another process may have built it meanwhile
            if found is None:
                found = build()
                self._store(key, found)
        return found

    def replace(
        self,
        key: EngineKey,
        refused: bytes,
        build: Callable[[], bytes],
        *,
        waiting: Callable[[Path], None] = lambda _: None,
    ) -> bytes:
        """Build again what is of no use, unless another process has done so meanwhile."""
        with self._held(key, waiting):
            found = self.find(key)
            if found is None or found == refused:
                found = build()
                self._store(key, found)
        return found

    @contextmanager
    def _held(self, key: EngineKey, waiting: Callable[[Path], None]) -> Iterator[None]:
        """Hold the key's lock. A folder that cannot be written costs the keeping, not the engine:
        nobody is waited for.
        """
        path = self.path_of(key).with_suffix(".lock")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        except OSError:
            yield  # `_store` will say so
            return
        with file:  # the system gives the lock back when the process ends, however it ends
            if not _try_lock(file.fileno(), wait=False):
                waiting(path)
                _try_lock(file.fileno(), wait=True)
            yield

    def _store(self, key: EngineKey, engine: bytes) -> None:
        """Whole or not at all: a reader never sees half a file, not even after a power cut."""
        name = ""
        try:
            self._sweep()
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=_LEFTOVER)
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(_header(key, engine)).encode() + b"\n" + engine)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path_of(key))
        except BaseException as error:
            Path(name).unlink(missing_ok=True) if name else None
            if not isinstance(error, OSError):
                raise
            log.warning(
                "faceaffect: the engine cannot be kept in %s (%s), so the next start builds it again; "
                "%s names another folder", self._folder, error, CACHE_VARIABLE,
            )  # fmt: skip

    def _sweep(self) -> None:
        """Remove what processes that were killed while they wrote have left."""
        for path in self._folder.glob(f"{_LEFTOVER}*"):
            if time.time() - path.stat().st_mtime > _LEFTOVER_AGE_S:
                path.unlink(missing_ok=True)


def _header(key: EngineKey, engine: bytes) -> dict[str, Any]:
    return {"format": _FORMAT, "sha256": hashlib.sha256(engine).hexdigest(), "key": asdict(key)}


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int, *, wait: bool) -> bool:
        while True:
            try:
                msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError:  # LK_LOCK gives up after ten seconds
                if not wait:
                    return False
            else:
                return True
else:
    import fcntl

    def _try_lock(handle: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: two processes may then build the same engine
            return True
        return True
