"""Tests of the options of `analyze` with an output folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from faceaffect import backends
from faceaffect.cli.batch_options import default_jobs, is_output_folder

NO_OPTIONS = {"output_format": None, "ray": None, "retry_failed": False}


@pytest.mark.parametrize(
    ("out", "is_folder"),
    [
        ("-", False),
        ("rows.csv", False),
        ("rows.txt", False),
        ("/dev/null", False),
        ("folder", True),
        ("folder.csv", True),
    ]
    + [("new", True), ("new.d/", True), ("s3://bucket/parts", True), ("2024.05", False)],
)
def test_is_output_folder_by_name_or_existing_folder(
    out: str, is_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("folder", "folder.csv"):
        (tmp_path / name).mkdir()
    assert is_output_folder({**NO_OPTIONS, "out": (out,)}) is is_folder


@pytest.mark.parametrize(
    ("pipeline", "has_gpu", "jobs"),
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
def test_default_jobs_one_per_core_or_few_on_gpu(
    pipeline: dict[str, Any], has_gpu: bool, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "has_nvidia_gpu", lambda: has_gpu)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(6)), raising=False)
    assert default_jobs({"backend": "auto", "device": "auto", "threads": 1, **pipeline}) == jobs
