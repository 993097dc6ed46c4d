"""Thresholds and calibration compared with closed forms and SciPy; folding with separate layers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from training.evaluation import calibration
from training.evaluation.calibration import (
    PlattScaling,
    choose_low_false_alarm_thresholds,
    choose_thresholds,
    fit_platt,
    fit_temperature,
)
from training.metrics import f1, reliability


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


@pytest.fixture(scope="module")
def overconfident() -> tuple[np.ndarray, np.ndarray]:
    """Logits [4000, 12] and truth that follows sigmoid(0.5 z - 1)."""
    random = np.random.default_rng(0)
    logit = 3 * random.standard_normal((4000, 12))
    return logit, random.random(logit.shape) < sigmoid(0.5 * logit - 1)


def column(values: np.ndarray) -> np.ndarray:
    return np.tile(values[:, None], (1, 12))


def test_choose_thresholds_of_uniform_probabilities_matches_closed_form() -> None:
    """F1 at threshold t is (1 - t^2) / (1.5 - t): its maximum is at (3 - sqrt 5) / 2, half the F1
    (Lipton et al. 2014).
    """
    levels = np.linspace(0.005, 0.995, 100)
    probability = np.repeat(levels, 200)
    truth = (np.arange(200)[None] < np.round(200 * levels)[:, None]).ravel()
    assert choose_thresholds(column(probability), column(truth)) == pytest.approx(
        [(3 - 5**0.5) / 2] * 12, abs=0.011
    )


def test_choose_thresholds_ignores_unlabeled_cells_and_rare_aus() -> None:
    truth = column(np.arange(100) >= 60)
    probability = np.where(truth, 0.9, 0.3)
    known = np.ones_like(truth)
    probability[60:80, 1] = 0.1  # wrong, but not labeled
    known[60:80, 1] = False
    known[65:, 2] = False  # five positives
    truth[:, 3] = False
    truth[:, 4] = True
    chosen = choose_thresholds(probability, truth, known)
    assert chosen[:2] == pytest.approx([0.6, 0.6])
    assert chosen[2:5] == (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def evaluated() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities [600, 12] of different accuracy by AU, labels, and probabilities [400, 12] of
    neutral faces.
    """
    random = np.random.default_rng(8)
    truth = random.random((600, 12)) < 0.3
    probability = sigmoid(
        random.standard_normal(truth.shape) + np.where(truth, 1, -1) * np.linspace(0.5, 2.5, 12)
    )
    return probability, truth, sigmoid(random.standard_normal((400, 12)) + np.linspace(-3, 0.5, 12))


def alarms_of(thresholds: tuple[float, ...], neutral: np.ndarray) -> float:
    return float((neutral >= np.array(thresholds)).mean(axis=0).sum())


def f1_sum(thresholds: tuple[float, ...], probability: np.ndarray, truth: np.ndarray) -> float:
    return sum(f1(probability[:, k] >= thresholds[k], truth[:, k]) for k in range(12))


