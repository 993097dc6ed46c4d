"""Argument checks shared by the metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_rows(predicted: NDArray[Any], truth: NDArray[Any]) -> None:
    """Raise ValueError unless the shapes are equal and `predicted` is finite."""
    if predicted.shape != truth.shape:
        raise ValueError(
            f"expected predictions and truth of equal shape, got {predicted.shape} and "
            f"{truth.shape}"
        )
    check_finite(predicted)


def check_finite(predicted: NDArray[Any]) -> None:
    """Raise ValueError if a prediction is NaN or infinite."""
    if np.issubdtype(predicted.dtype, np.floating) and not np.isfinite(predicted).all():
        bad = int((~np.isfinite(predicted)).sum())
        raise ValueError(
            f"expected finite predictions, {bad} of {predicted.size} are NaN or infinite; "
            "drop or fill those rows"
        )
