"""Following, over a made-up world: the detector says where faces stand, the reader what a crop of
the world shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from faceaffect.detectors import Detections
from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks, transform_points
from faceaffect.tracking.face_network import FaceOutputs
from faceaffect.tracking.tracker import FaceTracker, TrackerConfig
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
    alike: float = 1.0  # correlation of today's portrait with the usual one

    @property
    def landmarks_xy(self) -> FloatArray:
        return ((face_shape() - MIDDLE_XY) * self.scale + np.float32([self.x, self.y])).astype(
            np.float32
        )

    @property
    def portrait(self) -> FloatArray:
        portrait = np.zeros(40, np.float32)
        portrait[self.who], portrait[20 + self.who] = self.alike, np.sqrt(1 - self.alike**2)
        return portrait


@dataclass
class World:
    """Detector and reader at once. The image stays the same gray, so that nothing looks like a cut
    but `level`.
    """

    people: list[Person] = field(default_factory=list)
    level: int = 90
    looks: list[float] = field(default_factory=list)  # times at which the detector ran
    name: str = "world"

    def detect(self, frame: Frame) -> Detections:
        self.looks.append(frame.time_s)
        shapes = np.array([person.landmarks_xy for person in self.people], np.float32).reshape(
            -1, 68, 2
        )
        return Detections(
            np.zeros((len(shapes), 4)),
            keypoints_from_landmarks(shapes),
            np.ones(len(shapes), np.float32),
        )

    def read(self, frame: Frame, maps: FloatArray) -> FaceOutputs:
        """The person nearest to each crop's middle, unless he stands outside it."""
        landmarks = transform_points(maps, np.tile(face_shape(), (len(maps), 1, 1)))
        score, portraits = (
            np.full(len(maps), 0.02, np.float32),
            np.zeros((len(maps), 40), np.float32),
        )
        for row, (x, y) in enumerate(
            transform_points(maps, np.tile(MIDDLE_XY, (len(maps), 1, 1)))[:, 0]
        ):
            near = min(self.people, key=lambda p: np.hypot(p.x - x, p.y - y), default=None)
            if near is not None and np.hypot(near.x - x, near.y - y) < 50 * near.scale:
                landmarks[row], portraits[row], score[row] = near.landmarks_xy, near.portrait, 0.97
        return FaceOutputs(maps, landmarks, score, portraits, {})


class Film:
    """Runs a follower through the world, frame after frame."""

    def __init__(self, **settings: object) -> None:
        self.world = World()
        self.follower = FaceTracker(self.world, self.world.read, TrackerConfig(**settings))  # type: ignore[arg-type]
        self.index = 0
        self.fps = float(FPS)
        self.given: list[int] = []

    def run(self, people: list[Person], frames: int = 1) -> list[int]:
        """The ids after `frames` frames that show `people`."""
        self.world.people = people
        for _ in range(frames):
            pixels = np.full((480, 640, 3), self.world.level, np.uint8)
            reading = self.follower.step(
                Frame(pixels, time_s=self.index / self.fps, index=self.index)
            )
            self.index += 1
            ids = [track.track_id for track in self.follower.tracks]
            assert len(reading.score) == len(ids), "a reading for every track"
            assert len(set(ids)) == len(ids)
            self.given += [i for i in ids if i not in self.given]
        return ids


ANN, BEN = Person(200, 200, who=0), Person(450, 220, who=1)


def test_nobody() -> None:
    film = Film()
    assert film.run([], 100) == []
    assert film.follower.step(
        Frame(np.zeros((48, 64, 3), np.uint8), time_s=9)
    ).landmarks_xy.shape == (0, 68, 2)


def test_a_face_is_found_at_once_and_held_while_the_detector_rests() -> None:
    film = Film()
    assert film.run([ANN]) == [1]
    assert len(film.world.looks) == 1
    assert film.run([ANN], 10 * FPS) == [1]
    # Looks at 0.3, 0.6, 1.2, 1.2, ... seconds' distance: never oftener.
    assert 5 <= len(film.world.looks) <= 12


def test_no_look_at_all_while_the_frame_is_full() -> None:
    film = Film(max_faces=1)
    film.run([ANN], 5 * FPS)
    assert len(film.world.looks) == 1


def test_look_interval_grows_while_nothing_changes_and_shrinks_for_a_newcomer() -> None:
    film = Film()
    film.run([ANN], 6 * FPS)
    gaps = np.diff(film.world.looks)
    assert (np.diff(gaps) > -1.5 / FPS).all(), "intervals grow"
    assert gaps[0] < 0.4
    assert gaps[-1] == pytest.approx(1.2, abs=1.5 / FPS)
    assert film.run([ANN, BEN], round(1.3 * FPS)) == [1, 2]
    newcomer_s = film.world.looks[-1] if len(film.follower.tracks) == 2 else 0
    film.run([ANN, BEN], FPS)
    later = [t for t in film.world.looks if t > newcomer_s]
    assert later, "the detector must look again soon after somebody came"
    assert later[0] - newcomer_s < 0.7


