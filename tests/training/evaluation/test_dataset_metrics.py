"""Metrics of datasets with masked labels, missing predictions and tasks without labels."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training import metrics
from training.evaluation.dataset_metrics import MetricOptions, dataset_metrics, plain
from training.evaluation.label_table import LabelTable
from training.evaluation.prediction_table import PredictionTable, hold_last
from training.evaluation.report_page import report_page

FRAMES, VIDEOS = 40, 12


@pytest.fixture
def labels() -> LabelTable:
    random = np.random.default_rng(0)
    count = FRAMES * VIDEOS
    au = (random.random((count, 12)) < np.linspace(0.2, 0.6, 12)).astype(np.int8)
    au[random.random(count) < 0.1] = -1
    expression = random.integers(-1, 7, count).astype(np.int8)
    va = random.uniform(-1, 1, (count, 2)).astype(np.float32)
    va[random.random(count) < 0.1] = -5
    return LabelTable(
        videos=tuple(f"v{k:02d}" for k in range(VIDEOS)),
        video=np.repeat(np.arange(VIDEOS), FRAMES),
        frame=np.tile(np.arange(1, FRAMES + 1), VIDEOS),
        crop=(None,) * count,
        au=au,
        expression=expression,
        va=va,
        listed={},
    )


def guess(labels: LabelTable, noise: float, missing: float = 0.0) -> PredictionTable:
    """Noisy predictions; the first video has none if some are missing."""
    random = np.random.default_rng(1)
    count = len(labels)
    au = np.clip(0.1 + 0.8 * (labels.au == 1) + noise * random.normal(size=(count, 12)), 0, 1)
    expression = np.eye(7)[np.maximum(labels.expression, 0)] + 2.5 * noise * random.random(
        (count, 7)
    )
    va = np.where(labels.va == -5, 0, labels.va) + 0.5 * noise * random.normal(size=(count, 2))
    known = random.random(count) >= missing
    known[:FRAMES] &= missing == 0
    blank = np.where(known, 1, np.nan).astype(np.float32)[:, None]
    return PredictionTable(
        known=known,
        au_probability=au.astype(np.float32) * blank,
        au_active=(au >= 0.5) & known[:, None],
        expression_probability=(expression / expression.sum(axis=1, keepdims=True)).astype(
            np.float32
        )
        * blank,
        va=va.astype(np.float32) * blank,
    )


def test_dataset_metrics_of_perfect_predictions_are_maximal(labels: LabelTable) -> None:
    results = dataset_metrics(labels, guess(labels, 0), MetricOptions(resamples=100))
    for task in ("action_units", "expression", "valence_arousal"):
        score = results[task]["score"]
        assert (score["value"], score["low"], score["high"]) == pytest.approx((1, 1, 1))
    for name in AU_NAMES:
        au = results["action_units"]["by_au"][name]
        assert (au["auroc"], au["average_precision"], au["f1_at_best_threshold"]) == (1, 1, 1)
        assert au["calibration_error"] == pytest.approx(
            0.1, abs=1e-6
        )  # predicts 0.1 and 0.9 for 0 and 1
    assert (
        np.diag(results["expression"]["confusion"])
        == results["expression"]["confusion"].sum(axis=1)
    ).all()


@pytest.mark.parametrize("missing", ["hold", "drop"])
def test_dataset_metrics_equal_metrics_of_counted_frames(labels: LabelTable, missing: str) -> None:
    predictions = guess(labels, 0.5, missing=0.3)
    results = dataset_metrics(labels, predictions, MetricOptions(missing, resamples=200))
    evaluated = hold_last(predictions, labels) if missing == "hold" else predictions
    rows, predicted = evaluated.known, predictions.known
    expression, va = evaluated.expression, evaluated.va
    cases = {
        "action_units": metrics.au_score(evaluated.au_active[rows], labels.au[rows]),
        "expression": metrics.expression_score(expression[rows], labels.expression[rows]),
        "valence_arousal": metrics.va_score(va[rows], labels.va[rows]),
    }
    for task, expected in cases.items():
        score = results[task]["score"]
        assert score["value"] == pytest.approx(expected["score"]), task
        assert score["low"] < score["value"] < score["high"], task
    labeled = (labels.au >= 0).all(axis=1)
    assert results["action_units"]["frames"] == (labeled & rows).sum()
    predicted_score = metrics.au_score(predictions.au_active[predicted], labels.au[predicted])[
        "score"
    ]
    assert results["action_units"]["predicted_only"]["score"] == pytest.approx(predicted_score)
    assert (predicted_score == pytest.approx(cases["action_units"]["score"])) == (missing == "drop")
    au7 = results["action_units"]["by_au"]["AU7"]
    kept = labeled & predicted  # substitutes have no probability
    assert au7["auroc"] == pytest.approx(
        metrics.auroc(predictions.au_probability[kept, 4], labels.au[kept, 4] == 1)
    )
    assert au7["frames"] == (labeled & rows).sum()
    assert au7["reliability"]["count"].sum() == kept.sum()
    frames = results["frames"]
    assert frames["labeled_but_not_predicted"]["AU_Set"] == (labeled & ~predicted).sum()
    assert frames["videos_without_any_prediction"] == ["v00"]
    assert any("1 of 12 videos have no prediction: v00" in note for note in results["notes"])


def test_dataset_metrics_of_undefined_values_are_none_with_notes(labels: LabelTable) -> None:
    au, expression = labels.au.copy(), labels.expression.copy()
    au[au[:, 3] == 1, 3] = 0
    au[au[:, 5] == 0, 5] = 1
    expression[expression == 2] = 1
    one_class = replace(labels, au=au, expression=expression, va=np.full_like(labels.va, -5))
    results = plain(dataset_metrics(one_class, guess(one_class, 0.3), MetricOptions(resamples=100)))
    assert results["valence_arousal"] is None
    assert results["action_units"]["by_au"]["AU6"]["auroc"] is None
    assert results["action_units"]["by_au"]["AU6"]["f1"]["value"] == 0
    notes = " ".join(results["notes"])
    for text in (
        "VA_Set: not evaluated",
        "AU6 is never active",
        "AU10 is always active",
        "No frame is labeled disgust",
    ):
        assert text in notes
    json.dumps(results, allow_nan=False)


def test_dataset_metrics_by_column_counts_partially_labeled_frames(labels: LabelTable) -> None:
    au = labels.au.copy()
    au[::2, 8] = -1
    part = replace(labels, au=au)
    results = dataset_metrics(part, guess(part, 0.4), MetricOptions(resamples=100, by_column=True))[
        "action_units"
    ]
    assert results["frames"] == (au >= 0).any(axis=1).sum()
    assert (
        results["by_au"]["AU23"]["frames"]
        == (au[:, 8] >= 0).sum()
        < results["by_au"]["AU1"]["frames"]
    )


def test_dataset_metrics_of_no_frames_does_not_fail(labels: LabelTable) -> None:
    unlabeled = replace(
        labels,
        au=np.full_like(labels.au, -1),
        expression=np.full_like(labels.expression, -1),
        va=np.full_like(labels.va, -5),
    )
    results = dataset_metrics(unlabeled, guess(unlabeled, 0.3), MetricOptions())
    assert [results[task] for task in ("action_units", "expression", "valence_arousal")] == [
        None
    ] * 3
    dropped = dataset_metrics(
        labels, replace(guess(labels, 0), known=np.zeros(len(labels), bool)), MetricOptions("drop")
    )
    assert dropped["expression"] is None


def test_dataset_metrics_of_one_video_has_no_interval(labels: LabelTable) -> None:
    alone = replace(
        labels, expression=np.where(labels.video == 3, labels.expression, -1).astype(np.int8)
    )
    results = plain(dataset_metrics(alone, guess(alone, 0.3), MetricOptions()))
    assert results["expression"]["score"]["low"] is None
    assert any("no confidence intervals" in note for note in results["notes"])


@pytest.mark.parametrize("broken", ["nothing", "one class", "no predictions"])
def test_report_page_escapes_text_and_loads_no_external_resource(
    labels: LabelTable, broken: str
) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    predictions = guess(labels, 0.4)
    if broken == "one class":
        labels = replace(labels, au=np.where(labels.au == 1, 0, labels.au).astype(np.int8))
    if broken == "no predictions":
        predictions = replace(predictions, known=np.zeros(len(labels), bool))
    labels = replace(labels, videos=("<b>&", *labels.videos[1:]))
    results = plain(dataset_metrics(labels, predictions, MetricOptions(resamples=100)))
    page = report_page({"origin": {"model": "a & b", "data": "d"}, **results})
    outside = page.replace("http://www.w3.org/2000/svg", "").replace(
        "http://www.w3.org/1999/xlink", ""
    )
    assert "http" not in outside
    assert "<script" not in page
    assert page.count("<svg") == page.count("</svg>") == 6
    assert "a &amp; b" in page
    assert "<td>&lt;b&gt;&amp;</td>" in page
    for name in (*AU_NAMES, *EXPRESSION_NAMES):
        assert f"<td>{name}</td>" in page
    assert f"{results['action_units']['score']['value']:.3f}" in page