def test_low_false_alarm_thresholds_without_limit_equal_best_f1(
    evaluated: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    probability, truth, neutral = evaluated
    best, quiet = (
        choose_thresholds(probability, truth),
        choose_low_false_alarm_thresholds(probability, truth, [neutral], alarms=[12]),
    )
    assert f1_sum(quiet, probability, truth) == pytest.approx(
        f1_sum(best, probability, truth), abs=0.12
    )  # steps of 0.005


@pytest.mark.parametrize("alarms", [0.3, 0.8, 2.0])
def test_low_false_alarm_thresholds_satisfy_limit_at_least_cost(
    evaluated: tuple[np.ndarray, np.ndarray, np.ndarray], alarms: float
) -> None:
    probability, truth, neutral = evaluated
    quiet = choose_low_false_alarm_thresholds(probability, truth, [neutral], alarms=[alarms])
    assert 0.7 * alarms < alarms_of(quiet, neutral) <= alarms
    total_f1 = f1_sum(quiet, probability, truth)
    # No change of two thresholds without more false alarms improves F1 by more than the grid
    # spacing explains.
    grid = np.arange(0.05, 0.951, 0.01)
    score = np.array([[f1(probability[:, k] >= t, truth[:, k]) for t in grid] for k in range(12)])
    alarm_rate = np.array([[(neutral[:, k] >= t).mean() for t in grid] for k in range(12)])
    chosen_score = np.array([f1(probability[:, k] >= quiet[k], truth[:, k]) for k in range(12)])
    chosen_alarm_rate = np.array([(neutral[:, k] >= quiet[k]).mean() for k in range(12)])
    for a in range(12):
        for b in range(a):
            total = (
                alarm_rate[a][:, None]
                + alarm_rate[b][None]
                - chosen_alarm_rate[a]
                - chosen_alarm_rate[b]
            )
            gain = score[a][:, None] + score[b][None] - chosen_score[a] - chosen_score[b]
            assert gain[total <= 0].max(initial=0) < 0.02
    equal = tuple(float(np.quantile(neutral[:, k], 1 - alarms / 12)) for k in range(12))
    best = choose_thresholds(probability, truth)
    uniform = tuple(max(pair) for pair in zip(equal, best, strict=True))
    assert total_f1 > f1_sum(uniform, probability, truth) or alarms_of(uniform, neutral) > alarms


def test_low_false_alarm_thresholds_rise_only_where_a_source_needs_it(
    evaluated: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """A second source shows the first AU often; that AU rises, the others stay nearly."""
    probability, truth, neutral = evaluated
    quiet = neutral * 0.5
    other = quiet.copy()
    other[:, 0] = probability[:, 0][truth[:, 0]][: len(other)].mean()
    alone = choose_low_false_alarm_thresholds(probability, truth, [quiet], alarms=[0.5])
    both = choose_low_false_alarm_thresholds(probability, truth, [quiet, other], alarms=[0.5, 0.5])
    assert alarms_of(alone, other) > 0.5 >= alarms_of(both, other)
    assert alarms_of(both, quiet) <= 0.5
    assert both[0] > alone[0]
    assert np.abs(np.subtract(both, alone)[1:]).max() < 0.1
    with pytest.raises(ValueError, match="a limit for each of 2 sources, got 1"):
        choose_low_false_alarm_thresholds(probability, truth, [quiet, other], alarms=[0.5])


def test_low_false_alarm_thresholds_of_rare_aus_stay_at_half(
    evaluated: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    probability, truth, neutral = evaluated
    truth = truth.copy()
    truth[:, 11] = False
    quiet = choose_low_false_alarm_thresholds(
        probability, truth, [neutral], alarms=[1.0], slack=0.02
    )
    assert quiet[11] == 0.5
    lower = choose_low_false_alarm_thresholds(
        probability, truth, [neutral], alarms=[12.0], slack=0.02
    )
    assert all(
        a <= b
        for a, b in zip(
            lower,
            choose_low_false_alarm_thresholds(probability, truth, [neutral], alarms=[12.0]),
            strict=True,
        )
    )


def test_fit_platt_matches_scipy_optimum(overconfident: tuple[np.ndarray, np.ndarray]) -> None:
    logit, truth = overconfident
    fitted = fit_platt(logit, truth)
    on, off = truth[:, 0].sum(), (~truth[:, 0]).sum()
    target = np.where(truth[:, 0], (on + 1) / (on + 2), 1 / (off + 2))

    def loss(ab: np.ndarray) -> float:
        z = ab[0] * logit[:, 0] + ab[1]
        return float((np.logaddexp(0, z) - target * z).mean())

    best = optimize.minimize(loss, [1, 0], tol=1e-12).x
    assert (fitted.scale[0], fitted.offset[0]) == pytest.approx(best, abs=1e-4)
    np.testing.assert_allclose(fitted.scale, 0.5, atol=0.06)
    np.testing.assert_allclose(fitted.offset, -1, atol=0.15)
    before, after = (
        reliability(sigmoid(z[:, 0]), truth[:, 0]).error for z in (logit, fitted.apply(logit))
    )
    assert before > 0.1
    assert after < 0.03


def test_fit_platt_ignores_unlabeled_cells(overconfident: tuple[np.ndarray, np.ndarray]) -> None:
    logit, truth = overconfident
    known = np.arange(len(logit))[:, None] < np.full(12, 2500)
    wrong = np.where(known, truth, ~truth)
    np.testing.assert_array_equal(
        fit_platt(logit, wrong, known).scale, fit_platt(logit[:2500], truth[:2500]).scale
    )


def test_fit_platt_of_degenerate_aus_is_identity_with_notes() -> None:
    z = np.linspace(-3, 3, 200)
    logit, truth = column(z), column(z > 0)
    truth[:, 1] = False
    truth[:, 2] = z < 0
    known = np.ones_like(truth)
    known[:, 3] = False
    fitted = fit_platt(logit, truth, known)
    assert 1 < fitted.scale[0] < 100  # finite, though the classes are separable
    assert (fitted.scale[1], fitted.offset[1], fitted.scale[3]) == (1, 0, 1)
    assert (fitted.scale[2], fitted.offset[2]) == pytest.approx((1, 0), abs=1e-6)
    assert [note.split(":")[0] for note in fitted.notes] == ["AU2", "AU4", "AU6"]


def test_fit_temperature_matches_scipy_optimum() -> None:
    random = np.random.default_rng(3)
    logit = 2 * random.standard_normal((3000, 7))
    odds = np.exp(logit / 2.5)
    truth = (
        random.random((3000, 1)) > np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)
    ).sum(axis=1)
    truth[:100] = -1

    def loss(t: float) -> float:
        z = logit[100:] / t
        return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(2900), truth[100:]]).mean())

    best = optimize.minimize_scalar(
        loss, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-7}
    ).x
    assert fit_temperature(logit, truth) == pytest.approx(best, rel=1e-4)
    assert best == pytest.approx(2.5, rel=0.1)


