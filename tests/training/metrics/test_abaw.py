"""ABAW2 scores compared with scikit-learn, and the effect of masked labels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from training import metrics


@pytest.fixture
def au() -> tuple[np.ndarray, np.ndarray]:
    """Decisions and raw labels; some rows are fully masked, some in one column."""
    random = np.random.default_rng(4)
    label = (random.random((300, 12)) < np.linspace(0.05, 0.6, 12)).astype(np.int8)
    on = np.where(random.random((300, 12)) < 0.8, label == 1, random.random((300, 12)) < 0.5)
    label[::10] = -1
    label[5::20, 3] = -1
    return on, label


def test_au_score_matches_scikit_learn(au: tuple[np.ndarray, np.ndarray]) -> None:
    on, label = au
    kept = (label >= 0).all(axis=1)
    assert 0 < kept.sum() < (label >= 0).any(axis=1).sum()
    f1 = sklearn_metrics.f1_score(label[kept], on[kept], average=None, zero_division=0)
    accuracy = np.mean(label[kept] == on[kept])
    scores = metrics.au_score(on, label)
    np.testing.assert_allclose(scores["f1"], f1)
    assert scores["f1_mean"] == pytest.approx(f1.mean())
    assert scores["accuracy"] == pytest.approx(accuracy)
    assert scores["score"] == pytest.approx(0.5 * f1.mean() + 0.5 * accuracy)
    assert scores["exact_match"] == pytest.approx(
        sklearn_metrics.accuracy_score(label[kept], on[kept])
    )


def test_au_sums_by_column_counts_partly_labeled_frames(au: tuple[np.ndarray, np.ndarray]) -> None:
    on, label = au
    label[:, 8] = -1  # an AU without any label
    scores = metrics.au_metrics(
        metrics.au_sums(on, label, np.zeros(300, int), 1, by_column=True)[0]
    )
    known = label >= 0
    f1 = [
        sklearn_metrics.f1_score(label[known[:, k], k], on[known[:, k], k])
        for k in range(12)
        if k != 8
    ]
    assert np.isnan(scores["f1"][8])
    assert scores["f1_mean"] == pytest.approx(np.mean(f1))
    assert scores["accuracy"] == pytest.approx((on == (label == 1))[known].mean())
    assert np.isnan(
        metrics.au_score(on, label)["score"]
    )  # by the challenge's rule no frame is left


def test_au_score_of_absent_au_is_zero() -> None:
    on, label = np.zeros((4, 12), bool), np.zeros((4, 12), int)
    scores = metrics.au_score(on, label)
    assert (scores["f1_mean"], scores["accuracy"], scores["score"], scores["exact_match"]) == (
        0,
        1,
        0.5,
        1,
    )


def test_expression_score_matches_scikit_learn() -> None:
    random = np.random.default_rng(0)
    label = random.integers(-1, 7, 400)
    predicted = np.where(random.random(400) < 0.5, np.maximum(label, 0), random.integers(0, 7, 400))
    kept = label >= 0
    macro = sklearn_metrics.f1_score(label[kept], predicted[kept], average="macro", labels=range(7))
    accuracy = sklearn_metrics.accuracy_score(label[kept], predicted[kept])
    scores = metrics.expression_score(predicted, label)
    assert scores["macro_f1"] == pytest.approx(macro)
    assert scores["score"] == pytest.approx(0.67 * macro + 0.33 * accuracy)


def test_va_score_is_mean_ccc_of_valid_clipped_rows() -> None:
    random = np.random.default_rng(5)
    label = random.uniform(-1, 1, (200, 2)).astype(np.float32)
    predicted = 1.3 * label + 0.3 * random.standard_normal((200, 2))
    label[::7, 0] = -5
    label[3::11, 1] = -5
    kept = (label > -5).all(axis=1)
    clipped = predicted[kept].clip(-1, 1)
    scores = metrics.va_score(predicted, label)
    expected = [metrics.ccc(clipped[:, k], label[kept, k]) for k in range(2)]
    np.testing.assert_allclose(scores["ccc"], expected, rtol=1e-7)
    assert scores["score"] == pytest.approx(np.mean(expected))
    pearson = [np.corrcoef(clipped[:, k], label[kept, k])[0, 1] for k in range(2)]
    np.testing.assert_allclose(scores["pearson"], pearson, rtol=1e-6)
    rmse = [metrics.rmse(clipped[:, k], label[kept, k]) for k in range(2)]
    np.testing.assert_allclose(scores["rmse"], rmse, rtol=1e-6)
    agreement = (np.sign(clipped) == np.sign(label[kept])).mean(axis=0)
    np.testing.assert_allclose(scores["sign_agreement"], agreement, rtol=1e-6)


def test_au_sums_added_over_videos_equal_pooled_score(au: tuple[np.ndarray, np.ndarray]) -> None:
    on, label = au
    video = np.repeat(np.arange(3), 100)
    pooled = metrics.au_metrics(metrics.au_sums(on, label, video, 5).sum(axis=0))
    np.testing.assert_allclose(pooled["score"], metrics.au_score(on, label)["score"])
    first = metrics.au_metrics(metrics.au_sums(on, label, video, 5))["score"]
    assert first[1] == pytest.approx(metrics.au_score(on[100:200], label[100:200])["score"])
    assert np.isnan(first[3:]).all()


@pytest.mark.filterwarnings("error")
def test_scores_without_labels_are_nan_without_warning() -> None:
    tasks = (
        metrics.au_score(np.zeros((3, 12), bool), np.full((3, 12), -1)),
        metrics.expression_score(np.zeros(3, int), np.full(3, -1)),
        metrics.va_score(np.zeros((3, 2)), np.full((3, 2), -5.0)),
        metrics.au_score(np.zeros((0, 12), bool), np.zeros((0, 12), int)),
        metrics.expression_score(np.zeros(0, int), np.zeros(0, int)),
        metrics.va_score(np.zeros((0, 2)), np.zeros((0, 2))),
    )
    for scores in tasks:
        assert all(np.isnan(value).all() for value in scores.values()), scores


def test_labeled_masks_with_foreign_codes_raise() -> None:
    with pytest.raises(ValueError, match=r"0, 1 or -1, got \[9\]"):
        metrics.labeled_au(np.full((1, 12), 9))
    with pytest.raises(ValueError, match=r"got \[7\]"):
        metrics.labeled_expression(np.array([7]))
    with pytest.raises(ValueError, match=r"got \[-2\.0\]"):
        metrics.labeled_va(np.array([[-2.0, 0.0]]))
    with pytest.raises(ValueError, match="got"):
        metrics.labeled_va(np.array([[np.nan, 0.0]]))


def test_scores_of_abaw3_are_f1_of_scikit_learn(au: tuple[np.ndarray, np.ndarray]) -> None:
    on, label = au
    kept = (label >= 0).all(axis=1)
    f1 = sklearn_metrics.f1_score(label[kept], on[kept], average="macro", zero_division=0)
    assert metrics.au_score(on, label, metrics.ABAW3)["score"] == pytest.approx(f1)
    random = np.random.default_rng(1)
    truth, predicted = random.integers(-1, 8, 400), random.integers(0, 8, 400)
    labeled = truth >= 0
    macro = sklearn_metrics.f1_score(truth[labeled], predicted[labeled], average="macro")
    scores = metrics.expression_score(predicted, truth, metrics.ABAW3)
    assert scores["score"] == pytest.approx(macro)
    assert len(scores["f1"]) == 8
    with pytest.raises(ValueError, match="expected expression labels 0 to 6 or -1, got"):
        metrics.expression_score(predicted, truth)
