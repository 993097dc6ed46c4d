"""Short videos, a tiny model, and the command line in a new process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceaffect

SDK = Path(next(iter(faceaffect.__path__))).parent
Analyze = Callable[..., "subprocess.Popen[str]"]


def make_video(path: Path, frames: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (64, 64)
    )
    for number in range(frames):
        writer.write(np.full((64, 64, 3), 100 + number % 100, np.uint8))
    writer.release()
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that accepts every crop as a face."""
    pytest.importorskip("onnx")
    from tests.sdk.tiny_bundle import write_tiny_bundle

    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def analyze(tiny_model: Path) -> Analyze:
    """Starts `faceaffect analyze` on frames that are face crops, so that no detector runs."""

    def start(*arguments: str | Path, python: str = sys.executable) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(SDK), "OMP_NUM_THREADS": "1"}
        command = [
            python,
            "-m",
            "faceaffect",
            "analyze",
            *map(str, arguments),
            "--model",
            str(tiny_model),
            "--aligned-crops",
        ]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)

    return start


def wait_for(
    condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60
) -> None:
    """Wait until the condition holds; fail if the process ends first."""
    end_s = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end_s
        time.sleep(0.005)


def children(pid: int) -> list[int]:
    """Return the ids of the running child processes."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]
