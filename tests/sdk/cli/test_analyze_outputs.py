"""Tests of `analyze` with several outputs, on a fake pipeline."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from faceaffect.sinks.side_car import side_car_path
from tests.sdk.cli.conftest import Run
from tests.sdk.cli.test_analyze import frames_with_faces, read_frames


def test_analyze_with_files_and_dead_stream_writes_all_and_tells(
    run: Run, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pythonosc")
    csv, jsonl = tmp_path / "rows.csv", tmp_path / "rows.jsonl"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"osc://127.0.0.1:{probe.getsockname()[1]}"
    assert run("analyze", clip, "--out", csv, "--out", jsonl, "--out", address) == 0
    rows = [json.loads(line) for line in jsonl.read_text().splitlines()]
    assert read_frames(csv) == [row["frame"] for row in rows] != []
    assert side_car_path(csv).read_text() == side_car_path(jsonl).read_text()
    printed = " ".join(capsys.readouterr().err.split())
    assert f"note: {address}: " in printed
    assert "rows did not arrive" in printed


def test_analyze_with_jsonl_on_standard_output(
    run: Run, clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("analyze", clip, "--out", "jsonl:-", "--quiet") == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [row["frame"] for row in rows] == frames_with_faces(rows[-1]["frame"] + 1) != []


def test_analyze_output_of_variable_is_one_for_each_line(
    run: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    csv, jsonl = tmp_path / "rows.csv", tmp_path / "rows.jsonl"
    monkeypatch.setenv("FACEAFFECT_ANALYZE_OUT", f"{csv}\n{jsonl}")
    assert run("analyze", clip) == 0
    assert csv.exists()
    assert jsonl.exists()


def test_analyze_with_folder_and_stream_is_refused(
    run: Run, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("analyze", clip, "--out", f"{tmp_path}/rows/", "--out", "lsl://faces") == 2
    assert "expected files and streams, or one folder" in capsys.readouterr().err
