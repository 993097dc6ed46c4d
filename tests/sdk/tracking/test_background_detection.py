"""Detector runs beside the frames of a live source."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from faceaffect.detectors import Detections
from faceaffect.tracking.background_detection import BackgroundDetection
from faceaffect.tracking.tracker import FaceTracker
from faceaffect.tracking.tracker_config import TrackerConfig
from faceaffect.types import Frame
from tests.sdk.tracking.test_tracker import ANN, BEN, FastWorld, Person


class SlowWorld(FastWorld):
    """World whose detector runs until `gate` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.threads: list[str] = []

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        people = list(self.people)
        self.threads.append(threading.current_thread().name)
        assert self.gate.wait(10)
        self.people, shown = people, self.people
        try:
            return super().detect(frame, full_resolution=full_resolution)
        finally:
            self.people = shown


def frame_at(index: int, level: int = 90) -> Frame:
    return Frame(np.full((480, 640, 3), level, np.uint8), time_s=index / 30, index=index)


def wait_for_run(tracker: FaceTracker) -> None:
    run = tracker._background._run  # type: ignore[union-attr]
    assert run is not None
    run.exception(10)


def test_tracker_in_background_never_waits_for_detector() -> None:
    world = SlowWorld()
    world.people = [ANN]
    tracker = FaceTracker(world, world.infer, TrackerConfig())
    tracker.detect_in_background()
    begin_s = time.perf_counter()
    for index in range(5):
        tracker.update(frame_at(index))
        assert tracker.tracks == []
    assert time.perf_counter() - begin_s < 5
    world.gate.set()
    wait_for_run(tracker)
    tracker.update(frame_at(5))
    assert [track.track_id for track in tracker.tracks] == [1]
    assert set(world.threads) == {"faceaffect-detect_0"}
    tracker.reset()
    assert not [t for t in threading.enumerate() if t.name.startswith("faceaffect-detect")]


def test_tracker_in_background_finds_second_face_within_schedule() -> None:
    world = SlowWorld()
    world.gate.set()
    tracker = FaceTracker(world, world.infer, TrackerConfig())
    tracker.detect_in_background()
    world.people = [ANN]
    for index in range(30):
        tracker.update(frame_at(index))
        if tracker._background.is_busy:  # type: ignore[union-attr]
            wait_for_run(tracker)
    world.people = [ANN, BEN]
    delay = 0
    while len(tracker.tracks) < 2:
        tracker.update(frame_at(30 + delay))
        if tracker._background.is_busy:  # type: ignore[union-attr]
            wait_for_run(tracker)
        delay += 1
    assert delay / 30 <= 0.3
    tracker.reset()


def test_tracker_in_background_drops_detections_from_before_a_cut() -> None:
    world = SlowWorld()
    world.people = [ANN]
    tracker = FaceTracker(world, world.infer, TrackerConfig())
    tracker.detect_in_background()
    tracker.update(frame_at(0))
    world.people = [Person(330, 240, who=2)]
    tracker.update(frame_at(1, level=200))  # a cut while the first run is under way
    world.gate.set()
    wait_for_run(tracker)
    tracker.update(frame_at(2, level=200))
    assert tracker.tracks == []
    wait_for_run(tracker)
    tracker.update(frame_at(3, level=200))
    assert [track.track_id for track in tracker.tracks] == [1]
    assert abs(tracker.tracks[0].box_xyxy[0] + tracker.tracks[0].box_xyxy[2] - 660) < 30
    tracker.reset()


def test_background_detection_raises_error_of_detector() -> None:
    class Broken(FastWorld):
        def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
            raise RuntimeError("no memory")

    background = BackgroundDetection()
    background.submit(frame_at(0), [Broken()], True)
    assert background._run is not None
    background._run.exception(10)
    with pytest.raises(RuntimeError, match="no memory"):
        background.poll()
    assert not background.is_busy
    background.close()
