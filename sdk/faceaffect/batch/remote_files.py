"""Files on remote file systems: s3://, gs://, memory:// and others that fsspec supports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final

from faceaffect.batch.file_task import BatchError, Input
from faceaffect.sources.open_source import LIVE_SCHEMES, WEB_SCHEMES, split_scheme
from faceaffect.sources.patterns import is_glob
from faceaffect.sources.source import SourceError
from faceaffect.system.install_command import install_command

_LOCAL_SCHEMES: Final = ("file", "nvdec", *LIVE_SCHEMES, *WEB_SCHEMES)


def is_remote(uri: str) -> bool:
    """Return whether `uri` needs fsspec: its scheme is not one that sources open themselves."""
    scheme, _ = split_scheme(uri)
    return bool(scheme) and scheme not in _LOCAL_SCHEMES


def open_remote(uri: str) -> tuple[Any, str]:
    """Return the file system of `uri` and the path in it.

    Raises:
        BatchError: If a package or the access is missing.
    """
    try:
        import fsspec
    except ImportError as error:
        raise BatchError(f"{uri}: needs fsspec ({error}): {install_command('ray')}") from None
    try:
        system, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:  # fsspec names the package that is missing
        raise BatchError(f"{uri}: cannot be opened: {error}") from None
    return system, str(path)


def list_remote(uri: str, is_video: Callable[[str], bool]) -> list[Input]:
    """List the inputs of a remote pattern or folder; a single file is not checked.

    Raises:
        SourceError: If the address cannot be listed.
    """
    system, path = open_remote(uri)
    try:
        if is_glob(path):
            wildcard = min(path.index(letter) for letter in "*?[" if letter in path)
            root = path[:wildcard].rpartition("/")[0]
            matches = [match for match in sorted(system.glob(path)) if not system.isdir(match)]
        elif system.isdir(path):
            root = path.rstrip("/")
            matches = [match for match in sorted(system.find(path)) if is_video(match)]
        else:
            return [Input(uri, PurePosixPath(path).name)]
    except Exception as error:  # each file system raises its own types
        raise SourceError(
            f"{uri}: cannot be listed ({type(error).__name__}: {error}); check address and access"
        ) from None
    return [
        Input(system.unstrip_protocol(match), match[len(root) :].lstrip("/")) for match in matches
    ]


@contextmanager
def local_copy(uri: str) -> Iterator[str]:
    """Yield a path that decoders can open: `uri` itself, or a temporary copy of a remote file.

    Raises:
        SourceError: If the file cannot be downloaded.
    """
    if not is_remote(uri):
        yield uri
        return
    system, path = open_remote(uri)
    with TemporaryDirectory(prefix="faceaffect-") as folder:
        copy = Path(folder) / PurePosixPath(path).name
        try:
            system.get_file(path, str(copy))
        except Exception as error:  # each file system raises its own types
            raise SourceError(
                f"{uri}: cannot be downloaded ({type(error).__name__}: {error}); check address and"
                " access"
            ) from None
        yield str(copy)
