"""Downloads a model bundle from a web server or copies it from a folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, urljoin

from faceaffect.bundle.bundle import list_bundles, user_models_dir
from faceaffect.bundle.bundle_files import (
    MAX_BUNDLE_BYTES,
    MAX_FILE_BYTES,
    MAX_SPEC_BYTES,
    SPEC_FILE,
    BundleError,
    is_plain_name,
    read_bundle_file,
)
from faceaffect.bundle.http_request import DownloadError, shown_url, split_url
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.bundle.resumable_download import Progress, download_file, file_sha256
from faceaffect.bundle.signature import (
    MAX_SIGNATURE_BYTES,
    SIGNATURE_SUFFIX,
    check_public_key,
    verify_signature,
)
from faceaffect.system.interprocess_lock import hold_lock
from faceaffect.system.regular_file import RegularFileError, copy_regular

_SIGNATURE_FILE: Final = SPEC_FILE + SIGNATURE_SUFFIX
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
    public_key: str = "",
) -> tuple[Path, str]:
    """Download a bundle into the user's data folder.

    The spec holds the SHA-256 of every other file, so `sha256` pins them all. Calling it again
    resumes an interrupted transfer. The folder appears in one step after everything is verified.

    Args:
        source: URL or path of the bundle's spec.json or of its folder.
        sha256: Expected SHA-256 of spec.json in hexadecimal; empty: any.
        name: Name of the bundle; empty: the name in its spec.
        progress: See `FileProgress`.
        public_key: Minisign key, or its file, that must have signed the spec; empty: no
            signature is needed. The signature is `spec.json.minisig` beside the spec.

    Returns:
        The folder of the bundle and the SHA-256 of its spec.

    Raises:
        DownloadError: The source or an argument is invalid, a transfer failed, or the signature
            is missing or wrong.
        BundleError: The spec is not usable.
    """
    is_remote = _check_source(source, sha256)
    if public_key:
        check_public_key(public_key)
    source = source.strip() if is_remote else source
    if not source.endswith(SPEC_FILE):
        source = f"{source.rstrip('/')}/{SPEC_FILE}"
    models = user_models_dir()
    digest = hashlib.sha256(f"{source} {sha256}".encode()).hexdigest()[:16]
    partial = models / _PARTIAL_FOLDER / digest
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(partial.with_suffix(".lock")), _removed_if_refused(partial):
            transfer = (
                _downloader(source, partial, progress)
                if is_remote
                else _copier(Path(source).parent, partial)
            )
            spec = _transfer_spec(transfer, partial, sha256, public_key)
            folder = models / _check_name(name or spec.name, partial)
            _transfer_files(transfer, partial, spec, is_signed=bool(public_key))
            spec_sha256 = file_sha256(partial / SPEC_FILE)
            if folder.is_dir():  # the same bundle; replaced in case its files were damaged since
                shutil.rmtree(folder)
            os.replace(partial, folder)
    except OSError as error:
        raise DownloadError(
            f"{shown_url(source) if is_remote else source}: cannot write to {models} "
            f"({error.strerror or error}); free some space"
        ) from None
    return folder, spec_sha256


@contextmanager
def _removed_if_refused(partial: Path) -> Iterator[None]:
    """Create the folder of a transfer, and remove it if its bundle can never be used.

    After an interruption it stays, for the next attempt to resume.
    """
    partial.mkdir(exist_ok=True)
    try:
        yield
    except BundleError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _check_source(source: str, sha256: str) -> bool:
    """Validate the arguments; returns whether `source` is remote."""
    address = split_url(source)
    if address is not None and address.scheme != "https" and not sha256:
        raise DownloadError(
            f"{shown_url(source)}: an unencrypted transfer can be modified; "
            "use https:// or give --sha256"
        )
    if sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise DownloadError(
            f"--sha256: expected the 64 hexadecimal digits of the bundle's {SPEC_FILE}, "
            f"got {sha256!r}"
        )
    return address is not None


def _transfer_spec(transfer: _Transfer, partial: Path, sha256: str, public_key: str) -> ModelSpec:
    # The spec is always transferred again: files of an older one then fail their checksum and are
    # transferred again too.
    for file in (SPEC_FILE, _SIGNATURE_FILE):
        (partial / f"{file}.part").unlink(missing_ok=True)
    transfer(SPEC_FILE, sha256, MAX_SPEC_BYTES)
    if public_key:
        transfer(_SIGNATURE_FILE, "", MAX_SIGNATURE_BYTES)
        verify_signature(
            read_bundle_file(partial, SPEC_FILE, MAX_SPEC_BYTES),
            read_bundle_file(partial, _SIGNATURE_FILE, MAX_SIGNATURE_BYTES),
            public_key,
        )
    return ModelSpec.load(partial)


def _transfer_files(
    transfer: _Transfer, partial: Path, spec: ModelSpec, *, is_signed: bool
) -> None:
    for file in spec.files:
        _require_plain(file)
    expected = {SPEC_FILE, *spec.files, *([_SIGNATURE_FILE] if is_signed else [])}
    for leftover in set(partial.iterdir()):  # of an older spec: they count for nothing
        if leftover.name.removesuffix(".part") not in expected:
            leftover.unlink()
    left_bytes = MAX_BUNDLE_BYTES
    for file, sha256 in spec.files.items():
        if not _is_verified(partial / file, sha256):
            transfer(file, sha256, min(MAX_FILE_BYTES, left_bytes))
        left_bytes -= (partial / file).stat().st_size
    for leftover in {path for path in partial.iterdir() if path.name not in expected}:
        leftover.unlink()


def _downloader(spec_url: str, partial: Path, progress: FileProgress) -> _Transfer:
    def transfer(file: str, sha256: str, max_bytes: int) -> None:
        url = urljoin(spec_url, quote(file))
        download_file(url, partial / file, sha256, max_bytes, progress(file))

    return transfer


def _copier(folder: Path, partial: Path) -> _Transfer:
    def transfer(file: str, sha256: str, max_bytes: int) -> None:
        try:
            copy_regular(folder / file, partial / file, max_bytes)
        except FileNotFoundError:
            raise DownloadError(
                f"{folder / file}: no such file; give the folder that holds the bundle"
            ) from None
        except RegularFileError as error:
            raise DownloadError(f"{folder / file}: {error}; ask its author for a copy") from None
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
    reserved = (SPEC_FILE, _SIGNATURE_FILE)
    if not is_plain_name(file) or file in reserved or file.endswith(".part"):
        raise BundleError(
            f"{SPEC_FILE}: files: expected plain names inside the bundle, got {file!r}"
        )


def _check_name(name: str, partial: Path) -> str:
    """Return the name for the bundle list; raises DownloadError if another bundle has it."""
    if not re.fullmatch(r"\w[\w.-]{0,63}", name, re.ASCII):
        raise DownloadError(
            f"bundle name: expected letters, digits, '.', '_' and '-', got {name!r}; give --name"
        )
    spec = read_bundle_file(partial, SPEC_FILE, MAX_SPEC_BYTES)
    for folder in list_bundles():
        if folder.name == name and (
            folder.parent != user_models_dir()
            or read_bundle_file(folder, SPEC_FILE, MAX_SPEC_BYTES) != spec
        ):
            raise DownloadError(
                f"{name}: another bundle of this name exists ({folder}); give --name"
            )
    return name
