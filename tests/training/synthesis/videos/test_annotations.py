"""Tests of annotation rows, unlabeled spans and files."""

import numpy as np
import pytest

from training.synthesis.videos.annotations import (
    UnlabeledSpan,
    sample_unlabeled_spans,
    task_rows,
    write_annotation,
)


def test_task_rows_marks_unlabeled_spans():
    present = np.zeros((6, 12), bool)
    expression = np.array([0, 1, -1, 3, 4, 5], np.int8)
    present[:, 2] = True
    va = np.full((6, 2), 0.25, np.float32)
    spans = [UnlabeledSpan(1, 3, None), UnlabeledSpan(4, 5, 2)]
    rows = task_rows("AU", present, expression, va, spans)
    assert rows[0] == ["0", "0", "1"] + ["0"] * 9
    assert rows[1] == rows[2] == ["-1"] * 12
    assert rows[4] == ["0", "0", "-1"] + ["0"] * 9
    rows = task_rows("EXPR", present, expression, va, [UnlabeledSpan(3, 4, None)])
    assert [cell for (cell,) in rows] == ["0", "1", "-1", "-1", "4", "5"]
    spans = [UnlabeledSpan(0, 1, None), UnlabeledSpan(1, 2, 1)]
    rows = task_rows("VA", present, expression, va, spans)
    assert rows[:3] == [["-5", "-5"], ["0.250", "-5"], ["0.250", "0.250"]]


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
def test_sample_unlabeled_spans_are_inside_the_video(task):
    for seed in range(50):
        for span in sample_unlabeled_spans(np.random.default_rng(seed), task, 34, 12.0):
            assert 0 <= span.start < span.end <= 34
            assert task != "EXPR" or span.column is None


@pytest.mark.parametrize(
    ("difference", "quirk", "expected"),
    [
        (0, "plain", "valence,arousal\n0.1,0.2\n0.3,0.4\n"),
        (-1, "no newline at the end", "valence,arousal\n0.1,0.2"),
        (1, "trailing commas", "valence,arousal\n0.1,0.2,\n0.3,0.4,\n0.3,0.4,\n"),
        (0, "trailing spaces", "valence,arousal\n0.1,0.2 \n0.3,0.4 \n"),
    ],
)
def test_write_annotation_applies_quirk_and_row_difference(tmp_path, difference, quirk, expected):
    path = tmp_path / "VA_Set" / "Train_Set" / "7.txt"
    write_annotation(path, "VA", [["0.1", "0.2"], ["0.3", "0.4"]], difference, quirk)
    assert path.read_bytes().decode() == expected
