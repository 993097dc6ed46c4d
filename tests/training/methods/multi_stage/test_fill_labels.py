"""Missing labels of a table are filled by predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.methods.synthetic_faces import synthetic_faces
from training.datasets.frame_table import FrameTable
from training.methods.multi_stage.fill_labels import fill_labels

pytestmark = pytest.mark.train


def half_labeled(split: str = "train") -> FrameTable:
    """Four frames, of which the first alone is labeled."""
    table, _ = synthetic_faces({f"{split}0": 4}, split=split)
    first = np.arange(4) == 0
    return replace(
        table,
        au_mask=np.repeat(first[:, None], 12, axis=1),
        expression_mask=first,
        va_mask=first,
    )


def predictions() -> dict[str, np.ndarray]:
    au = np.full((4, 12), 0.2, np.float32)
    au[:, 3] = 0.9
    expression = np.full((4, 7), 0.1, np.float32)
    expression[:, 2] = 0.4
    return {"au": au, "expression": expression, "va": np.full((4, 2), -3, np.float32)}


def test_fill_labels_keeps_true_labels_and_fills_the_others() -> None:
    table = half_labeled()
    filled = fill_labels(table, np.arange(4), predictions())
    assert filled.masks.all()
    assert filled.expression.tolist() == [int(table.expression[0]), 2, 2, 2]
    assert np.array_equal(filled.au[0], table.au[0])
    assert np.flatnonzero(filled.au[1]).tolist() == [3]
    assert filled.va[1] == pytest.approx([-0.99, -0.99])
    assert not table.expression_mask[1], "the input table is unchanged"


@pytest.mark.parametrize("split", ["validation", "test"])
def test_fill_labels_never_fills_held_out_videos(split: str) -> None:
    table = half_labeled(split)
    filled = fill_labels(table, np.arange(4), predictions())
    assert np.array_equal(filled.masks, table.masks)


def test_fill_labels_with_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        fill_labels(half_labeled(), np.arange(4), {"va": np.full((4, 2), np.nan, np.float32)})


def test_fill_labels_of_sure_predictions_alone() -> None:
    found = predictions()
    found["au"] = np.full((4, 12), 0.05, np.float32)
    found["au"][2, 7] = 0.75  # closer than 0.3 to 0.5
    found["expression"] = np.full((4, 7), 0.01, np.float32)
    found["expression"][:, 4] = [0.94, 0.85, 0.94, 0.94]
    del found["va"]
    filled = fill_labels(half_labeled(), np.arange(4), found, only_sure=True)
    assert filled.masks[:, 0].tolist() == [True, True, False, True]
    assert filled.masks[:, 1].tolist() == [True, False, True, True]
    assert filled.masks[:, 2].tolist() == [True, False, False, False]
    assert filled.expression[2] == 4
