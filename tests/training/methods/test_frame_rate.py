"""Judging at a pace reads the frames that the SDK reads at it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
from faceaffect.multistage.stage_runner import StageRunner
from faceaffect.bundle.stage_spec import StageSpec
from tests.training.methods.synthetic_faces import made_up_faces
from training.datasets.frame_table import FrameTable
from training.methods.frame_rate import at_pace

pytestmark = pytest.mark.train


class CountedStage:
    """Gives back what it was shown last."""

    spec = StageSpec("temporal", "temporal.onnx", {"crops": (1,)}, {"seen": (1,)}, {"count": (1,)})

    def run(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"seen": tensors["crops"], "count": tensors["count"] + 1}


def read_by_the_sdk(table: FrameTable, pace_hz: float) -> list[int]:
    """Rows that its runner counts, each video being a face of its own."""
    counted = []
    for video in range(len(table.videos)):
        runner = StageRunner([CountedStage()], pace_hz)
        for row in np.flatnonzero(table.video == video):
            found = runner.see(np.array([[row]], np.float32), [1], float(table.audio_offset_s[row]))
            if int(found[0]["seen"][0]) == row:
                counted.append(int(row))
    return counted


@pytest.mark.parametrize("pace_hz", [3.0, 7.0, 12.5, 25.0, 60.0])
def test_rows_are_those_of_the_runner(pace_hz: float) -> None:
    table, _ = made_up_faces({"one": 40, "two": 33, "slow": 9})
    random = np.random.default_rng(2)
    times = np.concatenate([
        np.round(np.arange(40) / 25, 3) - 0.2,
        np.cumsum(random.uniform(0.02, 0.12, 33)),  # a rate that varies
        np.arange(9) / 2,
    ])  # fmt: skip
    table = replace(table, audio_offset_s=times)
    rows = np.arange(len(table))
    found = at_pace(table, rows, pace_hz)
    assert found.tolist() == read_by_the_sdk(table, pace_hz)
    assert (len(found) == len(rows)) == (pace_hz >= 25)


def test_without_a_pace_every_frame_is_read() -> None:
    table, _ = made_up_faces()
    assert at_pace(table, np.array([3, 4, 9]), None).tolist() == [3, 4, 9]


def test_a_video_of_unknown_times_is_read_whole_and_named() -> None:
    table, _ = made_up_faces({"one": 10, "mute": 10})
    times = table.audio_offset_s.copy()
    times[10:] = np.nan
    with pytest.warns(UserWarning, match="times of 1 videos are not known, such as mute"):
        found = at_pace(replace(table, audio_offset_s=times), np.arange(20), 5.0)
    assert found.tolist() == [0, 5, *range(10, 20)]


@pytest.mark.parametrize("pace_hz", [0.0, -3.0, float("nan")])
def test_no_pace_at_all(pace_hz: float) -> None:
    table, _ = made_up_faces()
    with pytest.raises(ValueError, match="a number of frames a second above 0"):
        at_pace(table, np.arange(3), pace_hz)
