"""One file from a web server, verified, resumed where the last try ended."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from faceaffect.errors import FaceAffectError

OFFLINE_VARIABLE: Final = "FACEAFFECT_OFFLINE"
_BLOCK_BYTES: Final = 1 << 16
_SILENCE_S: Final = 30.0
_WAITS_S: Final = (
    0.5,
    2.0,
    5.0,
)  # before a broken transfer is gone on with; a try that brought something starts them anew
_PASSING: Final = frozenset([408, 429, 500, 502, 503, 504])

Progress = Callable[[int, int | None], None]
"""Takes the bytes that are there and, where the server tells, those that there will be."""


class DownloadError(FaceAffectError, ValueError):
    """A file that cannot be had: what was wanted, what came, what to do."""


class _BrokenError(Exception):
    """A transfer that may succeed when it is tried again."""


def fetch(
    url: str,
    path: Path,
    sha256: str,
    most_bytes: int,
    progress: Progress | None = None,
    silence_s: float = _SILENCE_S,
) -> None:
    """Write what `url` holds to `path` once it is whole and has this SHA-256 (hexadecimal, empty:
    any).

    What has come so far stands in `<path>.part` and is not fetched again. Raises DownloadError.
    """
    if os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0"):
        raise DownloadError(
            f"{url}: not fetched, {OFFLINE_VARIABLE} is set; unset it, or copy the file here and give its path"
        )
    part = path.with_name(path.name + ".part")
    is_resumed = part.exists()
    _fetch_rest(url, part, most_bytes, progress or (lambda _there, _all: None), silence_s)
    found = sha256_of(part)
    if (
        sha256 and found != sha256.lower() and is_resumed
    ):  # what was there may have been of another version
        part.unlink()
        return fetch(url, path, sha256, most_bytes, progress, silence_s)
    if sha256 and found != sha256.lower():
        part.unlink()
        raise DownloadError(
            f"{url}: SHA-256 must be {sha256.lower()}, got {found}; it was changed or damaged, do not use it"
        )
    os.replace(part, path)
    return None


def sha256_of(path: Path) -> str:
    """In hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _fetch_rest(
    url: str, part: Path, most_bytes: int, progress: Progress, silence_s: float
) -> None:
    waits = list(_WAITS_S)
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _one_try(url, part, most_bytes, progress, silence_s)
        except urllib.error.HTTPError as error:
            if (
                error.code == 416 and before
            ):  # nothing is left, or the file is another one now: the checksum tells
                return None
            if error.code not in _PASSING:
                raise DownloadError(
                    f"{url}: the server says {error.code} {error.reason}; check the address"
                ) from None
            reason = f"{error.code} {error.reason}"
        except (_BrokenError, OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        there = part.stat().st_size if part.exists() else 0
        if there > before:
            waits = list(_WAITS_S)
        if not waits:
            raise DownloadError(
                f"{url}: {reason}; the {there} bytes so far are kept, the same command goes on with them"
            )
        time.sleep(waits.pop(0))


def _one_try(url: str, part: Path, most_bytes: int, progress: Progress, silence_s: float) -> None:
    there = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(
        url, headers={"User-Agent": "faceaffect", "Accept-Encoding": "identity"}
    )
    if there:
        request.add_header("Range", f"bytes={there}-")
    with urllib.request.urlopen(request, timeout=silence_s) as answer:
        if url.startswith("https:") and not answer.geturl().startswith("https:"):
            raise DownloadError(
                f"{url}: leads to {answer.geturl()}, which is not encrypted; ask whoever offers it"
            )
        goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(
            f"bytes {there}-"
        )
        there = there if goes_on else 0
        length = answer.headers.get("Content-Length", "")
        wanted = there + int(length) if length.isdecimal() else None
        with part.open("ab" if goes_on else "wb") as stream:
            there = _copy(url, answer, stream, (there, wanted, most_bytes), progress)
    if wanted is not None and there < wanted:
        raise _BrokenError(f"the connection ended after {there} of {wanted} bytes")


def _copy(
    url: str, answer: Any, stream: Any, sizes: tuple[int, int | None, int], progress: Progress
) -> int:
    there, wanted, most_bytes = sizes
    while block := answer.read1(_BLOCK_BYTES):
        there += len(block)
        if max(there, wanted or 0) > most_bytes:
            raise DownloadError(
                f"{url}: at most {most_bytes} bytes were wanted, it holds more; is it the right address?"
            )
        try:
            stream.write(block)
        except OSError as error:
            raise DownloadError(
                f"{stream.name}: cannot be written ({error.strerror}); make room and try again"
            ) from None
        progress(there, wanted)
    return there
