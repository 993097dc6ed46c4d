"""Synthetic videos whose frames encode their number as brightness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

MakeVideo = Callable[..., Path]


def numbered_image(number: int, size_px: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A flat image of brightness 3 x number, which survives lossy coding."""
    return np.full((size_px[1], size_px[0], 3), min(3 * number, 255), np.uint8)


def decode_number(pixels: np.ndarray) -> int:
    return round(float(pixels.mean()) / 3)


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    def make(name: str = "clip.mp4", count: int = 40, fps: float = 25.0) -> Path:
        path = tmp_path / name
        codec = {"mp4": "mp4v", "avi": "MJPG", "webm": "VP80", "mkv": "mp4v"}[path.suffix[1:]]
        writer = cv2.VideoWriter(
            str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, (64, 48)
        )
        for number in range(count):
            writer.write(numbered_image(number))
        writer.release()
        return path

    return make