def test_a_moving_face_keeps_its_id_and_is_followed_closely() -> None:
    film = Film(smooth=False)
    film.run([ANN])
    for x in range(200, 560, 9):
        assert film.run([replace(ANN, x=x)]) == [1]
        np.testing.assert_allclose(
            film.follower.tracks[0].landmarks_xy, replace(ANN, x=x).landmarks_xy, atol=0.1
        )


def test_lost_and_found_again_keeps_the_id() -> None:
    film = Film()
    film.run([ANN], 20)
    assert film.run([], 8) == []
    assert film.run([ANN], 12) == [1]


def test_another_person_at_the_same_place_after_a_gap_is_new() -> None:
    film = Film()
    film.run([ANN], 20)
    film.run([], 8)
    assert film.run([replace(ANN, who=3)], 12) == [2]


@pytest.mark.parametrize("level", [90, 200])
def test_another_person_at_the_same_place_from_one_frame_to_the_next_is_new(level: int) -> None:
    film = Film()
    film.run([ANN], 20)
    film.world.level = level  # with and without a cut in the image around the face
    assert film.run([replace(ANN, who=3)], 12) == [2]
    assert film.given == [1, 2]


def test_the_same_person_after_a_cut_keeps_the_id() -> None:
    film = Film()
    film.run([ANN], 20)
    film.world.level = 200
    assert film.run([ANN], 5) == [1]


@pytest.mark.parametrize(("level", "ids"), [(90, [1]), (200, [2])])
def test_a_face_half_alike_is_the_same_unless_the_image_was_cut(level: int, ids: list[int]) -> None:
    film = Film()
    film.run([ANN], 20)
    film.world.level = level
    assert film.run([replace(ANN, alike=0.82)], 5) == ids


def test_a_face_that_changed_its_looks_a_little_is_the_same() -> None:
    film = Film()
    film.run([ANN], 20)
    assert film.run([replace(ANN, alike=0.86)], 3) == [1]


def test_forgotten_after_the_rest() -> None:
    film = Film(lost_track_timeout_s=2.0)
    film.run([ANN], 20)
    film.run([], round(2.5 * FPS))
    assert film.run([ANN], 12) == [2]


def test_found_again_far_away_at_once_is_not_trusted() -> None:
    film = Film()
    film.run([replace(ANN, x=80)], 20)
    film.run([], 1)
    assert film.run([replace(ANN, x=580)], 10) == [2]


def test_two_tracks_on_one_face_leave_the_older() -> None:
    film = Film()
    film.run([ANN], 20)
    assert film.run([ANN, BEN], 2 * FPS) == [1, 2]
    # Ben's track is led onto Ann: he goes, and the crop where he was now shows her.
    film.follower.tracks[1].place = film.follower.tracks[0].place.copy()
    film.follower.tracks[1].portrait = ANN.portrait
    assert film.run([ANN], 1) == [1]
    assert film.run([ANN], 30) == [1]


