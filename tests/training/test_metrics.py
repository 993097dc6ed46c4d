import numpy as np
import pytest

from training import metrics

sklearn_metrics = pytest.importorskip("sklearn.metrics")


@pytest.fixture
def classes():
    random = np.random.default_rng(0)
    truth = random.integers(0, 7, 500)
    predicted = np.where(random.random(500) < 0.6, truth, random.integers(0, 7, 500))
    return predicted, truth


def test_expression_metrics_agree_with_scikit_learn(classes):
    predicted, truth = classes
    assert metrics.macro_f1(predicted, truth) == pytest.approx(
        sklearn_metrics.f1_score(truth, predicted, average="macro", labels=range(7), zero_division=0)
    )
    assert metrics.accuracy(predicted, truth) == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    assert (metrics.confusion(predicted, truth) == sklearn_metrics.confusion_matrix(truth, predicted)).all()


def test_a_class_that_nobody_sees_counts_nought(classes):
    predicted, truth = (np.where(values == 2, 0, values) for values in classes)
    assert metrics.macro_f1(predicted, truth) == pytest.approx(
        sklearn_metrics.f1_score(truth, predicted, average="macro", labels=range(7), zero_division=0)
    )


def test_f1_of_one_action_unit_agrees_with_scikit_learn():
    random = np.random.default_rng(1)
    on, seen = random.random(300) < 0.2, random.random(300) < 0.3
    assert metrics.f1(seen, on) == pytest.approx(sklearn_metrics.f1_score(on, seen))


def test_concordance_is_one_for_equals_and_falls_with_a_shift():
    values = np.random.default_rng(2).standard_normal(200)
    assert metrics.ccc(values, values) == pytest.approx(1)
    assert metrics.ccc(values + 1, values) < 0.8
    assert metrics.ccc(np.zeros(200), values) == 0
    # Pearson's correlation does not see the shift, Lin's coefficient is below it.
    assert np.corrcoef(values + 1, values)[0, 1] == pytest.approx(1)


def test_the_best_threshold_separates_what_can_be_separated():
    truth = np.arange(100) >= 60
    probability = np.where(truth, 0.75, 0.35).astype(np.float32)
    assert metrics.best_threshold(probability, truth) == pytest.approx(0.55, abs=0.03)
