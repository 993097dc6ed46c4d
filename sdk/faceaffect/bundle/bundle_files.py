"""Reads the files of a bundle: plain files inside its folder, within limits, each opened once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from faceaffect.errors import FaceAffectError
from faceaffect.system.regular_file import read_regular

SHIPPED_MODELS_DIR: Final[Path] = Path(__file__).parents[1] / "models"

SPEC_FILE: Final[str] = "spec.json"
CARD_FILE: Final[str] = "MODEL_CARD.md"

MAX_SPEC_BYTES: Final[int] = 1 << 20
MAX_CARD_BYTES: Final[int] = 1 << 20
MAX_GRAPH_BYTES: Final[int] = 64 << 20
MAX_FILE_BYTES: Final[int] = 2 << 30
MAX_BUNDLE_BYTES: Final[int] = 4 << 30
"""Sum over all files of a bundle."""
MAX_FILES: Final[int] = 64

_PLAIN_NAME: Final = re.compile(r"\w[\w. -]*", re.ASCII)


class BundleError(FaceAffectError, ValueError):
    """A model bundle that cannot be used: what was expected, what it holds, what to do.

    Examples:
        >>> import faceaffect as fa
        >>> issubclass(fa.BundleError, ValueError)
        True
    """


def is_plain_name(file: str) -> bool:
    """Whether `file` names a file inside the folder on every system."""
    return _PLAIN_NAME.fullmatch(file) is not None


def read_bundle_file(folder: Path, file: str, max_bytes: int) -> bytes:
    """Content of a plain file of a bundle.

    A link is refused, except in the bundles that are part of this package: some installers link
    every file of a package.

    Raises:
        OSError: The file is missing, cannot be read, is no plain file or larger than `max_bytes`.
    """
    is_shipped = folder.parent == SHIPPED_MODELS_DIR
    return read_regular(folder / file, max_bytes, follows_links=is_shipped)
