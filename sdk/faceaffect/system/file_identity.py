"""Identity of an input: what it is, however its name was typed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faceaffect.system.path_text import redact_passwords

_BLOCK_BYTES: Final = 1 << 16
_BLOCKS: Final = 16  # a file of up to 1 MiB is read whole, of a longer one so many blocks


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Identity of an input.

    Attributes:
        key: Resolved path; the address, without its password, of what is no file.
        size_bytes: Size; number of entries for a folder, -1 for what is no file.
        modified_ns: Time of the last change.
        fingerprint: Digest of its content, of sampled blocks for a long file.
    """

    key: str
    size_bytes: int = -1
    modified_ns: int = 0
    fingerprint: str = ""

    def is_replaced_by(self, other: FileIdentity) -> bool:
        """Return whether both have content, and not the same; a mere copy is the same."""
        if not (self.fingerprint and other.fingerprint):
            return False
        return (self.size_bytes, self.fingerprint) != (other.size_bytes, other.fingerprint)


def identify(uri: str) -> FileIdentity:
    """Return the identity of a file, a folder or an address."""
    scheme, separator, rest = uri.partition("://")
    if separator and scheme not in ("file", "nvdec"):
        return FileIdentity(redact_passwords(uri))
    path = Path(rest if separator else uri)
    key = os.path.realpath(path)
    try:
        if path.is_dir():
            return _identify_folder(key)
        return _identify_file(key) if path.is_file() else FileIdentity(key)
    except OSError:  # opening it will say why
        return FileIdentity(key)


def _identify_file(key: str) -> FileIdentity:
    digest = hashlib.sha256()
    with open(key, "rb") as stream:
        status = os.fstat(stream.fileno())
        size_bytes = status.st_size
        if size_bytes <= _BLOCKS * _BLOCK_BYTES:
            digest.update(stream.read(_BLOCKS * _BLOCK_BYTES))
        else:
            for block in range(_BLOCKS):
                stream.seek((size_bytes - _BLOCK_BYTES) * block // (_BLOCKS - 1))
                digest.update(stream.read(_BLOCK_BYTES))
    return FileIdentity(key, size_bytes, status.st_mtime_ns, digest.hexdigest()[:32])


def _identify_folder(key: str) -> FileIdentity:
    """Identify a folder by the names and sizes of its files."""
    with os.scandir(key) as entries:
        files = sorted((entry.name, entry.stat().st_size) for entry in entries if entry.is_file())
    digest = hashlib.sha256(repr(files).encode("utf-8", "backslashreplace"))
    return FileIdentity(key, len(files), os.stat(key).st_mtime_ns, digest.hexdigest()[:32])
