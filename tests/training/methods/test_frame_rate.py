"""Evaluation at a frame rate uses the frames that the SDK uses."""

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
    """Stage that returns its last input."""

    spec = StageSpec("temporal", "temporal.onnx", {"crops": (1,)}, {"seen": (1,)}, {"count": (1,)})

    def run(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"seen": tensors["crops"], "count": tensors["count"] + 1}


def sdk_rows(table: FrameTable, input_fps: float) -> list[int]:
    """Rows that the SDK's runner processes, with one face per video."""
    processed = []
    for video in range(len(table.videos)):
        runner = StageRunner([CountedStage()], input_fps)
        for row in np.flatnonzero(table.video == video):
            outputs = runner.step(
                np.array([[row]], np.float32), [1], float(table.audio_offset_s[row])
            )
            if int(outputs[0]["seen"][0]) == row:
                processed.append(int(row))
    return processed


@pytest.mark.parametrize("input_fps", [3.0, 7.0, 12.5, 25.0, 60.0])
def test_subsample_to_fps_matches_stage_runner(input_fps: float) -> None:
    table, _ = synthetic_faces({"one": 40, "two": 33, "slow": 9})
    random = np.random.default_rng(2)
    constant = np.round(np.arange(40) / 25, 3) - 0.2
    varying = np.cumsum(random.uniform(0.02, 0.12, 33))
    times = np.concatenate([constant, varying, np.arange(9) / 2])
    table = replace(table, audio_offset_s=times)
    rows = np.arange(len(table))
    subset = subsample_to_fps(table, rows, input_fps)
    assert subset.tolist() == sdk_rows(table, input_fps)
    assert (len(subset) == len(rows)) == (input_fps >= 25)


def test_subsample_to_fps_without_rate_keeps_all_rows() -> None:
    table, _ = synthetic_faces()
    assert subsample_to_fps(table, np.array([3, 4, 9]), None).tolist() == [3, 4, 9]


def test_subsample_to_fps_of_unknown_times_keeps_video_and_warns() -> None:
    table, _ = synthetic_faces({"one": 10, "mute": 10})
    times = table.audio_offset_s.copy()
    times[10:] = np.nan
    with pytest.warns(UserWarning, match="times of 1 videos are unknown, such as mute"):
        subset = subsample_to_fps(replace(table, audio_offset_s=times), np.arange(20), 5.0)
    assert subset.tolist() == [0, 5, *range(10, 20)]


@pytest.mark.parametrize("input_fps", [0.0, -3.0, float("nan")])
def test_subsample_to_fps_of_invalid_rate_raises(input_fps: float) -> None:
    table, _ = synthetic_faces()
    with pytest.raises(ValueError, match="must be a number above 0"):
        subsample_to_fps(table, np.arange(3), input_fps)
