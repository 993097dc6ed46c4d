"""Downloads one file over HTTP: verified, bounded, with retries, resumed where it ended."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from faceaffect.bundle.http_request import DownloadError, open_url, shown_url

OFFLINE_VARIABLE: Final = "FACEAFFECT_OFFLINE"
RETRY_DELAYS_S: Final = (0.5, 2.0, 5.0)
"""Backoff between retries; starts again after any progress."""
MAX_TOTAL_S: Final = 6 * 3600.0
"""Longest time for a file, with all waits: 2 GiB at 100 kB/s."""
MIN_BYTES_PER_S: Final = 2048.0
"""Slower transfers are ended, measured over `RATE_WINDOW_S`."""
RATE_WINDOW_S: Final = 30.0

_MAX_CONNECTIONS_PER_MIB: Final = 20
_MIB: Final = 1 << 20
_BLOCK_BYTES: Final = 1 << 16
_TIMEOUT_S: Final = 30.0
_RETRY_STATUS: Final = frozenset([408, 429, 500, 502, 503, 504])
_TEMPORARY_TLS_ERRORS: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far and the total, None while it is unknown."""


class _InterruptedError(Exception):
    """A transfer that may succeed on retry."""


def download_file(
    url: str,
    path: Path,
    sha256: str,
    max_bytes: int,
    progress: Progress | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> None:
    """Download `url` to `path`, which appears only when it is complete and verified.

    Received bytes are kept in `<path>.part` and are not transferred again.

    Args:
        url: Address of the file.
        path: Target.
        sha256: Expected SHA-256 in hexadecimal; empty: any.
        max_bytes: Larger files are refused.
        progress: Called after each block.
        timeout_s: Longest wait for the server, and for all of its headers.

    Raises:
        DownloadError: Offline mode is on, the transfer failed or the checksum is wrong.
    """
    shown = shown_url(url)
    if os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0"):
        raise DownloadError(
            f"{shown}: not downloaded since {OFFLINE_VARIABLE} is set; unset it, "
            "or copy the file here and give its path"
        )
    part = path.with_name(path.name + ".part")
    is_resumed = part.exists()
    _download_rest(url, part, max_bytes, progress or (lambda _received, _total: None), timeout_s)
    digest = file_sha256(part)
    if sha256 and digest != sha256.lower():
        part.unlink()
        if is_resumed:  # the resumed part may have been of another version of the file
            return download_file(url, path, sha256, max_bytes, progress, timeout_s)
        raise DownloadError(
            f"{shown}: expected SHA-256 {sha256.lower()}, got {digest}; "
            "it was changed or damaged, do not use it"
        )
    os.replace(part, path)
    return None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _download_rest(
    url: str, part: Path, max_bytes: int, progress: Progress, timeout_s: float
) -> None:
    delays = list(RETRY_DELAYS_S)
    deadline = time.monotonic() + MAX_TOTAL_S
    counted_bytes, connections = _size(part), 0
    while True:
        before = _size(part)
        try:
            return _attempt(url, part, max_bytes, progress, timeout_s)
        except urllib.error.HTTPError as error:
            # 416: nothing is left, or the file is another one now, which the checksum detects.
            if error.code == 416 and before:
                return None
            if error.code not in _RETRY_STATUS:
                raise DownloadError(
                    f"{shown_url(url)}: the server answered {error.code} {error.reason}; "
                    "check the address"
                ) from None
            reason = f"{error.code} {error.reason}"
        except (_InterruptedError, OSError, http.client.HTTPException) as error:
            _raise_if_permanent(url, error)
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        received = _size(part)
        connections += 1
        if received >= counted_bytes + _MIB:
            counted_bytes, connections = received, 0
        if received > before:
            delays = list(RETRY_DELAYS_S)
        is_late = time.monotonic() > deadline or connections >= _MAX_CONNECTIONS_PER_MIB
        if not delays or is_late:
            raise DownloadError(
                f"{shown_url(url)}: {reason}; {received} bytes are kept, "
                "run the same command to resume"
            )
        time.sleep(delays.pop(0))


def _raise_if_permanent(url: str, error: Exception) -> None:
    """Raise DownloadError for a TLS error, which the next attempt would meet again."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, _TEMPORARY_TLS_ERRORS):
        detail = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or str(cause)
        raise DownloadError(
            f"{shown_url(url)}: no secure connection ({detail}); check the address and the clock "
            "of this machine, or ask the provider for a valid certificate"
        ) from None


def _attempt(url: str, part: Path, max_bytes: int, progress: Progress, timeout_s: float) -> None:
    received = _size(part)
    with open_url(url, received, timeout_s) as response:
        content_range = response.headers.get("Content-Range", "")
        resumes = response.status == 206 and content_range.startswith(f"bytes {received}-")
        received = received if resumes else 0
        length = response.headers.get("Content-Length", "")
        total = received + int(length) if length.isdecimal() and len(length) < 20 else None
        with part.open("ab" if resumes else "wb") as stream:
            received = _copy(url, response, stream, (received, total, max_bytes), progress)
    if total is not None and received < total:
        raise _InterruptedError(f"the connection ended after {received} of {total} bytes")


def _copy(
    url: str, response: Any, stream: Any, sizes: tuple[int, int | None, int], progress: Progress
) -> int:
    received, total, max_bytes = sizes
    window_start_s, window_bytes = time.monotonic(), 0
    while block := response.read1(_BLOCK_BYTES):
        received += len(block)
        if max(received, total or 0) > max_bytes:
            raise DownloadError(
                f"{shown_url(url)}: expected at most {max_bytes} bytes, got more; check the address"
            )
        try:
            stream.write(block)
        except OSError as error:
            raise DownloadError(
                f"{stream.name}: cannot be written ({error.strerror}); free some space"
            ) from None
        progress(received, total)
        window_bytes += len(block)
        elapsed_s = time.monotonic() - window_start_s
        if elapsed_s > RATE_WINDOW_S:
            if window_bytes < MIN_BYTES_PER_S * elapsed_s:
                raise DownloadError(
                    f"{shown_url(url)}: expected at least {MIN_BYTES_PER_S:.0f} bytes a second, "
                    f"got {window_bytes / elapsed_s:.0f}; try again later or use another mirror"
                )
            window_start_s, window_bytes = time.monotonic(), 0
    return received
