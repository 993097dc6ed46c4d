"""Tracking with a detector that runs beside the frames, in the synthetic world of the tracker."""

from __future__ import annotations

import numpy as np

from faceaffect.detectors.detector import BackgroundDetector, Detections
from faceaffect.tracking.tracker import FaceTracker
from faceaffect.tracking.tracker_config import TrackerConfig
from faceaffect.types import Frame
from tests.sdk.tracking.test_tracker import ANN, BEN, FPS, World


class BackgroundWorld(BackgroundDetector):
    """The world of `Video` as a detector whose result is that of the frame of its start."""

    name = "background"

    def __init__(self) -> None:
        self.world = World()
        self.calls: list[str] = []
        self._found: Detections | None = None

    def start(self, frame: Frame, *, full_resolution: bool = True) -> None:
        assert self._found is None, "started twice"
        self.calls.append(f"start {frame.index}")
        self._found = self.world.detect(frame)

    def finish(self) -> Detections:
        assert self._found is not None, "finished without a start"
        self.calls.append("finish")
        found, self._found = self._found, None
        return found


class Background:
    """Runs a tracker with that detector."""

    def __init__(self, **options: object) -> None:
        self.detector = BackgroundWorld()
        self.world = self.detector.world
        self.tracker = FaceTracker(self.detector, self.world.infer, TrackerConfig(**options))  # type: ignore[arg-type]
        self.index = 0

    def run(self, frames: int = 1) -> list[int]:
        """The ids after `frames` frames."""
        for _ in range(frames):
            pixels = np.full((480, 640, 3), self.world.level, np.uint8)
            frame = Frame(pixels, time_s=self.index / FPS, index=self.index)
            outputs = self.tracker.update(frame)
            self.index += 1
            assert len(outputs.face_score) == len(self.tracker.tracks)
        return [track.track_id for track in self.tracker.tracks]


def test_first_frame_has_its_faces() -> None:
    """An independent image has no second frame."""
    video = Background()
    video.world.people = [ANN]
    assert video.run() == [1]
    assert video.detector.calls == ["start 0", "finish"]


def test_later_runs_end_in_the_next_frame() -> None:
    video = Background()
    video.world.people = [ANN]
    video.run(2 * FPS)
    calls = video.detector.calls[2:]
    assert calls, "the detector runs at intervals"
    starts = [int(call.split()[1]) for call in calls if call != "finish"]
    video = Background()
    video.world.people = [ANN]
    for index in range(2 * FPS):
        before = len(video.detector.calls)
        video.run()
        made = video.detector.calls[before:]
        if index in starts:
            assert made == [f"start {index}"]
        elif index - 1 in starts:
            assert made == ["finish"]
        elif index:
            assert made == []


def test_new_face_appears_one_frame_after_the_run_that_saw_it() -> None:
    video = Background()
    video.world.people = [ANN]
    video.run(3)
    video.world.people = [ANN, BEN]
    seen = []
    for _ in range(2 * FPS):
        seen.append((len(video.run()), video.detector.calls[-1]))
    first = next(index for index, (count, _) in enumerate(seen) if count == 2)
    assert seen[first][1] == "finish"
    assert seen[first - 1] == (1, f"start {3 + first - 1}")
    assert seen[-1][0] == 2


def test_new_face_shortens_the_interval_again() -> None:
    video = Background()
    video.world.people = [ANN]
    video.run(6 * FPS)
    video.world.people = [ANN, BEN]
    before = len([call for call in video.detector.calls if call != "finish"])
    video.run(2 * FPS)
    after = [call for call in video.detector.calls if call != "finish"][before:]
    numbers = [int(call.split()[1]) for call in after]
    assert min(np.diff(numbers)) <= 0.4 * FPS


def test_run_of_another_shot_is_dropped() -> None:
    """Faces of the shot before would be placed in the new one."""
    video = Background()
    video.world.people = []
    video.run(1)
    video.world.people = [ANN, BEN]
    video.run(1)
    assert video.detector.calls[-1] == "start 1"
    video.world.level, video.world.people = 220, [ANN]
    assert video.run() == [], "Ben is not here, and Ann is detected anew"
    assert video.detector.calls[-2:] == ["finish", "start 2"]
    assert video.run() == [1]


def test_reset_drops_the_run() -> None:
    video = Background()
    video.run(2)
    assert video.detector.calls[-1] == "start 1"
    video.tracker.reset()
    assert video.detector.calls[-1] == "finish"
    video.index = 0
    video.world.people = [BEN]
    assert video.run() == [1]


def test_lost_gpu_does_not_fail_a_reset() -> None:
    """The next run reports it."""
    video = Background()
    video.run(2)

    def fail() -> Detections:
        raise RuntimeError("lost")

    video.detector.finish = fail  # type: ignore[method-assign]
    video.tracker.reset()
