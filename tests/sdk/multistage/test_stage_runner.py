"""Memory of faces and of audio, with stages that say what they were given."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from faceaffect.audio.feature_stream import AudioFeatures
from faceaffect.bundle.stage_spec import StageSpec
from faceaffect.multistage.stage_runner import FORGET_S, StageRunner


class Counting:
    """`sum` grows by the crop's first number; the output is the sum after it and what was heard."""

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


class Ear:
    spec = StageSpec("audio", "", {"mel": (10, 2)}, {"loudness": (1,)}, {"heard": (1,)})

    def run(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        total = tensors["heard"] + tensors["mel"].mean()
        return {"loudness": total, "heard": total}


def see(runner: StageRunner, values: dict[int, float], time_s: float) -> dict[int, list[float]]:
    crops = np.array(list(values.values()), np.float32).reshape(-1, 1, 1, 1)
    found = runner.see(crops, list(values), time_s)
    return {key: face["va"].tolist() for key, face in zip(values, found, strict=True)}


def test_each_face_has_its_own_sum_whatever_row_it_comes_in() -> None:
    stage = Counting()
    runner = StageRunner([Ear(), stage])
    assert see(runner, {1: 1.0, 2: 10.0}, 0.0) == {1: [1, 0], 2: [10, 0]}
    assert see(runner, {2: 10.0, 1: 1.0}, 0.1) == {2: [20, 0], 1: [2, 0]}
    assert see(runner, {3: 5.0, 1: 1.0}, 0.2) == {3: [5, 0], 1: [3, 0]}
    assert see(runner, {2: 10.0}, 0.3) == {2: [30, 0]}
    assert stage.rows == [2, 2, 2, 1], "faces of one frame run together"


def test_faces_of_another_phase_run_when_it_is_their_turn() -> None:
    stage = Counting(every=2)
    runner = StageRunner([Ear(), stage])
    assert see(runner, {1: 1.0}, 0.0) == {1: [1, 0]}
    assert see(runner, {1: 1.0, 2: 10.0}, 0.1) == {1: [1, 0], 2: [10, 0]}
    assert see(runner, {1: 1.0, 2: 10.0}, 0.2) == {1: [2, 0], 2: [10, 0]}
    assert stage.rows == [1, 1, 1]


def test_a_face_that_was_away_too_long_starts_anew() -> None:
    runner = StageRunner([Ear(), Counting()])
    see(runner, {1: 1.0, 2: 10.0}, 0.0)
    assert see(runner, {1: 1.0}, FORGET_S) == {1: [2, 0]}
    assert runner.tracks() == [1, 2]
    assert see(runner, {1: 1.0}, FORGET_S + 0.01) == {1: [3, 0]}
    assert runner.tracks() == [1]
    assert see(runner, {2: 10.0}, FORGET_S + 0.02) == {2: [10, 0]}


def test_a_face_that_stays_is_kept_however_far_apart_frames_are() -> None:
    runner = StageRunner([Ear(), Counting()])
    for step in range(3):
        assert see(runner, {1: 1.0}, 5.0 * step) == {1: [step + 1, 0]}
    assert see(runner, {1: 1.0}, 0.0) == {1: [4, 0]}, "a clock that was set back"


def test_nobody_is_nobody() -> None:
    runner = StageRunner([Ear(), Counting()])
    assert runner.see(np.zeros((0, 1, 1, 1), np.float32), [], 0.0) == []


def test_audio_is_one_for_all_faces_and_known_to_those_who_come_later() -> None:
    runner = StageRunner([Ear(), Counting()])
    step = np.ones((10, 2), np.float32)
    assert see(runner, {1: 1.0}, 0.0) == {1: [1, 0]}
    runner.hear(AudioFeatures([step, 2 * step]))
    assert see(runner, {1: 1.0, 2: 1.0}, 0.1) == {1: [2, 3], 2: [1, 3]}
    runner.hear(AudioFeatures([step], has_gap=True))
    assert see(runner, {1: 1.0}, 0.2) == {1: [3, 1]}
    runner.reset()
    assert see(runner, {1: 1.0}, 0.3) == {1: [1, 0]}


def test_a_model_that_hears_nothing_is_left_alone() -> None:
    deaf = Counting()
    deaf.spec = StageSpec("temporal", "", {"crops": (1, 1, 1)}, {"va": (1,)}, {"sum": (1,)})
    deaf.run = lambda tensors: {"va": tensors["sum"] + 1, "sum": tensors["sum"] + 1}  # type: ignore[method-assign]
    runner = StageRunner([deaf])
    runner.hear(AudioFeatures([np.ones((10, 2), np.float32)]))
    assert see(runner, {1: 1.0}, 0.0) == {1: [1]}
    assert see(runner, {1: 1.0}, 0.1) == {1: [2]}


def counted(times: list[float], input_fps: float) -> list[bool]:
    """Which frames of one face count."""
    runner, sums = StageRunner([Ear(), Counting()], input_fps), [0.0]
    for time_s in times:
        sums.append(see(runner, {1: 1.0}, time_s)[1][0])
    return [bool(after > before) for before, after in pairwise(sums)]


def test_a_pace_counts_frames_by_their_times() -> None:
    thirty = [k / 30 for k in range(61)]
    assert [k for k, counts in enumerate(counted(thirty, 3)) if counts] == [
        0,
        10,
        20,
        30,
        40,
        50,
        60,
    ]
    assert sum(counted(thirty, 25)) == 51  # 25 in each of two seconds, and the first
    slow = [k / 2 for k in range(6)]
    assert counted(slow, 3) == [True] * 6
    assert counted([10.0, 10.1, 0.0, 0.1, 0.4], 3) == [True, False, True, False, True], (
        "a clock that was set back"
    )


def test_each_face_keeps_its_own_pace() -> None:
    runner = StageRunner([Ear(), Counting()], 10)
    assert see(runner, {1: 1.0}, 0.0) == {1: [1, 0]}
    assert see(runner, {1: 1.0, 2: 1.0}, 0.05) == {1: [1, 0], 2: [1, 0]}
    assert see(runner, {1: 1.0, 2: 1.0}, 0.1) == {1: [2, 0], 2: [1, 0]}
    assert see(runner, {1: 1.0, 2: 1.0}, 0.15) == {1: [2, 0], 2: [2, 0]}
