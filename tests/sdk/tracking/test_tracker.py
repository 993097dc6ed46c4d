"""Tracking in a synthetic world, which is both the detector and the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from faceaffect.detectors import Detections, Detector
from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks, transform_points
from faceaffect.tracking.face_network import FaceOutputs
from faceaffect.tracking.tracker import FaceTracker
from faceaffect.tracking.tracker_config import TrackerConfig
from faceaffect.types import BoolArray, FloatArray, Frame
from tests.sdk.tiny_bundle import face_shape

FPS = 25
MIDDLE_XY = np.float32([55.5, 55.5])  # of a crop


@dataclass(frozen=True)
class Person:
    """A face of 112 px times `scale`, its crop's middle at (x, y)."""

    x: float
    y: float
    who: int
    scale: float = 1.0
    similarity: float = 1.0  # to the person's usual appearance

    @property
    def landmarks_xy(self) -> FloatArray:
        return ((face_shape() - MIDDLE_XY) * self.scale + np.float32([self.x, self.y])).astype(
            np.float32
        )

    @property
    def appearance(self) -> FloatArray:
        appearance = np.zeros(40, np.float32)
        appearance[self.who] = self.similarity
        appearance[20 + self.who] = np.sqrt(1 - self.similarity**2)
        return appearance


@dataclass
class World(Detector):
    """Detector and network at once; images are uniformly gray, so that only `level` makes a cut."""

    people: list[Person] = field(default_factory=list)
    level: int = 90
    quality_logit: float = 0.0
    runs: list[float] = field(default_factory=list)  # times at which the detector ran
    name: str = "world"

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        self.runs.append(frame.time_s)
        shapes = np.array([person.landmarks_xy for person in self.people], np.float32).reshape(
            -1, 68, 2
        )
        return Detections(
            np.zeros((len(shapes), 4)),
            keypoints_from_landmarks(shapes),
            np.ones(len(shapes), np.float32),
        )

    def infer(self, frame: Frame, maps: FloatArray) -> FaceOutputs:
        """Outputs for the person nearest to each crop's center, if inside the crop."""
        landmarks = transform_points(maps, np.tile(face_shape(), (len(maps), 1, 1)))
        score = np.full(len(maps), 0.02, np.float32)
        appearance = np.zeros((len(maps), 40), np.float32)
        for row, (x, y) in enumerate(
            transform_points(maps, np.tile(MIDDLE_XY, (len(maps), 1, 1)))[:, 0]
        ):
            near = min(self.people, key=lambda p: np.hypot(p.x - x, p.y - y), default=None)
            if near is not None and np.hypot(near.x - x, near.y - y) < 50 * near.scale:
                landmarks[row] = near.landmarks_xy
                appearance[row] = near.appearance
                score[row] = 0.97
        heads = {"quality_logit": np.full(len(maps), self.quality_logit, np.float32)}
        return FaceOutputs(maps, landmarks, score, appearance, heads)


class Video:
    """Runs a tracker through the world, frame by frame."""

    def __init__(self, **options: object) -> None:
        self.world = World()
        self.tracker = FaceTracker(self.world, self.world.infer, TrackerConfig(**options))  # type: ignore[arg-type]
        self.index = 0
        self.fps = float(FPS)
        self.all_ids: list[int] = []

    def run(self, people: list[Person], frames: int = 1) -> list[int]:
        """The ids after `frames` frames that show `people`."""
        self.world.people = people
        for _ in range(frames):
            pixels = np.full((480, 640, 3), self.world.level, np.uint8)
            outputs = self.tracker.update(
                Frame(pixels, time_s=self.index / self.fps, index=self.index)
            )
            self.index += 1
            ids = [track.track_id for track in self.tracker.tracks]
            assert len(outputs.face_score) == len(ids)
            assert len(set(ids)) == len(ids)
            self.all_ids += [i for i in ids if i not in self.all_ids]
        return ids


ANN, BEN = Person(200, 200, who=0), Person(450, 220, who=1)


def test_tracker_without_faces_returns_empty_outputs() -> None:
    video = Video()
    assert video.run([], 100) == []
    assert video.tracker.update(
        Frame(np.zeros((48, 64, 3), np.uint8), time_s=9)
    ).landmarks_xy.shape == (0, 68, 2)


def test_tracker_with_one_face_runs_detector_rarely() -> None:
    video = Video()
    assert video.run([ANN]) == [1]
    assert len(video.world.runs) == 1
    assert video.run([ANN], 10 * FPS) == [1]
    # Runs at intervals of 0.3, 0.6, 1.2, 1.2, ... seconds.
    assert 5 <= len(video.world.runs) <= 12


def test_tracker_at_max_faces_runs_no_detector() -> None:
    video = Video(max_faces=1)
    video.run([ANN], 5 * FPS)
    assert len(video.world.runs) == 1


