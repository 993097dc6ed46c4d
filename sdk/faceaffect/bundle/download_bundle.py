"""Downloads a model bundle from a web server or copies it from a folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from faceaffect.bundle.bundle import list_bundles, user_models_dir
from faceaffect.bundle.model_spec import SPEC_FILE, BundleError, ModelSpec
from faceaffect.bundle.resumable_download import (
    DownloadError,
    Progress,
    download_file,
    file_sha256,
)

_MAX_SPEC_BYTES: Final = 1 << 20
_MAX_FILE_BYTES: Final = 2 << 30
_PARTIAL_FOLDER: Final = ".partial"

FileProgress = Callable[[str], Progress]
"""File name -> callback for the progress of that file."""

_Transfer = Callable[[str, str, int], None]
"""(file, expected SHA-256 or "", maximum bytes): transfer and verify one file."""


def download_bundle(
    source: str,
    sha256: str = "",
    name: str = "",
    progress: FileProgress = lambda _file: lambda _received, _total: None,
) -> tuple[Path, str]:
    """Download a bundle into the user's data folder.

    The spec holds the SHA-256 of every other file, so `sha256` pins them all. Calling it again
    resumes an interrupted transfer. The folder appears in one step after everything is verified.

    Args:
        source: URL or path of the bundle's spec.json or of its folder.
        sha256: Expected SHA-256 of spec.json in hexadecimal; empty: any.
        name: Name of the bundle; empty: the name in its spec.
        progress: See `FileProgress`.

    Returns:
        The folder of the bundle and the SHA-256 of its spec.

    Raises:
        DownloadError: The source or an argument is invalid, or a transfer failed.
        BundleError: The spec is not usable.
    """
    is_remote = _check_source(source, sha256)
    if not source.endswith(SPEC_FILE):
        source = f"{source.rstrip('/')}/{SPEC_FILE}"
    models = user_models_dir()
    digest = hashlib.sha256(f"{source} {sha256}".encode()).hexdigest()[:16]
    partial = models / _PARTIAL_FOLDER / digest
    try:
        partial.mkdir(parents=True, exist_ok=True)
        transfer = (
            _downloader(source, partial, progress)
            if is_remote
            else _copier(Path(source).parent, partial)
        )
        spec = _transfer_spec(transfer, partial, sha256)
        folder = models / _check_name(name or spec.name, partial)
        _transfer_files(transfer, partial, spec)
        spec_sha256 = file_sha256(partial / SPEC_FILE)
        if folder.is_dir():  # the same bundle; replaced in case its files were damaged since
            shutil.rmtree(folder)
        os.replace(partial, folder)
    except OSError as error:
        raise DownloadError(
            f"{source}: cannot write to {models} ({error.strerror or error}); free some space"
        ) from None
    return folder, spec_sha256


def _check_source(source: str, sha256: str) -> bool:
    """Validate the arguments; returns whether `source` is remote."""
    is_remote = urlsplit(source).scheme in ("http", "https")
    if not is_remote and "://" in source:
        raise DownloadError(f"{source}: expected a URL that begins with https://, or a folder")
    if source.startswith("http:") and not sha256:
        raise DownloadError(
            f"{source}: an unencrypted transfer can be modified; use https:// or give --sha256"
        )
    if sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise DownloadError(
            f"--sha256: expected the 64 hexadecimal digits of the bundle's {SPEC_FILE}, "
            f"got {sha256!r}"
        )
    return is_remote


def _transfer_spec(transfer: _Transfer, partial: Path, sha256: str) -> ModelSpec:
    # The spec is always transferred again: files of an older one then fail their checksum and are
    # transferred again too.
    (partial / f"{SPEC_FILE}.part").unlink(missing_ok=True)
    transfer(SPEC_FILE, sha256, _MAX_SPEC_BYTES)
    return ModelSpec.load(partial)


def _transfer_files(transfer: _Transfer, partial: Path, spec: ModelSpec) -> None:
    for file, sha256 in spec.files.items():
        _require_plain(file)
        if not _is_verified(partial / file, sha256):
            transfer(file, sha256, _MAX_FILE_BYTES)
    expected = {partial / file for file in (SPEC_FILE, *spec.files)}
    for leftover in set(partial.iterdir()) - expected:
        leftover.unlink()


def _downloader(spec_url: str, partial: Path, progress: FileProgress) -> _Transfer:
    def transfer(file: str, sha256: str, max_bytes: int) -> None:
        url = urljoin(spec_url, quote(file))
        download_file(url, partial / file, sha256, max_bytes, progress(file))

    return transfer


def _copier(folder: Path, partial: Path) -> _Transfer:
    def transfer(file: str, sha256: str, _max_bytes: int) -> None:
        try:
            shutil.copyfile(folder / file, partial / file)
        except FileNotFoundError:
            raise DownloadError(
                f"{folder / file}: no such file; give the folder that holds the bundle"
            ) from None
        if sha256 and not _is_verified(partial / file, sha256):
            (partial / file).unlink()
            raise DownloadError(
                f"{folder / file}: expected SHA-256 {sha256.lower()}, got another; "
                "it was changed or damaged"
            )

    return transfer


def _is_verified(path: Path, sha256: str) -> bool:
    return path.is_file() and file_sha256(path) == sha256.lower()


def _require_plain(file: str) -> None:
    is_plain = re.fullmatch(r"[\w][\w. -]*", file, re.ASCII)
    if not is_plain or file in (SPEC_FILE, "..") or file.endswith(".part"):
        raise BundleError(
            f"{SPEC_FILE}: files: expected plain names inside the bundle, got {file!r}"
        )


def _check_name(name: str, partial: Path) -> str:
    """Return the name for the bundle list; raises DownloadError if another bundle has it."""
    if not re.fullmatch(r"\w[\w.-]{0,63}", name, re.ASCII):
        raise DownloadError(
            f"bundle name: expected letters, digits, '.', '_' and '-', got {name!r}; give --name"
        )
    spec = (partial / SPEC_FILE).read_bytes()
    for folder in list_bundles():
        if folder.name == name and (
            folder.parent != user_models_dir() or (folder / SPEC_FILE).read_bytes() != spec
        ):
            raise DownloadError(
                f"{name}: another bundle of this name exists ({folder}); give --name"
            )
    return name
