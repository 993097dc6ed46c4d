"""Files that are not on a disk of this machine: s3://, gs://, memory:// and whatever else fsspec
knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final

from faceaffect.batch.file_task import BatchError, Input
from faceaffect.sources.image_files import is_glob
from faceaffect.sources.open_source import LIVE_SCHEMES
from faceaffect.sources.source import SourceError

_OURS: Final = ("file", "nvdec", *LIVE_SCHEMES)


def is_remote(uri: str) -> bool:
    """Whether `uri` has a scheme that neither this package nor the operating system opens."""
    scheme, found, _ = uri.partition("://")
    return bool(found) and scheme not in _OURS


def open_remote(uri: str) -> tuple[Any, str]:
    """The file system of `uri` and the path in it; raises BatchError where a package or the access
    is missing.
    """
    try:
        import fsspec
    except ImportError as error:
        raise BatchError(
            f'{uri}: this needs fsspec ({error}): pip install "faceaffect[ray]"'
        ) from None
    try:
        system, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:  # fsspec names the package that is missing
        raise BatchError(f"{uri}: cannot be opened here: {error}") from None
    return system, str(path)


def list_remote(uri: str, is_video: Callable[[str], bool]) -> list[Input]:
    """What a remote pattern or folder holds; a single file is named without a look at it."""
    system, path = open_remote(uri)
    try:
        if is_glob(path):
            root = path[: min(path.index(letter) for letter in "*?[" if letter in path)].rpartition(
                "/"
            )[0]
            found = [match for match in sorted(system.glob(path)) if not system.isdir(match)]
        elif system.isdir(path):
            root, found = (
                path.rstrip("/"),
                [match for match in sorted(system.find(path)) if is_video(match)],
            )
        else:
            return [Input(uri, PurePosixPath(path).name)]
    except Exception as error:  # each file system raises its own kinds
        raise SourceError(
            f"{uri}: cannot be listed ({type(error).__name__}: {error}); check address and access"
        ) from None
    return [
        Input(system.unstrip_protocol(match), match[len(root) :].lstrip("/")) for match in found
    ]


@contextmanager
def local_copy(uri: str) -> Iterator[str]:
    """A path that decoders can open: `uri` itself, or a copy that lives as long as the block.
    Raises SourceError.
    """
    if not is_remote(uri):
        yield uri
        return
    system, path = open_remote(uri)
    with TemporaryDirectory(prefix="faceaffect-") as folder:
        copy = Path(folder) / PurePosixPath(path).name
        try:
            system.get_file(path, str(copy))
        except Exception as error:  # each file system raises its own kinds
            raise SourceError(
                f"{uri}: cannot be fetched ({type(error).__name__}: {error}); check address and access"
            ) from None
        yield str(copy)
