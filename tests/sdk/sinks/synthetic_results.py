"""Synthetic results of frames, and rows of them in files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from faceaffect.sinks import Sink, SinkOptions, open_sink
from faceaffect.types import Affect, Faces, Frame


def synthetic_result(
    index: int, face_count: int = 1, source: str = "clip.mp4"
) -> tuple[Frame, Faces, Affect]:
    """A frame with its faces and affect, equal for equal frame numbers."""
    random = np.random.default_rng(index)
    corner = random.uniform(10, 60, (face_count, 2)).astype(np.float32)
    box = np.concatenate([corner, corner + 80], axis=1)
    points = corner[:, None] + random.uniform(0, 80, (face_count, 68, 2)).astype(np.float32)
    ones = np.ones(face_count, np.float32)
    pose = random.uniform(-30, 30, (face_count, 3)).astype(np.float32)
    faces = Faces(box, points, np.arange(1, face_count + 1), 0.9 * ones, 0.8 * ones, pose)
    expression = random.dirichlet(np.ones(7), face_count).astype(np.float32)
    au = random.uniform(0, 1, (face_count, 12)).astype(np.float32)
    valence, arousal = random.uniform(-1, 1, (2, face_count)).astype(np.float32)
    affect = Affect(au, au > 0.5, expression, valence, arousal)
    pixels = np.full((120, 160, 3), 60, np.uint8)
    return Frame(pixels, time_s=index / 25, index=index, source=source), faces, affect


def write_frames(sink: Sink, frames: range, source: str = "clip.mp4") -> None:
    """Write frames with 0, 1 and 2 faces in turn."""
    for index in frames:
        sink.write(*synthetic_result(index, face_count=index % 3, source=source))


def frame_column(frames: range) -> list[int]:
    """The frame numbers in the rows of `write_frames`."""
    return [index for index in frames for _ in range(index % 3)]


def read_frame_column(path: Path) -> list[int]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [int(row["frame"]) for row in csv.DictReader(stream)]


def interrupt_run(
    path: Path, frames: range, source: str = "clip.mp4", options: SinkOptions | None = None
) -> None:
    """Write frames, and end by an exception in the middle of the source."""

    def run() -> None:
        with open_sink(path, options) as sink:
            start = sink.begin(source).next_frame
            write_frames(sink, range(max(start, frames.start), frames.stop), source)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
