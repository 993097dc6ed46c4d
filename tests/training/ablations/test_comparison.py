"""Table and page out of made-up records: every figure is there, what is missing is said, nothing is
better than it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from training.ablations.comparison import ArmFigures, arm_figures, comparison_text, verdict
from training.ablations.records import Record, RecordError, finished, read_record, read_records
from training.ablations.results_page import results_text
from training.ablations.variants import BOARD, TRIALS, Run, Variant, all_runs, find_run

REQUIRES = ("onnxruntime",)

pytestmark = pytest.mark.train

AU = {"score": 0.61, "f1_mean": 0.41, "accuracy": 0.81, "f1": {"AU1": 0.5, "AU2": None}}
SCORES = {"AU": AU, "EXPR": {"score": 0.32, "macro_f1": 0.27}, "VA": {"score": 0.123}}


def record(run: Run, headline: float) -> Record:
    return Record(
        run.name, run.trial.method, run.trial.setting, run.arm.name, run.seed, run.trial.judged, headline, SCORES,
        steps=7, machine="a machine",
    )  # fmt: skip


def figures(*values: float | None) -> ArmFigures:
    return ArmFigures(Variant("x"), dict(enumerate(values, start=1)))


def test_a_difference_counts_where_seeds_agree() -> None:
    assert verdict(figures(0.5, 0.52), figures(0.4, 0.41)) == "+0.105 helps"
    assert verdict(figures(0.4, 0.41), figures(0.5, 0.52)) == "-0.105 hurts"
    assert verdict(figures(0.5, 0.6), figures(0.49, 0.58)) == "+0.015 helps, less than seeds differ"
    assert "seeds disagree" in verdict(figures(0.5, 0.4), figures(0.45, 0.45))
    assert "not decided" in verdict(figures(0.5), figures(0.4))
    assert verdict(figures(0.5, None), figures(None, 0.4)) == "missing"


def test_the_table_holds_every_figure_and_what_is_missing() -> None:
    trial = TRIALS[0]
    runs = [Run(trial, arm, seed) for arm in trial.arms for seed in (1, 2)]
    made = {run.name: record(run, 0.1 + 0.01 * k) for k, run in enumerate(runs[:-1])}
    text = comparison_text(made)
    for k in range(len(runs) - 1):
        assert f"{0.1 + 0.01 * k:.3f}" in text
    assert runs[-1].name in text.splitlines()[-1]
    assert "| missing |" in text
    wanted = sum(2 * len(each.arms) for each in TRIALS) - (len(runs) - 1)
    assert text.splitlines()[-1].startswith(f"{wanted} runs are missing")
    assert arm_figures(trial, made)[-1].known == {1: pytest.approx(0.14)}


def test_the_page_is_made_of_records_alone(tmp_path: Path) -> None:
    for run in (Run(TRIALS[3], TRIALS[3].arms[0], 1), Run(BOARD[2], BOARD[2].arms[0], 1)):
        record(run, 0.777).write(tmp_path)
    text = results_text(tmp_path)
    assert "0.777" in text
    assert "| M3 incomplete labels | 0.610 | 0.410 | 0.320 | 0.270 | 0.123 | 1 |" in text
    assert "| M5 mean teacher | missing |" in text
    assert "| default model, as shipped | missing |" in text
    assert "1 0.50" in text
    assert "a machine" in text
    assert results_text(tmp_path) == text


def test_runs_have_names_that_lead_back_to_them() -> None:
    runs = all_runs([1, 2])
    assert len({run.name for run in runs}) == len(runs)
    assert [run.seed for run in runs] == sorted(run.seed for run in runs), (
        "all of a seed before the next"
    )
    for run in runs:
        assert find_run(run.name) == run
        run.recipe()
    assert {run.trial.method for run in all_runs([1], ["M4"])} == {"M4"}
    with pytest.raises(ValueError, match="M9"):
        all_runs([1], ["M9"])
    with pytest.raises(ValueError, match="names are like"):
        find_run("M4-nothing-s1")


def test_arms_differ_from_the_full_method_in_what_they_name() -> None:
    def net(setting: str, name: str) -> object:
        trial = next(each for each in TRIALS if each.setting == setting)
        return Run(trial, next(arm for arm in trial.arms if name in arm.name), 1).recipe()

    assert net("few_identities", "subtraction").net.subtract_identity is False  # type: ignore[attr-defined]
    assert net("noisy_images", "epoch").sampling.turn == "epoch"  # type: ignore[attr-defined]
    assert net("resting_faces", "direct").losses[0].output == "au_logit"  # type: ignore[attr-defined]
    for trial in TRIALS:
        assert len({str(replace(arm, name="")) for arm in trial.arms}) == len(trial.arms)
        assert (trial.arms[0].options, trial.arms[0].losses) == ((), None), (
            "the first arm is the method as it is"
        )


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    run = Run(TRIALS[0], TRIALS[0].arms[0], 3)
    record(run, 0.25).write(tmp_path)
    assert read_records(tmp_path) == {run.name: record(run, 0.25)}
    assert finished({run.name: "", "M1-other-s1": ""}, tmp_path, 1.0) == {run.name}
    with pytest.raises(RecordError, match=r"scale 1, this is 0\.5"):
        finished({run.name: ""}, tmp_path, 0.5)
    with pytest.raises(RecordError, match="began with trunk of chance, this is abc"):
        finished({run.name: "abc"}, tmp_path, 1.0)
    path = tmp_path / f"{run.name}.json"
    path.rename(tmp_path / "M1-renamed.json")
    with pytest.raises(RecordError, match="named after it"):
        read_record(tmp_path / "M1-renamed.json")
    path.write_text("{")
    with pytest.raises(RecordError, match="delete it to run again"):
        read_record(path)
    assert replace(record(run, 0.1), scale=2.0).scale == 2.0
