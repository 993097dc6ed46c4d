"""End-to-end test: render videos, train two epochs, stop and resume, export, and evaluate."""

import json

import pytest
from click.testing import CliRunner

from export.__main__ import main as export_main
from faceaffect import open_pipeline
from training.__main__ import main as training_main
from training.datasets.renderwild import load_renderwild, neutral_keep_mask

pytestmark = [pytest.mark.train, pytest.mark.shared]


REQUIRES = ("onnx",)

BATCH, EPOCHS = 16, 2


def run(command, *arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_training_to_evaluation_produces_bundle_and_report(renderwild_tiny, tmp_path):
    pytest.importorskip("matplotlib")
    table, _ = load_renderwild(renderwild_tiny)
    frames = table.select(neutral_keep_mask(table, 0.5))
    steps = -(-EPOCHS * len(frames) // BATCH)
    options = [
        f"mix.synthetic_videos={BATCH}",
        "mix.no_face=2",
        f"schedule.steps={steps}",
        "optimizer.warmup_steps=1",
        f"schedule.save_every={steps}",
        "schedule.small_px=64",
        "schedule.small_until=1",
    ]
    overrides = [part for option in options for part in ("--set", option)]
    train = (
        "train",
        "default",
        "--out",
        tmp_path / "run",
        "--synthetic-videos",
        renderwild_tiny,
        "--synthetic-only",
        *overrides,
    )
    assert f"{steps}/{steps}" in run(training_main, *train)
    assert list((tmp_path / "run").glob("events.out.tfevents*"))
    assert f"resumed at step {steps}" in run(training_main, *train, "--resume")
    run(export_main, tmp_path / "run", "--to", tmp_path / "bundle", "--skip-calibration")
    with open_pipeline(tmp_path / "bundle") as pipeline:
        assert pipeline.spec.name == "default"
    run(
        training_main,
        "evaluate",
        tmp_path / "bundle",
        renderwild_tiny,
        "--out",
        tmp_path / "evaluation",
        "--bootstrap-samples",
        100,
    )
    metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert metrics
    assert (
        "<svg" in (tmp_path / "evaluation" / "report.html").read_text()
        or "data:image" in (tmp_path / "evaluation" / "report.html").read_text()
    )
    assert list((tmp_path / "evaluation" / "submission" / "AU_Set").glob("*.txt"))
    again = CliRunner().invoke(training_main, [str(argument) for argument in train])
    assert again.exit_code != 0
    assert "--resume" in again.output


def test_train_without_faces_raises(tmp_path):
    result = CliRunner().invoke(
        training_main, ["train", "default", "--out", str(tmp_path / "run"), "--synthetic-only"]
    )
    assert result.exit_code != 0
    assert "expected faces to train on" in result.output
