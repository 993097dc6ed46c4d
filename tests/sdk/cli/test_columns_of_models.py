"""Columns that a model does not predict are refused, unless all columns are asked for."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from faceaffect.bundle.model_spec import BundleError
from faceaffect.cli.command_line import faceaffect as command
from tests.sdk.tiny_bundle import write_tiny_bundle

DEMO = Path(__file__).resolve().parents[3] / "assets" / "demo.mp4"


def run(model: Path, out: Path, columns: str) -> int:
    arguments = ["analyze", str(DEMO), "--model", str(model), "--out", str(out), "--quiet"]
    arguments += ["--columns", columns, "--backend", "onnx", "--jobs", "1"]
    code: int = command(arguments, standalone_mode=False)
    return code


MESSAGE = r"expected a model with intensities .* got 'tiny'"


def test_intensities_of_a_model_without_them_are_refused(tmp_path: Path) -> None:
    model = write_tiny_bundle(tmp_path / "tiny")
    with pytest.raises(BundleError, match=MESSAGE):
        run(model, tmp_path / "rows.csv", "intensity")
    assert not (tmp_path / "rows.csv").exists()


def test_folder_run_with_such_a_model_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(write_tiny_bundle(tmp_path / "tiny"), tmp_path / "folder/", "intensity") == 1
    assert re.search(MESSAGE, capsys.readouterr().err)


def test_all_columns_of_such_a_model_leave_them_empty(tmp_path: Path) -> None:
    model = write_tiny_bundle(tmp_path / "tiny")
    out = tmp_path / "rows.csv"
    run(model, out, "all")
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["AU12_intensity"] for row in rows} <= {""}
    assert "AU12_intensity" in out.read_text().splitlines()[0]
