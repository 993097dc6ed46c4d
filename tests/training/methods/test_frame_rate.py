"""Judging at a pace reads the frames that the SDK reads at it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from faceaffect.bundle.stage_spec import StageSpec
from faceaffect.multistage.stage_runner import StageRunner
from tests.training.methods.synthetic_faces import synthetic_faces
from training.datasets.frame_table import FrameTable
from training.methods.frame_rate import subsample_to_fps

pytestmark = pytest.mark.train


class CountedStage:
    """Gives back what it was shown last."""

    spec = StageSpec("temporal", "temporal.onnx", {"crops": (1,)}, {"seen": (1,)}, {"count": (1,)})

    def run(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"seen": tensors["crops"], "count": tensors["count"] + 1}


def read_by_the_sdk(table: FrameTable, input_fps: float) -> list[int]:
    """Rows that its runner counts, each video being a face of its own."""
    counted = []
    for video in range(len(table.videos)):
        runner = StageRunner([CountedStage()], input_fps)
        for row in np.flatnonzero(table.video == video):
            found = runner.see(np.array([[row]], np.float32), [1], float(table.audio_offset_s[row]))
            if int(found[0]["seen"][0]) == row:
                counted.append(int(row))
    return counted


@pytest.mark.parametrize("input_fps", [3.0, 7.0, 12.5, 25.0, 60.0])
def test_subsample_to_fps_matches_stage_runner(input_fps: float) -> None:
    table, _ = synthetic_faces({"one": 40, "two": 33, "slow": 9})
    random = np.random.default_rng(2)
    times = np.concatenate([
        np.round(np.arange(40) / 25, 3) - 0.2,
        np.cumsum(random.uniform(0.02, 0.12, 33)),  # a rate that varies
        np.arange(9) / 2,
    ])  # fmt: skip
    table = replace(table, audio_offset_s=times)
    rows = np.arange(len(table))
    found = subsample_to_fps(table, rows, input_fps)
    assert found.tolist() == read_by_the_sdk(table, input_fps)
    assert (len(found) == len(rows)) == (input_fps >= 25)


def test_subsample_to_fps_without_rate_keeps_all_rows() -> None:
    table, _ = synthetic_faces()
    assert subsample_to_fps(table, np.array([3, 4, 9]), None).tolist() == [3, 4, 9]


def test_subsample_to_fps_of_unknown_times_keeps_video_and_warns() -> None:
    table, _ = synthetic_faces({"one": 10, "mute": 10})
    times = table.audio_offset_s.copy()
    times[10:] = np.nan
    with pytest.warns(UserWarning, match="times of 1 videos are unknown, such as mute"):
        found = subsample_to_fps(replace(table, audio_offset_s=times), np.arange(20), 5.0)
    assert found.tolist() == [0, 5, *range(10, 20)]


@pytest.mark.parametrize("input_fps", [0.0, -3.0, float("nan")])
def test_subsample_to_fps_of_invalid_rate_raises(input_fps: float) -> None:
    table, _ = synthetic_faces()
    with pytest.raises(ValueError, match="must be a number above 0"):
        subsample_to_fps(table, np.arange(3), input_fps)