def test_tracker_detect_interval_grows_and_resets_with_new_face() -> None:
    video = Video()
    video.run([ANN], 6 * FPS)
    gaps = np.diff(video.world.runs)
    assert (np.diff(gaps) > -1.5 / FPS).all(), "intervals grow"
    assert gaps[0] < 0.4
    assert gaps[-1] == pytest.approx(1.2, abs=1.5 / FPS)
    assert video.run([ANN, BEN], round(1.3 * FPS)) == [1, 2]
    new_face_s = video.world.runs[-1] if len(video.tracker.tracks) == 2 else 0
    video.run([ANN, BEN], FPS)
    later = [t for t in video.world.runs if t > new_face_s]
    assert later, "the detector must run again soon after a new face"
    assert later[0] - new_face_s < 0.7


def test_tracker_with_moving_face_keeps_id_and_landmarks() -> None:
    video = Video(smooth=False)
    video.run([ANN])
    for x in range(200, 560, 9):
        assert video.run([replace(ANN, x=x)]) == [1]
        np.testing.assert_allclose(
            video.tracker.tracks[0].landmarks_xy, replace(ANN, x=x).landmarks_xy, atol=0.1
        )


def test_tracker_after_short_loss_resumes_id() -> None:
    video = Video()
    video.run([ANN], 20)
    assert video.run([], 8) == []
    assert video.run([ANN], 12) == [1]


def test_tracker_with_other_person_after_gap_assigns_new_id() -> None:
    video = Video()
    video.run([ANN], 20)
    video.run([], 8)
    assert video.run([replace(ANN, who=3)], 12) == [2]


@pytest.mark.parametrize("level", [90, 200])
def test_tracker_with_other_person_in_next_frame_assigns_new_id(level: int) -> None:
    video = Video()
    video.run([ANN], 20)
    video.world.level = level  # with and without a cut in the image around the face
    assert video.run([replace(ANN, who=3)], 12) == [2]
    assert video.all_ids == [1, 2]


def test_tracker_after_shot_cut_with_same_person_keeps_id() -> None:
    video = Video()
    video.run([ANN], 20)
    video.world.level = 200
    assert video.run([ANN], 5) == [1]


@pytest.mark.parametrize(("level", "ids"), [(90, [1]), (200, [2])])
def test_tracker_with_similar_face_assigns_new_id_only_after_cut(
    level: int, ids: list[int]
) -> None:
    video = Video()
    video.run([ANN], 20)
    video.world.level = level
    assert video.run([replace(ANN, similarity=0.82)], 5) == ids


def test_tracker_with_slightly_changed_appearance_keeps_id() -> None:
    video = Video()
    video.run([ANN], 20)
    assert video.run([replace(ANN, similarity=0.86)], 3) == [1]


def test_tracker_after_lost_track_timeout_assigns_new_id() -> None:
    video = Video(lost_track_timeout_s=2.0)
    video.run([ANN], 20)
    video.run([], round(2.5 * FPS))
    assert video.run([ANN], 12) == [2]


def test_tracker_with_implausible_jump_assigns_new_id() -> None:
    video = Video()
    video.run([replace(ANN, x=80)], 20)
    video.run([], 1)
    assert video.run([replace(ANN, x=580)], 10) == [2]


def test_tracker_with_two_tracks_on_one_face_keeps_older() -> None:
    video = Video()
    video.run([ANN], 20)
    assert video.run([ANN, BEN], 2 * FPS) == [1, 2]
    # Ben's track is moved onto Ann, so it is dropped.
    video.tracker.tracks[1].next_crop = video.tracker.tracks[0].next_crop.copy()
    video.tracker.tracks[1].appearance = ANN.appearance
    assert video.run([ANN], 1) == [1]
    assert video.run([ANN], 30) == [1]


