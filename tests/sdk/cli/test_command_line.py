"""Tests of the command group, `doctor` and `models`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import faceaffect
from faceaffect.cli.doctor_checks import run_checks
from faceaffect.system.install_command import install_command
from tests.sdk.cli.conftest import Run

HEAVY = {"cv2", "onnxruntime", "openvino", "pyarrow", "torch", "rich", "numpy"}


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(next(iter(faceaffect.__path__))).parent)
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False
    )


def test_help_imports_no_heavy_package() -> None:
    program = f"""
import sys
from faceaffect.cli import main
try:
    main(["analyze", "--help"])
except SystemExit:
    print(sorted({HEAVY!r} & set(sys.modules)))
"""
    done = run_python("-c", program)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert "--overlay" in done.stdout


def test_module_runs_command_line() -> None:
    done = run_python("-m", "faceaffect", "--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "faceaffect")


def test_main_unknown_option_prints_usage_error(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("analyze", "a.mp4", "--color") == 2
    error = capsys.readouterr().err
    assert "No such option" in error
    assert "--color" in error


def test_main_debug_raises_error(
    monkeypatch: pytest.MonkeyPatch, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_given: object) -> None:
        raise RuntimeError("deep down")

    monkeypatch.setattr("faceaffect.bundle.bundle.list_bundles", fail)
    assert run("models") == 1
    assert (
        capsys.readouterr().err
        == "error: RuntimeError: deep down (use --debug for the traceback)\n"
    )
    from faceaffect.cli import main

    with pytest.raises(RuntimeError, match="deep down"):
        main(["models", "--debug"])


def test_doctor_json_agrees_with_exit_code(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    code = run("doctor", "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] == (code == 0)
    names = {check["name"] for check in report["checks"]}
    assert {"python", "opencv", "opencv FFMPEG", "extra parquet"} <= names


def test_doctor_reports_checks_that_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("no such file")

    monkeypatch.setattr("faceaffect.bundle.bundle.open_bundle", fail)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    checks = {check.name: check for check in run_checks()}
    assert (checks["default model"].is_ok, checks["default model"].is_required) == (False, True)
    assert "OSError: no such file" in checks["default model"].detail
    assert checks["extra parquet"].detail == f"not installed: {install_command('parquet')}"


def make_bundle(folder: Path) -> None:
    folder.mkdir()
    spec = {"version": 1, "name": "little", "license": "Apache-2.0", "files": {}}
    crop = {"size_px": 112, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES

    names = {
        "au_names": AU_NAMES,
        "expression_names": EXPRESSION_NAMES,
        "au_thresholds": [0.5] * len(AU_NAMES),
    }
    (folder / "spec.json").write_text(json.dumps({**spec, **names, "crop": crop}))


def test_models_lists_bundles_and_shows_card(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_bundle(tmp_path / "mine")
    monkeypatch.setenv("FACEAFFECT_MODELS", str(tmp_path))
    for command in (["models"], ["models", "list"]):
        assert run(*command) == 0
        output = capsys.readouterr().out
        assert all(
            text in output for text in ("mine", "little", "Apache-2.0", str(tmp_path / "mine"))
        )
    assert run("models", "show", "mine") == 1
    assert "has no model card" in capsys.readouterr().err
    (tmp_path / "mine" / "MODEL_CARD.md").write_text("# Little\n\nNot for *hiring*.")
    assert run("models", "show", "mine") == 0
    assert "Not for hiring." in capsys.readouterr().out
    assert run("models", "show", "other") == 1
    assert "'other'" in capsys.readouterr().err
