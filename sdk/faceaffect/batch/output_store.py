"""Output folders, local or remote. A file appears under its name only when it is complete.

Beside the output files is `.faceaffect/`: `run.json` (configuration), `failed/` (one file per input
that failed), `inputs.jsonl` (identity of each analyzed input), `side_cars/` (how each output file
was made) and `work/` (files being written).
Readers of datasets skip names with a leading dot.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

from faceaffect.batch.file_task import BatchError
from faceaffect.batch.remote_files import is_remote, open_remote
from faceaffect.sinks.side_car import RUN_FOLDER
from faceaffect.system.durable_file import open_regular, sync_file, sync_folder
from faceaffect.system.file_identity import FileIdentity

STATE: Final = RUN_FOLDER
RUN: Final = f"{STATE}/run.json"
FAILED: Final = f"{STATE}/failed"
WORK: Final = f"{STATE}/work"
LOCK: Final = f"{STATE}/lock"
INPUTS: Final = f"{STATE}/inputs.jsonl"
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)


class OutputStore(Protocol):
    """An output folder. Names are relative paths with `/` as separator."""

    root: str

    @abstractmethod
    def names(self, below: str = "") -> set[str]:
        """Return all files below a folder, relative to it.

        Those in `.faceaffect` are included only if `below` is in it.
        """

    @abstractmethod
    def read(self, name: str) -> str | None:
        """Return the text of a file; None if there is none."""

    def write(self, name: str, text: str) -> None:
        """Write a text file atomically."""
        with self.work_folder() as folder:
            file = folder / "text"
            file.write_text(text, encoding="utf-8")
            self.publish(file, name)

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file if it exists."""

    @abstractmethod
    def work_folder(self) -> AbstractContextManager[Path]:
        """Open a temporary local folder for files to `publish`."""

    @abstractmethod
    def publish(self, file: Path, name: str) -> None:
        """Move a finished file to `name` atomically; an existing file is replaced."""

    def log_input(self, name: str, identity: FileIdentity) -> None:  # a hook
        """Record what the input of an output file was; no-op where files cannot grow."""
        return

    def logged_inputs(self) -> dict[str, FileIdentity]:
        """Return what `log_input` recorded."""
        return {}

    @abstractmethod
    def lock(self) -> AbstractContextManager[None]:
        """Exclude other runs inside the block; raises BatchError if there is one."""


def open_store(out: str) -> OutputStore:
    """Open the output folder at a path or address."""
    return RemoteStore(out) if is_remote(out) else LocalStore(Path(out.removeprefix("file://")))


