"""Training views of tables with splits per task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.datasets.synthetic_affwild2 import (
    HEADER_AU,
    HEADER_EXPR,
    HEADER_VA,
    au_line,
    crops,
    write,
)
from tests.training.datasets.synthetic_table import make_synthetic_table
from training.datasets.affwild2 import read_affwild2
from training.datasets.frame_table import SPLITS, TASKS
from training.datasets.splits import Fold, training_view, with_fold

REQUIRES = ("pyarrow",)

SPLIT = {"T": "Train_Set", "V": "Validation_Set"}
# name: split for AU, EXPR, VA
VIDEOS = {
    "all": "TTT",
    "mixed": "TTV",
    "au": "T--",
    "expr_v": "-V-",
    "va": "--T",
    "two_left": "T--",
    "two_right": "V--",
}


@pytest.fixture
def table(tmp_path):
    lines = {
        "AU": f"{HEADER_AU}\n{au_line(0)}\n",
        "EXPR": f"{HEADER_EXPR}\n4\n",
        "VA": f"{HEADER_VA}\n0.5,0.5\n",
    }
    for name, splits in VIDEOS.items():
        for task, code in zip(TASKS, splits, strict=True):
            if code in SPLIT:
                write(tmp_path / f"annotations/{task}_Set/{SPLIT[code]}/{name}.txt", lines[task])
        crops(tmp_path, name, [1])
    return read_affwild2(tmp_path, progress=False)


def trained_videos(view, task):
    return {view.videos[view.video[k]] for k in view.rows(task)}


def test_training_view_excludes_validation_videos(table):
    view = training_view(table, TASKS)
    assert trained_videos(view, "AU") == {
        "all",
        "au",
    }  # `two_left` shares its video with a validation video
    assert trained_videos(view, "EXPR") == {"all"}
    assert trained_videos(view, "VA") == {"all", "va"}


def test_training_view_uses_video_held_out_for_other_task_without_label(table):
    view = training_view(table, TASKS, selected_on=("AU",))
    assert "mixed" in trained_videos(view, "AU")
    assert "mixed" in trained_videos(view, "EXPR")
    assert "mixed" not in trained_videos(view, "VA")  # its VA labels are validation labels
    assert trained_videos(view, "EXPR") == {
        "all",
        "mixed",
    }  # nor are the labels of `expr_v` learned
    assert (view.va[~view.va_mask] == 0).all()


def test_training_view_masks_other_tasks(table):
    view = training_view(table, ("AU",))
    assert not view.expression_mask.any()
    assert not view.va_mask.any()
    assert np.flatnonzero(view.masks.any(axis=1)).tolist() == view.rows("AU").tolist()
    with pytest.raises(ValueError, match="one of AU, EXPR, VA"):
        training_view(table, ("FACE",))  # type: ignore[arg-type]


def test_with_fold_validates_each_group_once_and_leaves_test_videos() -> None:
    table = make_synthetic_table({f"v{k}": [1, 2] for k in range(7)})
    splits = table.splits.copy()
    splits[2] = SPLITS.index("validation")
    splits[5] = SPLITS.index("test")
    splits[6, 1] = SPLITS.index("")  # not labeled for one task
    groups = ("a", "a", "b", "c", "d", "e", "f")
    table = replace(table, splits=splits, groups=groups)
    held = []
    for number in (1, 2, 3):
        folded = with_fold(table, Fold.parse(f"{number}/3")).splits
        assert (folded[5] == SPLITS.index("test")).all()
        assert folded[6, 1] == SPLITS.index("")
        is_held = (folded == SPLITS.index("validation")).any(axis=1)
        assert is_held[0] == is_held[1], "people stay together"
        assert set(folded[:5].ravel().tolist()) <= {
            SPLITS.index(s) for s in ("train", "validation")
        }
        held.append(is_held)
    assert np.sum(held, axis=0).tolist() == [1, 1, 1, 1, 1, 0, 1]
    with pytest.raises(ValueError, match="9 folds need as many people or videos, got 5"):
        with_fold(table, Fold(1, 9))
    for text in ("4/3", "0/3", "1", "x/2"):
        with pytest.raises(ValueError, match="expected a fold such as 1/5"):
            Fold.parse(text)
