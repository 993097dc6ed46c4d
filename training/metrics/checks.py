"""Checks that every metric makes of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_rows(predicted: NDArray[Any], truth: NDArray[Any]) -> None:
    """Raise ValueError unless both have one shape and `predicted` is finite."""
    if predicted.shape != truth.shape:
        raise ValueError(
            f"predictions and truth must have one shape, got {predicted.shape} and {truth.shape}"
        )
    check_finite(predicted)


def check_finite(predicted: NDArray[Any]) -> None:
    """Raise ValueError where a prediction is NaN or infinite: such a row has to be left out or
    filled before.
    """
    if np.issubdtype(predicted.dtype, np.floating) and not np.isfinite(predicted).all():
        bad = int((~np.isfinite(predicted)).sum())
        raise ValueError(
            f"predictions must be finite, {bad} of {predicted.size} are NaN or infinite"
        )
