"""Clips made by ffmpeg, and what ffmpeg itself decodes of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

needs_ffmpeg = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="ffmpeg is not installed"
)


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg; a failure names its message."""
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-y", *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def turn_video(plain: Path, degrees: int, out: Path) -> None:
    """Copy a video and note that it is to be shown turned."""
    try:
        ffmpeg("-display_rotation", str(-degrees), "-i", plain, "-c", "copy", out)
    except AssertionError:  # before version 6
        ffmpeg("-i", plain, "-c", "copy", "-metadata:s:v", f"rotate={degrees}", out)


def moving_pattern(size: str = "64x48", rate: str = "25", seconds: float = 1.0) -> list[str]:
    """Arguments of a moving, colored input."""
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}"]


def smooth_chroma(size: str = "64x48", seconds: float = 1.0) -> list[str]:
    """Arguments of a moving input whose chroma changes little from pixel to pixel."""
    return [*moving_pattern(size, seconds=seconds), "-vf", "format=yuv420p,boxblur=0:0:15:3"]


def decoded_by_ffmpeg(path: Path, size_px: tuple[int, int], *filters: str) -> np.ndarray:
    """Frames [N, H, W, 3] BGR as ffmpeg shows them; it repeats chroma instead of interpolating."""
    chain = ["-vf", ",".join(filters)] if filters else []
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), *chain, "-map", "0:v:0"]
        + ["-fps_mode", "passthrough", "-pix_fmt", "bgr24", "-f", "rawvideo", "-"],
        capture_output=True,
        check=True,
    )
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, size_px[1], size_px[0], 3)


def probed_times_s(path: Path) -> list[float]:
    """Presentation times of the container's clock, by ffprobe."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "json"]
        + ["-show_entries", "frame=best_effort_timestamp_time", str(path)],
        capture_output=True,
        check=True,
    )
    return [
        float(frame["best_effort_timestamp_time"]) for frame in json.loads(done.stdout)["frames"]
    ]
