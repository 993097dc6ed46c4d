"""Fixtures that run the command line with a fake pipeline, in this process or a new one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceaffect
from faceaffect.cli import main
from tests.sdk.cli.fake_pipeline import FakePipeline, fake_module

Run = Callable[..., int]
SCRIPT = Path(__file__).with_name("fake_pipeline.py")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[FakePipeline]:
    """Installs the fake pipeline; the list holds those that were opened."""
    pipelines: list[FakePipeline] = []
    monkeypatch.setitem(sys.modules, "faceaffect.pipeline", fake_module(pipelines))
    return pipelines


@pytest.fixture
def run(opened: list[FakePipeline]) -> Run:
    def run_main(*arguments: str | Path) -> int:
        with pytest.raises(SystemExit) as exit_info:
            main([str(argument) for argument in arguments])
        return int(exit_info.value.code or 0)

    return run_main


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts the command line with the fake pipeline in a new process."""

    def popen(*arguments: str | Path, frame_s: float = 0.0) -> subprocess.Popen[str]:
        roots = [str(Path(next(iter(faceaffect.__path__))).parent), str(SCRIPT.parents[3])]
        environment = {
            **os.environ,
            "FAKE_FRAME_S": str(frame_s),
            "PYTHONPATH": os.pathsep.join(roots),
        }
        command = [sys.executable, str(SCRIPT), *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)

    return popen


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", 60)


def make_clip(path: Path, count: int) -> Path:
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (64, 48)
    )
    for number in range(count):
        writer.write(np.full((48, 64, 3), number, np.uint8))
    writer.release()
    return path
