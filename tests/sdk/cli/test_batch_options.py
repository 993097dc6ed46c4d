from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from faceaffect import backends
from faceaffect.cli.batch_options import default_jobs, names_a_folder

NOTHING = {"row_format": None, "jobs": None, "ray": None, "retry": False}


@pytest.mark.parametrize(
    ("out", "is_folder"),
    [
        ("-", False),
        ("rows.csv", False),
        ("rows.txt", False),
        ("/dev/null", False),
        ("made", True),
        ("made.csv", True),
    ]
    + [("new", True), ("new.d/", True), ("s3://bucket/parts", True), ("2024.05", False)],
)
def test_a_folder_is_known_by_its_name_or_by_being_there(
    out: str, is_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("made", "made.csv"):
        (tmp_path / name).mkdir()
    assert names_a_folder({**NOTHING, "out": out}) is is_folder


@pytest.mark.parametrize(
    ("given", "has_gpu", "jobs"),
    [
        ({}, False, 6),
        ({"threads": 4}, False, 1),
        ({"threads": 99}, False, 1),
        ({}, True, 2),
        ({"device": "cpu"}, True, 6),
        ({"backend": "onnx"}, True, 6),
        ({"backend": "tensorrt"}, False, 2),
        ({"device": "cuda:0"}, False, 2),
    ],
)
def test_one_process_per_core_and_few_on_a_gpu(
    given: dict[str, Any], has_gpu: bool, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "has_nvidia_gpu", lambda: has_gpu)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(6)), raising=False)
    assert default_jobs({"backend": "auto", "device": "auto", "threads": 1, **given}) == jobs