class LocalStore(OutputStore):
    """Output folder on a local disk."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._root = root.absolute()

    def names(self, below: str = "") -> set[str]:
        """See `OutputStore.names`."""
        top = self._root / below
        names = set()
        for folder, folders, files in os.walk(top):
            if not below and folder == str(top) and STATE in folders:
                folders.remove(STATE)
            names |= {(Path(folder) / file).relative_to(top).as_posix() for file in files}
        return names

    def read(self, name: str) -> str | None:
        """See `OutputStore.read`."""
        try:
            return (self._root / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """See `OutputStore.remove`."""
        (self._root / name).unlink(missing_ok=True)

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        """See `OutputStore.work_folder`."""
        work = self._root / WORK
        self._require_own_folders()
        try:
            work.mkdir(parents=True, exist_ok=True)
            temporary = TemporaryDirectory(dir=work, ignore_cleanup_errors=True)
        except OSError as error:
            raise self._not_writable(error) from None
        with temporary as folder:
            yield Path(folder)

    def publish(self, file: Path, name: str) -> None:
        """See `OutputStore.publish`."""
        target = self._root / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            sync_file(file)
            os.replace(file, target)
            sync_folder(target.parent)
        except OSError as error:
            raise self._not_writable(error) from None

    def log_input(self, name: str, identity: FileIdentity) -> None:
        """See `OutputStore.log_input`."""
        line = json.dumps({"name": name, **asdict(identity)}) + "\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_FOLLOW
        try:
            (self._root / STATE).mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._root / INPUTS, flags, 0o666)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._not_writable(error) from None

    def logged_inputs(self) -> dict[str, FileIdentity]:
        """See `OutputStore.logged_inputs`; damaged lines are left out."""
        identities = {}
        try:
            with open_regular(self._root / INPUTS) as stream:
                for line in stream:
                    with suppress(ValueError, TypeError, KeyError, RecursionError):
                        raw = json.loads(line)
                        name = str(raw.pop("name"))
                        identities[name] = FileIdentity(**raw)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise BatchError(f"{self._root / INPUTS}: cannot be read ({error.strerror})") from None
        return identities

    def _require_own_folders(self) -> None:
        """Refuse links in place of the state folders: files behind them would be removed."""
        for name in (STATE, WORK, FAILED):
            if (self._root / name).is_symlink():
                raise BatchError(
                    f"{self._root / name}: expected a folder, got a link; remove it or choose"
                    " another --out"
                )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder, and remove what a killed run left unfinished.

        The operating system releases the lock however the process ends.
        """
        import fcntl

        path = self._root / LOCK
        self._require_own_folders()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o666)
        except OSError as error:
            raise self._not_writable(error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise BatchError(
                f"{self.root}: another run is writing here; wait for it or choose another --out"
            ) from None
        try:
            self._remove_work()
            try:
                yield
            finally:
                self._remove_work()
        finally:
            os.close(descriptor)

    def _remove_work(self) -> None:
        self._require_own_folders()
        shutil.rmtree(self._root / WORK, ignore_errors=True)

    def _not_writable(self, error: OSError) -> BatchError:
        return BatchError(
            f"{self.root}: cannot be written ({error.strerror}); free space or choose another --out"
        )


class RemoteStore(OutputStore):
    """Output folder on a remote file system.

    Its `lock` excludes nobody: two concurrent runs would write the same files.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._system, path = open_remote(self.root)
        self._path = path.rstrip("/")

    def names(self, below: str = "") -> set[str]:
        """See `OutputStore.names`."""
        top = f"{self._path}/{below}".rstrip("/")
        self._system.invalidate_cache()
        try:
            names = {str(path)[len(top) :].lstrip("/") for path in self._system.find(top)}
        except FileNotFoundError:
            return set()
        return names if below else {name for name in names if not name.startswith(f"{STATE}/")}

    def read(self, name: str) -> str | None:
        """See `OutputStore.read`."""
        try:
            return bytes(self._system.cat_file(f"{self._path}/{name}")).decode("utf-8")
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """See `OutputStore.remove`."""
        try:
            self._system.rm_file(f"{self._path}/{name}")
        except FileNotFoundError:
            return

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        """See `OutputStore.work_folder`."""
        try:
            temporary = TemporaryDirectory(prefix="faceaffect-", ignore_cleanup_errors=True)
        except OSError as error:
            raise BatchError(f"a temporary folder is needed ({error}); set TMPDIR to one") from None
        with temporary as folder:
            yield Path(folder)

    def publish(self, file: Path, name: str) -> None:
        """Upload to a temporary name, then rename: a truncated upload must not look complete."""
        target = f"{self._path}/{name}"
        temporary = f"{self._path}/{WORK}/{uuid.uuid4().hex}"
        for path in (target, temporary):
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._system.put_file(str(file), temporary)
        self._system.mv(temporary, target)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Remove temporary files at the end."""
        try:
            yield
        finally:
            for name in self.names(WORK):
                self.remove(f"{WORK}/{name}")


def read_json(store: OutputStore, name: str) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if there is none, BatchError if it is damaged."""
    text = store.read(name)
    if text is None:
        return None
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise BatchError(f"{store.root}/{name} is damaged ({error}); use --overwrite") from None
