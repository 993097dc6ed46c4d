"""Verifies minisign signatures: who made a bundle, where a checksum only tells what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from faceaffect.bundle.http_request import DownloadError
from faceaffect.system.install_command import install_command
from faceaffect.system.regular_file import read_regular

if TYPE_CHECKING:
    import minisign

SIGNATURE_SUFFIX: Final = ".minisig"
MAX_SIGNATURE_BYTES: Final = 4096


def check_public_key(public_key: str) -> None:
    """Raise DownloadError unless `public_key` is usable and the package minisign is installed."""
    _load_key(public_key)


def verify_signature(content: bytes, signature: bytes, public_key: str) -> None:
    """Verify a detached signature.

    Args:
        content: The signed file.
        signature: Content of its `.minisig` file.
        public_key: The key in base64, or the path of a `.pub` file.

    Raises:
        DownloadError: The key or signature is not valid, or of another key or file.
    """
    import minisign

    key = _load_key(public_key)
    try:
        key.verify(content, minisign.Signature.from_bytes(signature))
    except Exception as error:  # the package raises its own errors and ValueError for damaged text
        raise DownloadError(
            f"the signature is not of this file and key ({error}); do not use the bundle"
        ) from None


def _load_key(public_key: str) -> minisign.PublicKey:
    try:
        import minisign
    except ImportError:
        raise DownloadError(
            f"--public-key needs minisign; {install_command('signatures')}"
        ) from None
    path = Path(public_key)
    try:
        if path.exists():
            content = read_regular(path, MAX_SIGNATURE_BYTES, follows_links=True)
            return minisign.PublicKey.from_bytes(content)
        return minisign.PublicKey.from_base64(public_key)
    except Exception as error:  # see `verify_signature`
        raise DownloadError(
            "--public-key: expected a minisign key in base64 or its .pub file, "
            f"got none that can be read ({error})"
        ) from None