def test_tracker_with_crowd_keeps_max_faces() -> None:
    video = Video(max_faces=3)
    crowd = [Person(70 + 125 * (i % 5), 90 + 140 * (i // 5), who=i) for i in range(10)]
    assert video.run(crowd, 30) == [1, 2, 3]


def test_tracker_with_small_faces_ignores_them() -> None:
    video = Video(min_face_size_px=60)
    assert video.run([replace(ANN, scale=0.3), replace(BEN, scale=1.0)], 10) == [1]


def test_tracker_with_low_face_score_starts_no_track() -> None:
    video = Video()
    infer = video.world.infer
    video.tracker._new_faces._run = lambda frame, maps: replace(
        infer(frame, maps), face_score=np.full(len(maps), 0.3, np.float32)
    )
    assert video.run([ANN], 10) == []


def test_tracker_with_nan_landmarks_ends_track() -> None:
    video = Video()
    video.run([ANN], 5)
    infer = video.world.infer
    video.tracker._run = video.tracker._new_faces._run = lambda frame, maps: replace(
        infer(frame, maps), landmarks_xy=np.full((len(maps), 68, 2), np.nan)
    )
    assert video.run([ANN], 3) == []


def test_tracker_after_reset_uses_no_id_twice() -> None:
    video = Video()
    video.run([ANN, BEN], 5)
    video.tracker.reset()
    assert video.run([ANN, BEN], 5) == [3, 4]
    video.tracker.set_next_track_id(41)
    video.tracker.set_next_track_id(8)  # not back
    video.tracker.reset()
    assert video.run([ANN], 5) == [41]


def test_tracker_with_clock_set_back_keeps_tracking() -> None:
    video = Video()
    video.run([ANN], 100)
    video.index = 0
    assert video.run([ANN], 5) == [1]
    assert 2 in video.run([ANN, BEN], 2 * FPS)


def test_tracker_with_stalled_clock_keeps_tracking() -> None:
    video = Video()
    video.fps = np.inf  # every frame at 0.0 s
    assert video.run([], 30) == []
    assert video.run([ANN], 10) == [1]
    assert video.run([ANN, BEN], 60) == [1, 2]
    video.run([], 5)
    video.run([], 75)
    assert video.run([ANN], 10) == [3], "lost tracks time out although the clock stalls"


@pytest.mark.parametrize("smooth", [True, False])
def test_tracker_smooth_option_reduces_jitter(smooth: bool) -> None:
    video = Video(smooth=smooth)
    random = np.random.default_rng(0)
    steps: list[float] = []
    shake: Callable[[], Person] = lambda: replace(  # noqa: E731
        ANN, x=200 + random.normal(), y=200 + random.normal()
    )
    for _ in range(60):
        video.run([shake()])
        steps.append(video.tracker.tracks[0].landmarks_xy[30, 0])
    assert (np.std(steps[10:]) < 0.8) == smooth


class FastWorld(World):
    """World with a fast detector."""

    is_fast = True

    def __init__(self) -> None:
        super().__init__()
        self.coarse_runs: list[float] = []
        self.verified: list[FloatArray] = []
        self.accepts = True

    def verify(self, frame: Frame, crop_to_frame: FloatArray) -> BoolArray:
        self.verified.append(crop_to_frame)
        return np.full(len(crop_to_frame), self.accepts)

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        detections = super().detect(frame)
        if not full_resolution:
            self.coarse_runs.append(self.runs.pop())
        return detections


def test_tracker_with_fast_detector_runs_it_often_at_low_resolution() -> None:
    world = FastWorld()
    tracker = FaceTracker(world, world.infer, TrackerConfig())
    world.people = [Person(200, 200, 0)]
    frames = [
        Frame(np.full((480, 640, 3), world.level, np.uint8), time_s=index / 30, index=index)
        for index in range(240)
    ]
    for frame in frames:
        if frame.index == 100:
            world.people = [Person(200, 200, 0), Person(450, 200, 1)]
        tracker.update(frame)
        if frame.index >= 109:
            assert len(tracker.tracks) == 2, "found within 0.3 s"
    runs = sorted(world.runs + world.coarse_runs)
    assert max(np.diff(runs)) <= 0.3
    assert 0.9 <= min(np.diff(world.runs)) <= max(np.diff(world.runs)) <= 1.5
    assert len(world.coarse_runs) > 3 * len(world.runs)


def test_tracker_with_fast_detector_verifies_new_face_once() -> None:
    world = FastWorld()
    tracker = FaceTracker(world, world.infer, TrackerConfig())
    world.people = [Person(200, 200, 0)]
    world.quality_logit = -1.0  # a quality of 0.27: in doubt
    world.accepts = False
    frame = Frame(np.full((480, 640, 3), world.level, np.uint8))
    tracker.update(frame)
    assert not tracker.tracks
    assert len(world.verified) == 1
    expected = estimate_crop_to_frame(keypoints_from_landmarks(world.people[0].landmarks_xy[None]))
    np.testing.assert_allclose(world.verified[0], expected, atol=0.05)
    world.accepts = True
    for index in range(1, 60):
        tracker.update(replace(frame, time_s=index / 30, index=index))
    assert len(tracker.tracks) == 1
    assert len(world.verified) == 2, "a tracked face is not verified again"


def test_tracker_with_rejected_detection_crops_it_once() -> None:
    world = World()
    tracker = FaceTracker(world, world.infer, TrackerConfig())
    world.people = [Person(200, 200, 0)]
    ghost = Person(500, 400, 1)
    crop_counts: list[int] = []

    def infer(frame: Frame, maps: FloatArray) -> FaceOutputs:
        crop_counts.append(len(maps))
        return world.infer(frame, maps)

    def detect(frame: Frame, *, full_resolution: bool = True) -> Detections:
        shapes = np.array([world.people[0].landmarks_xy, ghost.landmarks_xy])
        return Detections(
            np.zeros((2, 4), np.float32), keypoints_from_landmarks(shapes), np.ones(2, np.float32)
        )

    world.detect = detect  # type: ignore[method-assign]
    tracker = FaceTracker(world, infer, TrackerConfig())
    tracker.update(Frame(np.full((480, 640, 3), 90, np.uint8)))
    assert crop_counts == [0, 2, 1, 1], "both detections, then twice the one that may be a face"
    assert len(tracker.tracks) == 1
