"""A model bundle from a web server or a folder into the user's data folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from faceaffect.bundle.bundle import data_folder, list_bundles
from faceaffect.bundle.model_spec import SPEC_FILE, BundleError, ModelSpec
from faceaffect.bundle.resumable_download import DownloadError, Progress, fetch, sha256_of

_MOST_SPEC_BYTES: Final = 1 << 20
_MOST_FILE_BYTES: Final = 2 << 30
_PARTIAL: Final = ".partial"

FileProgress = Callable[[str], Progress]
"""Takes the name of a file, gives what takes the bytes of it."""


def get_bundle(
    source: str,
    sha256: str = "",
    name: str = "",
    progress: FileProgress = lambda _file: lambda _there, _all: None,
) -> tuple[Path, str]:
    """Fetch the bundle whose spec.json stands at the address or path `source`; returns its folder
    and the spec's SHA-256.

    The spec holds the SHA-256 of every other file, so `sha256`, that of the spec, pins them all.
    An interrupted transfer is gone on with by the same call; the folder appears in one step,
    when everything in it is verified. Raises DownloadError or BundleError.
    """
    is_remote = urlsplit(source).scheme in ("http", "https")
    if not is_remote and "://" in source:
        raise DownloadError(
            f"{source}: an address that begins with https:// or a folder was wanted"
        )
    if source.startswith("http:") and not sha256:
        raise DownloadError(
            f"{source}: without encryption anybody on the way could change it; use https:// or give --sha256"
        )
    if sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise DownloadError(
            f"--sha256 must be the 64 hexadecimal digits of the bundle's {SPEC_FILE}, got {sha256!r}"
        )
    if not source.endswith(SPEC_FILE):
        source = f"{source.rstrip('/')}/{SPEC_FILE}"
    partial = (
        data_folder() / _PARTIAL / hashlib.sha256(f"{source} {sha256}".encode()).hexdigest()[:16]
    )
    try:
        partial.mkdir(parents=True, exist_ok=True)
        take = (
            _fetcher(source, partial, progress)
            if is_remote
            else _copier(Path(source).parent, partial)
        )
        # The spec comes anew each time: files of an older one fail their checksum and are fetched
        # again.
        (partial / f"{SPEC_FILE}.part").unlink(missing_ok=True)
        take(SPEC_FILE, sha256, _MOST_SPEC_BYTES)
        spec = ModelSpec.load(partial)
        folder = data_folder() / _free_name(name or spec.name, partial)
        for file, digest in spec.files.items():
            _require_plain(file)
            if not _is_right(partial / file, digest):
                take(file, digest, _MOST_FILE_BYTES)
        for stray in set(partial.iterdir()) - {partial / file for file in (SPEC_FILE, *spec.files)}:
            stray.unlink()
        found = sha256_of(partial / SPEC_FILE)
        if folder.is_dir():  # the very same bundle: its files may have been damaged since
            shutil.rmtree(folder)
        os.replace(partial, folder)
    except OSError as error:
        if isinstance(error, (DownloadError, BundleError)):
            raise
        raise DownloadError(
            f"{source}: cannot be stored in {data_folder()} ({error.strerror or error}); make room"
        ) from None
    return folder, found


def _fetcher(
    spec_url: str, partial: Path, progress: FileProgress
) -> Callable[[str, str, int], None]:
    def take(file: str, digest: str, most_bytes: int) -> None:
        fetch(urljoin(spec_url, quote(file)), partial / file, digest, most_bytes, progress(file))

    return take


def _copier(folder: Path, partial: Path) -> Callable[[str, str, int], None]:
    def take(file: str, digest: str, _most_bytes: int) -> None:
        try:
            shutil.copyfile(folder / file, partial / file)
        except FileNotFoundError:
            raise DownloadError(
                f"{folder / file}: no such file; give the folder that holds the bundle"
            ) from None
        if digest and not _is_right(partial / file, digest):
            (partial / file).unlink()
            raise DownloadError(
                f"{folder / file}: SHA-256 must be {digest.lower()}, it is another; it was changed or damaged"
            )

    return take


def _is_right(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_of(path) == digest.lower()


def _require_plain(file: str) -> None:
    if (
        not re.fullmatch(r"[\w][\w. -]*", file, re.ASCII)
        or file in (SPEC_FILE, "..")
        or file.endswith(".part")
    ):
        raise BundleError(f"{SPEC_FILE}: files must be plain names inside the bundle, got {file!r}")


def _free_name(name: str, partial: Path) -> str:
    """The name under which the bundle will be listed; one that is taken by another bundle is
    refused.
    """
    if not re.fullmatch(r"\w[\w.-]{0,63}", name, re.ASCII):
        raise DownloadError(
            f"a bundle's name must be made of letters, digits, '.', '_' and '-', got {name!r}; give --name"
        )
    wanted = (partial / SPEC_FILE).read_bytes()
    for folder in list_bundles():
        if folder.name == name and (
            folder.parent != data_folder() or (folder / SPEC_FILE).read_bytes() != wanted
        ):
            raise DownloadError(
                f"{name}: there is another bundle of this name ({folder}); give --name"
            )
    return name