def test_fit_temperature_is_bounded() -> None:
    logit = np.eye(7) * 3
    assert fit_temperature(logit, np.arange(7)) == calibration.TEMPERATURE_BOUNDS[0]
    assert fit_temperature(-logit, np.arange(7)) == calibration.TEMPERATURE_BOUNDS[1]
    assert fit_temperature(logit, np.full(7, -1)) == 1


def test_fit_platt_of_invalid_arguments_raises() -> None:
    with pytest.raises(ValueError, match=r"\[N, 12\], got \(3, 7\)"):
        fit_platt(np.zeros((3, 7)), np.zeros((3, 7), bool))
    with pytest.raises(ValueError, match="boolean"):
        choose_thresholds(np.zeros((3, 12)), np.full((3, 12), -1))
    with pytest.raises(ValueError, match="finite"):
        fit_platt(np.full((3, 12), np.nan), np.zeros((3, 12), bool))


@pytest.mark.train
def test_fold_into_head_equals_calibrated_logits() -> None:
    torch = pytest.importorskip("torch")
    from training.models.affect_net import AffectNet, NetConfig
    from training.models.trunk import Stage, TrunkConfig

    torch.manual_seed(0)
    trunk = TrunkConfig(
        8, (Stage("residual", 8, 1), Stage("residual", 8, 1), Stage("residual", 8, 1))
    )
    net = AffectNet(
        NetConfig(trunk, node_width=8, embed_width=16, place_channels=4, place_width=8)
    ).eval()
    random = np.random.default_rng(0)
    platt = PlattScaling(random.uniform(0.3, 2, 12), random.normal(size=12))
    folded = calibration.fold_into_head(net, platt, temperature=1.7)
    crops = torch.randn(16, 3, 112, 112)
    with torch.no_grad():
        before, after = ({**n(crops)} for n in (net, folded))
        logit, calibrated = (
            n.au_graph(heads["au_nodes"]).numpy() for n, heads in ((net, before), (folded, after))
        )
    np.testing.assert_allclose(calibrated, platt.apply(logit), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        after["expression_logit"], before["expression_logit"] / 1.7, rtol=1e-4, atol=1e-5
    )
    assert (after["expression_logit"].argmax(1) == before["expression_logit"].argmax(1)).all()
    for name in before.keys() - {"expression_logit"}:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-4, atol=1e-5, err_msg=name)
    with pytest.raises(ValueError, match="expected temperature between"):
        calibration.fold_into_head(net, platt, temperature=0)
