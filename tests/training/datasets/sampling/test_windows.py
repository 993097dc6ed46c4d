"""Windows, clips and temporal subsampling."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.datasets.synthetic_table import make_synthetic_table
from training.datasets.sampling.subsampling import EpochSubsample, every_nth
from training.datasets.sampling.windows import (
    NO_FRAME,
    clips_ending_at,
    covering_windows,
    first_occurrences,
    windows,
)

REQUIRES = ("pyarrow",)

# Rows 0..6, 7..16, 17..18; `gap` misses frames 4 and 5.
FRAMES = {"gap": [1, 2, 3, 6, 7, 8, 9], "long": list(range(1, 11)), "short": [1, 2]}
TABLE = make_synthetic_table(FRAMES)
ROWS = np.random.default_rng(0).permutation(len(TABLE))  # any order


def test_windows_span_gaps():
    assert windows(TABLE, ROWS, 4, 3).tolist() == [
        [0, 1, 2, 3],
        [3, 4, 5, 6],
        [7, 8, 9, 10],
        [10, 11, 12, 13],
        [13, 14, 15, 16],
    ]


def test_windows_with_drop_gaps_are_consecutive():
    result = windows(TABLE, ROWS, 3, 2, drop_gaps=True)
    assert result.tolist() == [
        [0, 1, 2],
        [3, 4, 5],
        [7, 8, 9],
        [9, 10, 11],
        [11, 12, 13],
        [13, 14, 15],
    ]
    assert (np.diff(TABLE.frame[result], axis=1) == 1).all()
    assert (np.ptp(TABLE.video[result], axis=1) == 0).all()


def test_windows_with_include_tail_reach_end():
    result = windows(TABLE, np.arange(7, 17), 4, 4, include_tail=True)
    assert result.tolist() == [[7, 8, 9, 10], [11, 12, 13, 14], [13, 14, 15, 16]]
    assert windows(TABLE, np.arange(7, 15), 4, 4, include_tail=True).tolist() == [
        [7, 8, 9, 10],
        [11, 12, 13, 14],
    ]


def test_windows_with_pad_short_keep_short_videos():
    assert windows(TABLE, np.array([17, 18]), 4, 1).tolist() == []
    assert windows(TABLE, np.array([18, 17]), 4, 1, pad_short=True).tolist() == [[17, 18, 18, 18]]


def test_covering_windows_cover_every_row():
    result = covering_windows(TABLE, ROWS, 4)
    first = first_occurrences(result)
    assert sorted(result[first].tolist()) == list(range(len(TABLE)))
    assert sorted(set(result.ravel().tolist())) == list(range(len(TABLE)))
    assert first_occurrences(np.array([[NO_FRAME, 3], [3, 4]])).tolist() == [
        [False, True],
        [False, True],
    ]


def test_windows_with_random_start_vary():
    def draw(seed):
        rows = np.arange(7, 17)
        return windows(TABLE, rows, 3, 5, pad_short=True, random=np.random.default_rng([1, seed]))

    assert {int(draw(seed)[0, 0]) for seed in range(60)} == {7, 8, 9, 10, 11}
    assert (draw(4) == draw(4)).all()
    drawn = [draw(seed) for seed in range(20)]
    assert all((np.diff(w, axis=1) == 1).all() and w.max() <= 16 for w in drawn)


def test_windows_with_invalid_length_raise():
    with pytest.raises(ValueError, match="at least 1"):
        windows(TABLE, ROWS, 0, 1)
    assert windows(TABLE, np.zeros(0, np.int64), 4, 1).shape == (0, 4)


def slow_clip(end: int, length: int, step: int) -> list[int]:
    """Crop by crop: those of the same video, counted back from the end."""
    video = TABLE_WITHOUT.video
    crops = [k for k in np.flatnonzero(TABLE_WITHOUT.has_crop) if video[k] == video[end]]
    crops.sort(key=lambda k: TABLE_WITHOUT.frame[k])
    positions = [crops.index(end) - back * step for back in range(length - 1, -1, -1)]
    return [int(crops[position]) if position >= 0 else NO_FRAME for position in positions]


TABLE_WITHOUT = make_synthetic_table(FRAMES, no_crop=(9, 12))


@pytest.mark.parametrize(("length", "step"), [(3, 1), (4, 2), (8, 6)])
def test_clips_ending_at_matches_loop_implementation(length, step):
    ends = np.array([16, 0, 6, 3, 18])
    result = clips_ending_at(TABLE_WITHOUT, ends, length, step)
    assert result.tolist() == [slow_clip(int(end), length, step) for end in ends]


def test_clips_ending_at_by_row_skips_missing_crops():
    result = clips_ending_at(TABLE_WITHOUT, np.array([3, 13, 7]), 3, 2)
    # crops of `long` are rows 7, 8, 10, 11, 13, ...
    assert result.tolist() == [[NO_FRAME, 1, 3], [7, 10, 13], [NO_FRAME, NO_FRAME, 7]]
    with pytest.raises(ValueError, match="row with a crop"):
        clips_ending_at(TABLE_WITHOUT, np.array([9]), 3, 2)


def test_clips_ending_at_without_crops_is_empty():
    bare = make_synthetic_table({"v": [1, 2]}, no_crop=(0, 1))
    assert clips_ending_at(bare, np.array([1]), 3, 1).tolist() == [[NO_FRAME] * 3]


def test_every_nth_counts_within_each_video():
    assert every_nth(TABLE, ROWS, 3).tolist() == [0, 3, 6, 7, 10, 13, 16, 17]
    assert every_nth(TABLE, ROWS, 3, shift=4).tolist() == [1, 4, 8, 11, 14, 18]
    with pytest.raises(ValueError, match="at least 1"):
        every_nth(TABLE, ROWS, 0)


def test_epoch_subsample_covers_every_row_in_n_epochs():
    source = EpochSubsample(TABLE, ROWS, 5, seed=2)
    drawn = np.concatenate([source(epoch) for epoch in range(5)])
    assert sorted(drawn.tolist()) == list(range(len(TABLE)))
    assert all(len(EpochSubsample(TABLE, np.array([17, 18]), 100)(epoch)) for epoch in range(100))
