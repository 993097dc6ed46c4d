from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.ablations.comparison import VariantScores, comparison_text, variant_scores, verdict
from training.ablations.records import Record, RecordError, finished_runs, read_record, read_records
from training.ablations.results_page import results_text
from training.ablations.variants import ABLATIONS, LEADERBOARD, Run, Variant, all_runs, find_run

REQUIRES = ("onnxruntime",)

pytestmark = pytest.mark.train

AU = {"score": 0.61, "f1_mean": 0.41, "accuracy": 0.81, "f1": {"AU1": 0.5, "AU2": None}}
SCORES = {"AU": AU, "EXPR": {"score": 0.32, "macro_f1": 0.27}, "VA": {"score": 0.123}}


def record(run: Run, score: float) -> Record:
    return Record(
        run.name,
        run.ablation.method,
        run.ablation.scenario,
        run.variant.name,
        run.seed,
        run.ablation.tasks,
        score,
        SCORES,
        steps=7,
        machine="a machine",
    )


def scores(*values: float | None) -> VariantScores:
    return VariantScores(Variant("x"), dict(enumerate(values, start=1)))


def test_verdict_needs_eight_seeds_and_two_standard_errors() -> None:
    base = np.linspace(0.3, 0.44, 8)
    noise = np.array([0.01, -0.01] * 4)  # standard error of the gain 0.0038
    for gain, expected in (
        (0.02, "+0.020 helps"),
        (-0.02, "-0.020 hurts"),
        (0.005, "+0.005 not seen"),
    ):
        assert verdict(scores(*(base + gain + noise)), scores(*base)) == expected
    assert verdict(scores(0.5, 0.52), scores(0.4, 0.41)) == "+0.105 (undecided: 2 of 8 seeds)"
    assert verdict(scores(0.5, None), scores(None, 0.4)) == "missing"


def test_comparison_text_lists_all_scores_and_missing_runs() -> None:
    ablation = ABLATIONS[0]
    runs = [Run(ablation, variant, seed) for variant in ablation.variants for seed in (1, 2)]
    records = {run.name: record(run, 0.1 + 0.01 * k) for k, run in enumerate(runs[:-1])}
    text = comparison_text(records)
    for k in range(len(runs) - 1):
        assert f"{0.1 + 0.01 * k:.3f}" in text
    assert runs[-1].name in text.splitlines()[-1]
    assert "| missing |" in text
    missing = sum(2 * len(each.variants) for each in ABLATIONS) - (len(runs) - 1)
    assert text.splitlines()[-1].startswith(f"{missing} runs are missing")
    assert variant_scores(ablation, records)[-1].known == {1: pytest.approx(0.14)}


def test_results_text_contains_recorded_values(tmp_path: Path) -> None:
    for run in (
        Run(ABLATIONS[3], ABLATIONS[3].variants[0], 1),
        Run(LEADERBOARD[2], LEADERBOARD[2].variants[0], 1),
    ):
        record(run, 0.777).write(tmp_path)
    text = results_text(tmp_path)
    assert "0.777" in text
    assert "| M3 incomplete labels | 0.610 | 0.410 | 0.320 | 0.270 | 0.123 | 1 |" in text
    assert "| M5 mean teacher | missing |" in text
    assert "| default model | missing |" in text
    assert "1 0.50" in text
    assert "a machine" in text
    assert results_text(tmp_path) == text


def test_find_run_inverts_run_names() -> None:
    runs = all_runs([1, 2])
    assert len({run.name for run in runs}) == len(runs)
    assert [run.seed for run in runs] == sorted(run.seed for run in runs), "ordered by seed"
    for run in runs:
        assert find_run(run.name) == run
        run.recipe()
    assert {run.ablation.method for run in all_runs([1], ["M4"])} == {"M4"}
    with pytest.raises(ValueError, match="M9"):
        all_runs([1], ["M9"])
    with pytest.raises(ValueError, match="expected a run name such as"):
        find_run("M4-nothing-s1")


def test_variants_change_the_named_component() -> None:
    def recipe(scenario: str, name: str) -> Any:
        ablation = next(each for each in ABLATIONS if each.scenario == scenario)
        return Run(
            ablation, next(variant for variant in ablation.variants if name in variant.name), 1
        ).recipe()

    assert recipe("few_identities", "subtraction").net.subtract_identity is False
    assert recipe("noisy_images", "epoch").sampling.turn == "epoch"
    assert recipe("atypical_neutral_faces", "direct").losses[0].output == "au_logit"
    for ablation in ABLATIONS:
        assert len({str(replace(variant, name="")) for variant in ablation.variants}) == len(
            ablation.variants
        )
        assert (ablation.variants[0].options, ablation.variants[0].losses) == ((), None), (
            "the first variant is the full method"
        )


def test_record_round_trip_and_checks(tmp_path: Path) -> None:
    run = Run(ABLATIONS[0], ABLATIONS[0].variants[0], 3)
    record(run, 0.25).write(tmp_path)
    assert read_records(tmp_path) == {run.name: record(run, 0.25)}
    assert finished_runs({run.name: "", "M1-other-s1": ""}, tmp_path, 1.0) == {run.name}
    with pytest.raises(RecordError, match=r"expected scale 0\.5, got .* of scale 1"):
        finished_runs({run.name: ""}, tmp_path, 0.5)
    with pytest.raises(RecordError, match=r"expected trunk abc, got .* with none"):
        finished_runs({run.name: "abc"}, tmp_path, 1.0)
    path = tmp_path / f"{run.name}.json"
    path.rename(tmp_path / "M1-renamed.json")
    with pytest.raises(RecordError, match="expected the record of M1-renamed"):
        read_record(tmp_path / "M1-renamed.json")
    path.write_text("{")
    with pytest.raises(RecordError, match="delete it to run again"):
        read_record(path)
    assert replace(record(run, 0.1), scale=2.0).scale == 2.0
