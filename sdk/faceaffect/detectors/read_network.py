"""Reads the network file of a detector."""

from __future__ import annotations

from pathlib import Path

from faceaffect.bundle.check_onnx import MAX_ONNX_BYTES
from faceaffect.bundle.model_spec import BundleError
from faceaffect.system.regular_file import read_regular


def read_network(path: Path) -> bytes:
    """Content of a file of this package or of the user; raises BundleError if it is no plain file.

    Links are followed: the path is not from a stranger, and some installers link packages.
    """
    try:
        return read_regular(path, MAX_ONNX_BYTES, follows_links=True)
    except OSError as error:
        raise BundleError(f"{path}: the network cannot be read: {error.strerror}") from None
