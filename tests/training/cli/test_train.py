"""`python -m training train` for the eight methods on synthetic videos, also after a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from tests.training.methods.network_cases import SMALL
from training.__main__ import main
from training.methods.recipe_lookup import RECIPES

pytestmark = [pytest.mark.train, pytest.mark.shared]
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def arguments(name: str, data: Path, cache: Path, *more: str) -> list[str]:
    """Arguments for a few steps of a small compact recipe."""
    few = [
        "batch=6",
        "epochs=2",
        "sampling.windows=2",
        "sampling.pairs=24",
        "sampling.drop_gaps=false",
    ]
    options = [part for option in (*SMALL[name], *few) for part in ("--set", option)]
    return [
        "train",
        name,
        "--preset",
        "compact",
        "--data",
        str(data),
        "--cache",
        str(cache),
        *options,
        *more,
    ]


def call(*options: str) -> Result:
    return CliRunner().invoke(main, list(options))


@pytest.mark.parametrize("name", RECIPES)
def test_train_of_each_recipe_writes_run_and_scores(
    name: str, renderwild_tiny: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = call(*arguments(name, renderwild_tiny, cache, "--steps", "8", "--out", str(out)))
    assert result.exit_code == 0, result.output
    run = json.loads((out / "run.json").read_text())
    assert run["step"] == run["steps"] >= 1
    assert run["recipe"]["paper"] == f"M{RECIPES.index(name) + 1}"
    assert run["data"]["train"]["videos"] > 0
    scores = json.loads((out / "scores.json").read_text())
    assert [epoch["epoch"] for epoch in scores["epochs"]] == [1, 2]
    assert -1 <= scores["final"]["total"] <= 1
    labels = {term["label"] for term in run["recipe"]["losses"]}
    tasks = {"AU": "au", "EXPR": "expression", "VA": "va"}
    assert set(scores["final"]) - {"total"} == {name for name in tasks if tasks[name] in labels}
    assert all(
        ("average_scores" in epoch) == (name == "mean_teacher") for epoch in scores["epochs"]
    )
    assert "trained: " in result.output
    assert list(out.glob("events.out.tfevents*"))


@pytest.mark.timeout(600)
def test_train_resumed_after_kill_equals_uninterrupted_run(
    renderwild_tiny: Path, cache: Path, tmp_path: Path
) -> None:
    commands = [
        " ".join(
            arguments(
                name,
                renderwild_tiny,
                cache,
                "--steps",
                "6",
                "--save-every",
                "1",
                "--eval-every",
                "never",
            )
        )
        for name in RECIPES
    ]
    # Distillation from two of these runs.
    few = [
        "schedule.steps=6",
        "schedule.save_every=1",
        "schedule.small_px=48",
        "mix.synthetic_videos=6",
        "mix.no_face=2",
    ]
    runs = [
        tmp_path / str(RECIPES.index(name)) / "uninterrupted"
        for name in ("feature_pyramid", "mean_teacher")
    ]
    teachers = " ".join(f"--teacher {run}" for run in runs)
    options = " ".join(f"--set {option}" for option in few)
    commands.append(
        f"distill {teachers} --synthetic-videos {renderwild_tiny} --synthetic-only "
        f"--cache {cache} {options}"
    )
    process = [sys.executable, "-m", "tests.training.crash_runs", str(tmp_path), *commands]
    # Sums of matrix products must not depend on memory alignment: two processes must agree exactly.
    deterministic = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_CBWR": "COMPATIBLE"}
    done = subprocess.run(
        process, cwd=ROOT, env=deterministic, capture_output=True, text=True, timeout=540
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for number, name in enumerate(RECIPES):
        assert same_weights(tmp_path / str(number), "weights.safetensors"), name
    assert same_weights(tmp_path / str(len(RECIPES)), "ema.safetensors")


def same_weights(folder: Path, file: str) -> bool:
    uninterrupted, resumed = (
        load_file(folder / part / file) for part in ("uninterrupted", "resumed")
    )
    return all(torch.equal(value, resumed[key]) for key, value in uninterrupted.items())


def test_train_into_folder_with_run_requires_resume(
    renderwild_tiny: Path, cache: Path, tmp_path: Path
) -> None:
    command = arguments(
        "incomplete_labels",
        renderwild_tiny,
        cache,
        "--steps",
        "2",
        "--eval-every",
        "never",
        "--out",
        str(tmp_path),
    )
    assert call(*command).exit_code == 0
    again = call(*command)
    assert again.exit_code == 1
    assert "holds a run already; add --resume or choose another --out" in again.output
    other = arguments(
        "attention_graph",
        renderwild_tiny,
        cache,
        "--steps",
        "2",
        "--out",
        str(tmp_path),
        "--resume",
    )
    assert "holds a run of M3 compact, not of M4 compact" in call(*other).output
    assert call(*command, "--resume").exit_code == 0
    before = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "state.pt").write_bytes(b"broken")
    assert "cannot be read" in call(*command, "--resume").output
    assert (tmp_path / "weights.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["M9"], "unknown recipe 'M9', expected one of prior_aided_streaming (M1)"),
        (
            ["M3", "--set", "net.size=3"],
            "'net.size': net has ['dropout', 'expressions', 'hidden', 'size_px', 'trunk']",
        ),
        (["M3", "--set", "epochs=many"], "option 'epochs' must be int, got 'many'"),
        (
            ["M3", "--set", "sampling.turn=year"],
            "sampling.turn must be one of batch, epoch, got 'year'",
        ),
        (["M3", "--set", "epochs"], "an option must be name=value, got 'epochs'"),
        (["M3", "--preset", "huge"], "is not one of 'published', 'compact'"),
        (["M3"], "add --data FOLDER"),
        (
            ["M3", "--synthetic-only"],
            "--synthetic-only is an option of the recipe default, not of M3",
        ),
        (["default", "--data", "."], "--data is an option of the methods, not of default"),
        (["M3", "--data", ".", "--fp16"], "16-bit floats (--fp16) need --device cuda"),
    ],
)
def test_train_of_invalid_arguments_reports_remedy(options: list[str], message: str) -> None:
    result = call("train", *options)
    assert result.exit_code != 0
    assert message in result.output


def test_train_on_empty_folder_names_it(tmp_path: Path) -> None:
    result = call(
        "train",
        "M3",
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path / "run"),
        "--cache",
        str(tmp_path / "cache"),
    )
    assert result.exit_code == 1
    assert str(tmp_path) in result.output
