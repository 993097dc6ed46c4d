"""Where parts go: a folder or a remote one. A part is there whole or not at all.

Beside the parts lies `.faceaffect/`: `run.json` (what made them), `failed/` (one note per input
that could not be read) and `work/` (parts being written). Readers of data sets pass over names
that begin with a dot.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

from faceaffect.batch.file_task import BatchError
from faceaffect.batch.remote_files import is_remote, open_remote

OWN: Final = ".faceaffect"
RUN, FAILED, WORK, LOCK = f"{OWN}/run.json", f"{OWN}/failed", f"{OWN}/work", f"{OWN}/lock"


class OutputStore(Protocol):
    """Names are relative, with `/` between their parts."""

    root: str

    def names(self, below: str = "") -> set[str]:
        """Of all files below a folder, relative to it; the store's own files only where `below`
        asks for them.
        """
        ...

    def read(self, name: str) -> str | None: ...

    def write(self, name: str, text: str) -> None: ...

    def remove(self, name: str) -> None: ...

    def work_folder(self) -> Any:
        """Context of a fresh local folder (a Path) from which `publish` takes."""
        ...

    def publish(self, file: Path, name: str) -> None:
        """Make a finished file the part `name`, in one step; one that is there is replaced."""
        ...

    def lock(self) -> Any:
        """Context that one run at a time is in; raises BatchError for a second."""
        ...


def open_store(out: str) -> OutputStore:
    return RemoteStore(out) if is_remote(out) else LocalStore(Path(out.removeprefix("file://")))


class LocalStore:
    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._root = root.absolute()

    def names(self, below: str = "") -> set[str]:
        top = self._root / below
        found = set()
        for folder, folders, files in os.walk(top):
            if not below and folder == str(top) and OWN in folders:
                folders.remove(OWN)
            found |= {(Path(folder) / file).relative_to(top).as_posix() for file in files}
        return found

    def read(self, name: str) -> str | None:
        try:
            return (self._root / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        with self.work_folder() as folder:
            file = folder / "text"
            file.write_text(text, encoding="utf-8")
            self.publish(file, name)

    def remove(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        work = self._root / WORK
        try:
            work.mkdir(parents=True, exist_ok=True)
            made = TemporaryDirectory(dir=work, ignore_cleanup_errors=True)
        except OSError as error:
            raise self._unwritable(error) from None
        with made as folder:
            yield Path(folder)

    def publish(self, file: Path, name: str) -> None:
        target = self._root / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
        except OSError as error:
            raise self._unwritable(error) from None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """The system lets go of it however the process ends. What a killed run left half written is
        cleared away.
        """
        import fcntl

        path = self._root / LOCK
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise BatchError(
                f"{self.root}: another run is writing here; wait for it or choose another --out"
            ) from None
        try:
            shutil.rmtree(self._root / WORK, ignore_errors=True)
            yield
        finally:
            shutil.rmtree(self._root / WORK, ignore_errors=True)
            os.close(descriptor)

    def _unwritable(self, error: OSError) -> BatchError:
        return BatchError(
            f"{self.root}: cannot be written ({error.strerror}); make room or choose another --out"
        )


class RemoteStore:
    """Through fsspec. Nothing stops a second run at the same time: both would write the same parts."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._system, path = open_remote(self.root)
        self._path = path.rstrip("/")

    def names(self, below: str = "") -> set[str]:
        top = f"{self._path}/{below}".rstrip("/")
        self._system.invalidate_cache()
        try:
            found = {str(path)[len(top) :].lstrip("/") for path in self._system.find(top)}
        except FileNotFoundError:
            return set()
        return found if below else {name for name in found if not name.startswith(f"{OWN}/")}

    def read(self, name: str) -> str | None:
        try:
            return bytes(self._system.cat_file(f"{self._path}/{name}")).decode("utf-8")
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        with self.work_folder() as folder:
            file = folder / "text"
            file.write_text(text, encoding="utf-8")
            self.publish(file, name)

    def remove(self, name: str) -> None:
        try:
            self._system.rm_file(f"{self._path}/{name}")
        except FileNotFoundError:
            return

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        with TemporaryDirectory(prefix="faceaffect-") as folder:
            yield Path(folder)

    def publish(self, file: Path, name: str) -> None:
        """Uploaded under a name of its own first: an upload that is cut short is not a part."""
        target, before = f"{self._path}/{name}", f"{self._path}/{WORK}/{uuid.uuid4().hex}"
        for path in (target, before):
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._system.put_file(str(file), before)
        self._system.mv(before, target)

    @contextmanager
    def lock(self) -> Iterator[None]:
        try:
            yield
        finally:
            for name in self.names(WORK):
                self.remove(f"{WORK}/{name}")


def read_json(store: OutputStore, name: str) -> dict[str, Any] | None:
    """None where there is no such file; raises BatchError for a damaged one."""
    text = store.read(name)
    if text is None:
        return None
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise BatchError(f"{store.root}/{name} is damaged ({error}); use --overwrite") from None