def test_no_more_than_max_faces() -> None:
    film = Film(max_faces=3)
    crowd = [Person(70 + 125 * (i % 5), 90 + 140 * (i // 5), who=i) for i in range(10)]
    assert film.run(crowd, 30) == [1, 2, 3]


def test_faces_too_small_are_left_out() -> None:
    film = Film(min_face_size_px=60)
    assert film.run([replace(ANN, scale=0.3), replace(BEN, scale=1.0)], 10) == [1]


def test_a_find_that_the_network_takes_for_no_face_is_left_out() -> None:
    film = Film()
    read = film.world.read
    film.follower._read = lambda frame, maps: replace(
        read(frame, maps), score=np.full(len(maps), 0.3, np.float32)
    )
    assert film.run([ANN], 10) == []


def test_nonsense_of_the_network_ends_the_track() -> None:
    film = Film()
    film.run([ANN], 5)
    read = film.world.read
    film.follower._read = lambda frame, maps: replace(
        read(frame, maps), landmarks_xy=np.full((len(maps), 68, 2), np.nan)
    )
    assert film.run([ANN], 3) == []


def test_ids_are_never_given_twice() -> None:
    film = Film()
    film.run([ANN, BEN], 5)
    film.follower.reset()
    assert film.run([ANN, BEN], 5) == [3, 4]
    film.follower.set_next_track_id(41)
    film.follower.set_next_track_id(8)  # not back
    film.follower.reset()
    assert film.run([ANN], 5) == [41]


def test_a_clock_set_back_is_survived() -> None:
    film = Film()
    film.run([ANN], 100)
    film.index = 0
    assert film.run([ANN], 5) == [1]
    assert 2 in film.run([ANN, BEN], 2 * FPS)


def test_a_clock_that_stands_still_is_survived() -> None:
    film = Film()
    film.fps = np.inf  # every frame at 0.0 s
    assert film.run([], 30) == []
    assert film.run([ANN], 10) == [1]
    assert film.run([ANN, BEN], 60) == [1, 2]
    film.run([], 5)
    film.run([], 75)
    assert film.run([ANN], 10) == [3], "the rest ends although the clock stands still"


@pytest.mark.parametrize("smooth", [True, False])
def test_smoothing_is_a_switch(smooth: bool) -> None:
    film = Film(smooth=smooth)
    random = np.random.default_rng(0)
    steps: list[float] = []
    shake: Callable[[], Person] = lambda: replace(  # noqa: E731
        ANN, x=200 + random.normal(), y=200 + random.normal()
    )
    for _ in range(60):
        film.run([shake()])
        steps.append(film.follower.tracks[0].landmarks_xy[30, 0])
    assert (np.std(steps[10:]) < 0.8) == smooth


class CheapWorld(World):
    """Its detector can look for large faces only."""

    def __init__(self) -> None:
        super().__init__()
        self.large: list[float] = []
        self.asked: list[FloatArray] = []
        self.believes = True

    def confirms(self, frame: Frame, maps: FloatArray) -> BoolArray:
        self.asked.append(maps)
        return np.full(len(maps), self.believes)

    def detect_large(self, frame: Frame) -> Detections:
        self.large.append(frame.time_s)
        found = self.detect(frame)
        self.looks.pop()
        return found


def test_a_cheap_detector_is_asked_often_and_now_and_then_for_small_faces() -> None:
    world = CheapWorld()
    follower = FaceTracker(world, world.read, TrackerConfig())
    world.people = [Person(200, 200, 0)]
    frames = [
        Frame(np.full((480, 640, 3), world.level, np.uint8), time_s=index / 30, index=index)
        for index in range(240)
    ]
    for frame in frames:
        if frame.index == 100:
            world.people = [Person(200, 200, 0), Person(450, 200, 1)]
        follower.step(frame)
        if frame.index >= 109:
            assert len(follower.tracks) == 2, "found within 0.3 s"
    looks = sorted(world.looks + world.large)
    assert max(np.diff(looks)) <= 0.3
    assert 0.9 <= min(np.diff(world.looks)) <= max(np.diff(world.looks)) <= 1.5
    assert len(world.large) > 3 * len(world.looks)


def test_a_new_face_needs_the_confirmation_of_a_cheap_detector_once() -> None:
    world = CheapWorld()
    follower = FaceTracker(world, world.read, TrackerConfig())
    world.people = [Person(200, 200, 0)]
    world.believes = False
    frame = Frame(np.full((480, 640, 3), world.level, np.uint8))
    follower.step(frame)
    assert not follower.tracks
    assert len(world.asked) == 1
    wanted = estimate_crop_to_frame(keypoints_from_landmarks(world.people[0].landmarks_xy[None]))
    np.testing.assert_allclose(world.asked[0], wanted, atol=0.05)
    world.believes = True
    for index in range(1, 60):
        follower.step(replace(frame, time_s=index / 30, index=index))
    assert len(follower.tracks) == 1
    assert len(world.asked) == 2, "a held face is not asked about again"


def test_what_is_no_face_at_all_is_looked_at_once() -> None:
    world = World()
    follower = FaceTracker(world, world.read, TrackerConfig())
    world.people = [Person(200, 200, 0)]
    ghost = Person(500, 400, 1)
    reads: list[int] = []

    def read(frame: Frame, maps: FloatArray) -> FaceOutputs:
        reads.append(len(maps))
        return world.read(frame, maps)

    def detect(frame: Frame) -> Detections:
        shapes = np.array([world.people[0].landmarks_xy, ghost.landmarks_xy])
        return Detections(
            np.zeros((2, 4), np.float32), keypoints_from_landmarks(shapes), np.ones(2, np.float32)
        )

    world.detect = detect  # type: ignore[method-assign]
    follower = FaceTracker(world, read, TrackerConfig())
    follower.step(Frame(np.full((480, 640, 3), 90, np.uint8)))
    assert reads == [0, 2, 1, 1], "both finds, then twice the one that might be a face"
    assert len(follower.tracks) == 1
