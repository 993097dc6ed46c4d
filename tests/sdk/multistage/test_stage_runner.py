"""Memory of faces and audio, with fake stages."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from faceaffect.audio.feature_stream import AudioFeatures
from faceaffect.bundle.stage_spec import StageSpec
from faceaffect.multistage.stage_runner import MEMORY_TIMEOUT_S, StageRunner


class SumStage:
    """`sum` grows by the crop's first number; outputs the sum and the loudness."""

    def __init__(self, every: int = 1) -> None:
        states = {"sum": (1,)}
        self.spec = StageSpec(
            "temporal", "", {"crops": (1, 1, 1), "loudness": (1,)}, {"va": (2,)}, states, every
        )
        self.rows: list[int] = []

    def run(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.rows.append(len(tensors["crops"]))
        total = tensors["sum"] + tensors["crops"][:, :, 0, 0]
        return {"va": np.concatenate([total, tensors["loudness"]], axis=1), "sum": total}


class AudioStage:
    spec = StageSpec("audio", "", {"mel": (10, 2)}, {"loudness": (1,)}, {"total": (1,)})

    def run(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        total = tensors["total"] + tensors["mel"].mean()
        return {"loudness": total, "total": total}


def step(runner: StageRunner, values: dict[int, float], time_s: float) -> dict[int, list[float]]:
    crops = np.array(list(values.values()), np.float32).reshape(-1, 1, 1, 1)
    outputs = runner.step(crops, list(values), time_s)
    return {key: face["va"].tolist() for key, face in zip(values, outputs, strict=True)}


def test_runner_with_reordered_faces_keeps_memory_by_track() -> None:
    stage = SumStage()
    runner = StageRunner([AudioStage(), stage])
    assert step(runner, {1: 1.0, 2: 10.0}, 0.0) == {1: [1, 0], 2: [10, 0]}
    assert step(runner, {2: 10.0, 1: 1.0}, 0.1) == {2: [20, 0], 1: [2, 0]}
    assert step(runner, {3: 5.0, 1: 1.0}, 0.2) == {3: [5, 0], 1: [3, 0]}
    assert step(runner, {2: 10.0}, 0.3) == {2: [30, 0]}
    assert stage.rows == [2, 2, 2, 1], "faces of one frame run together"


def test_runner_with_frame_stride_runs_each_face_on_its_own_phase() -> None:
    stage = SumStage(every=2)
    runner = StageRunner([AudioStage(), stage])
    assert step(runner, {1: 1.0}, 0.0) == {1: [1, 0]}
    assert step(runner, {1: 1.0, 2: 10.0}, 0.1) == {1: [1, 0], 2: [10, 0]}
    assert step(runner, {1: 1.0, 2: 10.0}, 0.2) == {1: [2, 0], 2: [10, 0]}
    assert stage.rows == [1, 1, 1]


def test_runner_after_memory_timeout_forgets_face() -> None:
    runner = StageRunner([AudioStage(), SumStage()])
    step(runner, {1: 1.0, 2: 10.0}, 0.0)
    assert step(runner, {1: 1.0}, MEMORY_TIMEOUT_S) == {1: [2, 0]}
    assert runner.active_tracks() == [1, 2]
    assert step(runner, {1: 1.0}, MEMORY_TIMEOUT_S + 0.01) == {1: [3, 0]}
    assert runner.active_tracks() == [1]
    assert step(runner, {2: 10.0}, MEMORY_TIMEOUT_S + 0.02) == {2: [10, 0]}


def test_runner_with_sparse_frames_keeps_present_face() -> None:
    runner = StageRunner([AudioStage(), SumStage()])
    for k in range(3):
        assert step(runner, {1: 1.0}, 5.0 * k) == {1: [k + 1, 0]}
    assert step(runner, {1: 1.0}, 0.0) == {1: [4, 0]}, "a clock that was set back"


def test_runner_without_faces_returns_empty_list() -> None:
    runner = StageRunner([AudioStage(), SumStage()])
    assert runner.step(np.zeros((0, 1, 1, 1), np.float32), [], 0.0) == []


def test_runner_push_audio_is_shared_by_all_faces() -> None:
    runner = StageRunner([AudioStage(), SumStage()])
    mel = np.ones((10, 2), np.float32)
    assert step(runner, {1: 1.0}, 0.0) == {1: [1, 0]}
    runner.push_audio(AudioFeatures([mel, 2 * mel]))
    assert step(runner, {1: 1.0, 2: 1.0}, 0.1) == {1: [2, 3], 2: [1, 3]}
    runner.push_audio(AudioFeatures([mel], has_gap=True))
    assert step(runner, {1: 1.0}, 0.2) == {1: [3, 1]}
    runner.reset()
    assert step(runner, {1: 1.0}, 0.3) == {1: [1, 0]}


def test_runner_without_audio_stage_ignores_audio() -> None:
    stage = SumStage()
    stage.spec = StageSpec("temporal", "", {"crops": (1, 1, 1)}, {"va": (1,)}, {"sum": (1,)})
    stage.run = lambda tensors: {"va": tensors["sum"] + 1, "sum": tensors["sum"] + 1}  # type: ignore[method-assign]
    runner = StageRunner([stage])
    runner.push_audio(AudioFeatures([np.ones((10, 2), np.float32)]))
    assert step(runner, {1: 1.0}, 0.0) == {1: [1]}
    assert step(runner, {1: 1.0}, 0.1) == {1: [2]}


def processed(times: list[float], input_fps: float) -> list[bool]:
    """Which frames of one face are processed."""
    runner = StageRunner([AudioStage(), SumStage()], input_fps)
    sums = [0.0]
    for time_s in times:
        sums.append(step(runner, {1: 1.0}, time_s)[1][0])
    return [bool(after > before) for before, after in pairwise(sums)]


def test_runner_with_input_fps_selects_frames_by_time() -> None:
    thirty = [k / 30 for k in range(61)]
    assert [k for k, is_due in enumerate(processed(thirty, 3)) if is_due] == [
        0,
        10,
        20,
        30,
        40,
        50,
        60,
    ]
    assert sum(processed(thirty, 25)) == 51  # 25 in each of two seconds, and the first
    slow = [k / 2 for k in range(6)]
    assert processed(slow, 3) == [True] * 6
    assert processed([10.0, 10.1, 0.0, 0.1, 0.4], 3) == [True, False, True, False, True], (
        "a clock that was set back"
    )


def test_runner_with_input_fps_selects_frames_for_each_face() -> None:
    runner = StageRunner([AudioStage(), SumStage()], 10)
    assert step(runner, {1: 1.0}, 0.0) == {1: [1, 0]}
    assert step(runner, {1: 1.0, 2: 1.0}, 0.05) == {1: [1, 0], 2: [1, 0]}
    assert step(runner, {1: 1.0, 2: 1.0}, 0.1) == {1: [2, 0], 2: [1, 0]}
    assert step(runner, {1: 1.0, 2: 1.0}, 0.15) == {1: [2, 0], 2: [2, 0]}


def test_runner_needs_crops_only_of_frames_that_it_processes() -> None:
    stage = SumStage()
    runner = StageRunner([AudioStage(), stage], 3)
    assert not runner.needs_crops([], 0.0)
    for time_s in [k / 30 for k in range(31)] + [0.0, 0.1]:
        needs_crops = runner.needs_crops([1], time_s)
        calls = len(stage.rows)
        step(runner, {1: 1.0}, time_s)
        assert needs_crops == (len(stage.rows) > calls), time_s
    assert runner.needs_crops([1, 2], 0.1), "a new face"
