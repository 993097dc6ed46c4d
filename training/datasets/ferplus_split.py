"""A fixed validation split of FER+ "Training", by a hash of the image names.

Every choice (checkpoints, weights of losses, thresholds) is made on these faces, so that
PublicTest can be read once, at the end.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

VALIDATION_PERCENT: Final = 10
_SALT: Final = "ferplus validation "


def is_validation(name: str) -> bool:
    """Whether an image of FER+ "Training" belongs to the validation split."""
    digest = hashlib.sha256((_SALT + name).encode()).hexdigest()
    return int(digest[:8], 16) % 100 < VALIDATION_PERCENT


def training_and_validation(
    names: NDArray[np.str_], usage: NDArray[np.str_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of "Training" to train on and rows to choose on; rows of other usages are in neither.

    Args:
        names: Image names [N].
        usage: Usage column [N] of FER+.
    """
    training = np.flatnonzero(usage == "Training")
    chosen = np.array([is_validation(str(names[row])) for row in training], np.bool_)
    return training[~chosen], training[chosen]
