"""Looks beforehand change no row: compared with a follower that looks by itself, over a made-up
world and over real clips.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceaffect.pipeline as pipeline_module
from faceaffect.detectors import Detections
from faceaffect.detectors.fast_detector import FastFaceDetector
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.sinks.overlay_video import OverlayVideo
from faceaffect.sources import open_source
from faceaffect.sources.camera_source import CameraSource
from faceaffect.tracking.detection_prefetch import DetectionPrefetcher
from faceaffect.tracking.detection_schedule import DetectionSchedule
from faceaffect.tracking.tracker import FaceTracker, TrackerConfig
from faceaffect.types import Affect, BoolArray, Faces, FloatArray, Frame
from tests.sdk.tracking.test_tracker import CheapWorld, Person

PLAN = DetectionSchedule(
    every_s=0.25, longest_every_s=0.25, detail_every_s=1.2, max_idle_interval_s=0.25
)
ANN, BEN, CAT = Person(200, 200, who=0), Person(450, 220, who=1), Person(320, 300, who=2)
AHEAD_FRAMES = 5


class Told:
    """A detector that finds what it is told to, and says who asked."""

    name = "told"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[tuple[str, int, int]] = []  # kind, frame, thread

    def detect(self, frame: Frame) -> Detections:
        return self._find("detail", frame)

    def detect_large(self, frame: Frame) -> Detections:
        return self._find("large", frame)

    def confirms(self, frame: Frame, maps: FloatArray) -> BoolArray:
        raise AssertionError("only the follower asks for this")

    def _find(self, kind: str, frame: Frame) -> Detections:
        self.calls.append((kind, frame.index, threading.get_ident()))
        if self.error is not None:
            raise self.error
        return Detections(
            score=np.float32([frame.index]),
            box_xyxy=np.zeros((1, 4)),
            keypoints_xy=np.zeros((1, 5, 2)),
        )


def frames_of(
    count: int, fps: float = 32.0, level: Callable[[int], int] = lambda index: 90
) -> list[Frame]:
    return [
        Frame(np.full((480, 640, 3), level(i), np.uint8), time_s=i / fps, index=i)
        for i in range(count)
    ]


def test_a_find_is_for_the_same_pixels_and_the_same_kind_of_look() -> None:
    frames = frames_of(2)
    ahead = DetectionPrefetcher(Told(), PLAN)
    ahead.see(frames[0])
    assert ahead.take(replace(frames[0], pixels=frames[0].pixels.copy()), in_detail=True) is None
    ahead = DetectionPrefetcher(Told(), PLAN)
    ahead.see(frames[0])
    assert ahead.take(frames[0], in_detail=False) is None
    ahead = DetectionPrefetcher(Told(), PLAN)
    ahead.see(frames[0])
    found = ahead.take(replace(frames[0], time_s=3.0), in_detail=True)
    assert found is not None
    assert found.score.tolist() == [0]
    assert ahead.take(frames[0], in_detail=True) is None, "given once"


def test_frames_that_went_by_are_forgotten() -> None:
    frames = frames_of(40)
    told = Told()
    ahead = DetectionPrefetcher(told, PLAN)
    for frame in frames:
        ahead.see(frame)
    later = next(frame for frame in frames if frame.index == told.calls[-1][1])
    assert ahead.take(later, in_detail=True) is not None
    assert not ahead._looks


def test_an_error_comes_at_its_frame_and_not_before() -> None:
    frames = frames_of(9)
    ahead = DetectionPrefetcher(Told(RuntimeError("out of order")), PLAN)
    for frame in frames:
        ahead.see(frame)
    assert ahead.take(replace(frames[0], pixels=frames[1].pixels), in_detail=True) is None
    with pytest.raises(RuntimeError, match="out of order"):
        ahead.take(frames[1], in_detail=True)


def test_a_plan_that_came_true_is_not_corrected() -> None:
    told, frames = Told(), frames_of(64)
    ahead = DetectionPrefetcher(told, replace(PLAN, is_held=True))
    for frame in frames[:30]:
        ahead.see(frame)
    assert [call[:2] for call in told.calls] == [
        ("detail", 0),
        ("large", 8),
        ("large", 16),
        ("large", 24),
    ]
    assert ahead.take(frames[0], in_detail=True) is not None
    ahead.correct(replace(PLAN, is_held=True).after(0.0, in_detail=True))
    for frame in frames[30:33]:
        ahead.see(frame)
    assert told.calls[-1][:2] == ("large", 32), (
        "looks of frames that lie before those already seen are not made up for"
    )
    ahead.correct(replace(PLAN, is_held=True, looked_s=28 / 32, detailed_s=28 / 32))
    for frame in frames[33:38]:
        ahead.see(frame)
    assert told.calls[-1][:2] == ("large", 36)


class Play(CheapWorld):
    """A world whose people are those of the frame that is looked at, so that it may be asked about
    any.
    """

    def __init__(self, people_at: Callable[[int], list[Person]]) -> None:
        super().__init__()
        self._people_at = people_at

    def detect(self, frame: Frame) -> Detections:
        self.people = self._people_at(frame.index)
        return super().detect(frame)

    def show(self, frame: Frame, maps: FloatArray):  # type: ignore[no-untyped-def]
        self.people = self._people_at(frame.index)
        return self.read(frame, maps)


def people_at(index: int) -> list[Person]:
    """Two people, an empty room, one who comes back, a cut to somebody else, a third who enters."""
    shake = 0.5 * np.sin(index)
    ann, ben = replace(ANN, x=ANN.x + shake), replace(BEN, y=BEN.y - shake)
    if index < 150:
        return [ann] if index < 43 else [ann, ben]
    if index < 260:
        return []
    return [ben] if index < 300 else ([CAT] if index < 401 else [CAT, ann])


@pytest.mark.parametrize("fps", [8.0, 25.0, 30.0, 60.0])
@pytest.mark.parametrize(
    "clock", [lambda s: s, lambda s: 0.0 if 2 < s < 2.5 else s, lambda s: s if s < 4 else s - 4]
)
def test_a_follower_gets_the_same_and_looks_little_by_itself(
    fps: float, clock: Callable[[float], float]
) -> None:
    given = frames_of(500, fps, level=lambda index: 90 if index < 300 else 160)
    frames = [replace(frame, time_s=clock(frame.time_s)) for frame in given]

    def run(prefetch_frames: int) -> tuple[list[object], Play, Play]:
        world, twin = Play(people_at), Play(people_at)
        follower = FaceTracker(world, world.show, TrackerConfig())
        ahead = follower.look_ahead(twin) if prefetch_frames else None
        rows = []
        for index, frame in enumerate(frames):
            if ahead is not None:
                for seen in (
                    frames[prefetch_frames + index :][:1]
                    if index
                    else frames[: prefetch_frames + 1]
                ):
                    ahead.see(seen)
            reading = follower.step(frame)
            rows.append(
                [
                    (t.track_id, t.landmarks_xy.tobytes(), t.box_xyxy.tobytes())
                    for t in follower.tracks
                ]
            )
            rows.append([reading.score.tobytes(), reading.maps.tobytes()])
        return rows, world, twin

    rows, alone, _ = run(0)
    same, beside, twin = run(AHEAD_FRAMES)
    assert same == rows
    inline, all_looks = len(beside.looks) + len(beside.large), len(alone.looks) + len(alone.large)
    assert inline < 0.4 * all_looks
    assert len(twin.looks) + len(twin.large) <= 1.3 * all_looks


def make_film(folder: Path, videos: Path) -> Path:
    """Cuts between clips, two faces side by side, a face that leaves: 640x360."""

    def clip(name: str, count: int) -> list[np.ndarray]:
        capture = cv2.VideoCapture(str(videos / name))
        taken = [cv2.resize(capture.read()[1], (640, 360)) for _ in range(count)]
        capture.release()
        return taken

    smile, sad = (
        clip("pyfeat_single_face_smile.mp4", 50),
        clip("pexels_wolfganglanger_sad_woman.mp4", 50),
    )
    pair = [
        np.hstack([cv2.resize(a, (320, 360)), cv2.resize(b, (320, 360))])
        for a, b in zip(smile, sad, strict=True)
    ]
    half = [
        np.hstack([image[:, :320], np.full((360, 320, 3), 90, np.uint8)]) for image in pair[:30]
    ]
    empty = [np.full((360, 640, 3), 90, np.uint8)] * 40
    path = folder / "film.mp4"
    video = OverlayVideo(path, 25)
    try:
        for index, pixels in enumerate(
            [*smile, *pair, *half, *empty, *clip("pyfeat_face_noface.mov", 60), *sad]
        ):
            video.write(Frame(pixels, index=index), pixels)
    finally:
        video.close()
    return path


def rows_of(pipeline: Pipeline, path: Path, is_ahead: bool) -> list[list[bytes]]:
    pipeline.restart()
    rows: list[list[bytes]] = []
    with open_source(path) as source:
        if is_ahead:
            pipeline.look_ahead(source)
        for frame in source:
            result: tuple[Faces, Affect] = pipeline.analyze(frame)
            rows.append(
                [getattr(part, name).tobytes() for part in result for name in part.__slots__]
            )
    return rows


class Counted(FastFaceDetector):
    """Notes the thread of each look, its twin's too."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []

    def _detect(self, frame: Frame, most_px: int) -> Detections:
        self.threads.append(threading.current_thread().name)
        return super()._detect(frame, most_px)


@pytest.mark.shared
def test_rows_of_real_clips_are_the_same_bit_for_bit(
    trained: None, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, detector = make_film(tmp_path, shared / "data" / "videos"), Counted()
    with open_pipeline(detector=detector) as pipeline:
        monkeypatch.setattr(pipeline_module, "cpu_count", lambda: 1)
        alone = rows_of(pipeline, path, is_ahead=True)
        assert set(detector.threads) == {threading.current_thread().name}, (
            "one core: nothing is done beforehand"
        )
        looks = len(detector.threads)
        monkeypatch.setattr(pipeline_module, "cpu_count", lambda: 2)
        detector.threads.clear()
        assert rows_of(pipeline, path, is_ahead=True) == alone
        assert detector.threads.count("faceaffect-decode") > 0.5 * looks
        detector.threads.clear()
        assert rows_of(pipeline, path, is_ahead=False) == alone, "the source before is forgotten"
        assert "faceaffect-decode" not in detector.threads
    counts = [len(row[0]) // 16 for row in alone]
    assert {0, 1, 2} <= set(counts), "the film shows nobody, one and two"


@pytest.mark.shared
def test_an_error_of_a_look_comes_with_its_frame(
    trained: None, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(FastFaceDetector):
        def _detect(self, frame: Frame, most_px: int) -> Detections:
            if frame.index >= 20 and threading.current_thread().name == "faceaffect-decode":
                raise RuntimeError("no more looks")
            return super()._detect(frame, most_px)

    monkeypatch.setattr(pipeline_module, "cpu_count", lambda: 2)
    path, analyzed = make_film(tmp_path, shared / "data" / "videos"), []
    with open_pipeline(detector=Failing()) as pipeline, open_source(path) as source:
        pipeline.look_ahead(source)
        with pytest.raises(RuntimeError, match="no more looks"):
            analyzed.extend(frame.index for frame in source if pipeline.analyze(frame))
    assert 20 <= len(analyzed) < 28


def test_cameras_and_detectors_without_a_twin_are_not_looked_at_beforehand(
    trained: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pipeline_module, "cpu_count", lambda: 2)
    shown: list[object] = []

    class File:
        is_live, is_sequence, name, fps, frame_count, size_px, dropped, notes = (
            False,
            True,
            "",
            None,
            None,
            None,
            0,
            [],
        )

        def __iter__(self): ...  # type: ignore[no-untyped-def]
        def __enter__(self): ...  # type: ignore[no-untyped-def]
        def __exit__(self, *about: object) -> None: ...
        def close(self) -> None: ...
        def on_frame_decoded(self, see: object) -> None:
            shown.append(see)

    with open_pipeline() as pipeline:
        camera = CameraSource.__new__(CameraSource)
        pipeline.look_ahead(camera)
        images = File()
        images.is_sequence = False
        pipeline.look_ahead(images)  # type: ignore[arg-type]
        assert not shown
        pipeline.look_ahead(File())  # type: ignore[arg-type]
        assert len(shown) == 1
    for other in (Told(), None):
        with open_pipeline(detector=other, crops=other is None, sequence=other is None) as pipeline:
            pipeline.look_ahead(File())  # type: ignore[arg-type]
            assert len(shown) == 1
