"""Prefetched detections change no row, in a synthetic world and on real clips."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.detectors import Detections, Detector
from faceaffect.detectors.fast_detector import FastFaceDetector
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.sinks.overlay_video import OverlayVideo
from faceaffect.sources import open_source
from faceaffect.sources.camera_source import CameraSource
from faceaffect.tracking.detection_prefetch import DetectionPrefetcher
from faceaffect.tracking.detection_schedule import DetectionSchedule
from faceaffect.tracking.face_network import FaceOutputs
from faceaffect.tracking.tracker import FaceTracker
from faceaffect.tracking.tracker_config import TrackerConfig
from faceaffect.types import Affect, BoolArray, Faces, FloatArray, Frame
from tests.sdk.tracking.test_tracker import FastWorld, Person

SCHEDULE = DetectionSchedule(
    interval_s=0.25, max_interval_s=0.25, full_resolution_interval_s=1.2, max_idle_interval_s=0.25
)
ANN, BEN, CAT = Person(200, 200, who=0), Person(450, 220, who=1), Person(320, 300, who=2)
PREFETCH_FRAMES = 5


class FakeDetector(Detector):
    """Detects one face with the frame's index as score, and records its calls."""

    name = "fake"
    is_fast = True

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[tuple[str, int, int]] = []  # kind, frame, thread

    def verify(self, frame: Frame, crop_to_frame: FloatArray) -> BoolArray:
        raise AssertionError("only the tracker verifies")

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        kind = "full" if full_resolution else "coarse"
        self.calls.append((kind, frame.index, threading.get_ident()))
        if self.error is not None:
            raise self.error
        return Detections(
            score=np.float32([frame.index]),
            box_xyxy=np.zeros((1, 4)),
            keypoints_xy=np.zeros((1, 5, 2)),
        )


def frame_count(
    count: int, fps: float = 32.0, level: Callable[[int], int] = lambda index: 90
) -> list[Frame]:
    return [
        Frame(np.full((480, 640, 3), level(i), np.uint8), time_s=i / fps, index=i)
        for i in range(count)
    ]


def test_prefetcher_pop_needs_same_pixels_and_resolution() -> None:
    frames = frame_count(2)
    prefetcher = DetectionPrefetcher(FakeDetector(), SCHEDULE)
    prefetcher.submit(frames[0])
    assert (
        prefetcher.pop(replace(frames[0], pixels=frames[0].pixels.copy()), full_resolution=True)
        is None
    )
    prefetcher = DetectionPrefetcher(FakeDetector(), SCHEDULE)
    prefetcher.submit(frames[0])
    assert prefetcher.pop(frames[0], full_resolution=False) is None
    prefetcher = DetectionPrefetcher(FakeDetector(), SCHEDULE)
    prefetcher.submit(frames[0])
    found = prefetcher.pop(replace(frames[0], time_s=3.0), full_resolution=True)
    assert found is not None
    assert found.score.tolist() == [0]
    assert prefetcher.pop(frames[0], full_resolution=True) is None, "returned once"


def test_prefetcher_pop_drops_earlier_frames() -> None:
    frames = frame_count(40)
    detector = FakeDetector()
    prefetcher = DetectionPrefetcher(detector, SCHEDULE)
    for frame in frames:
        prefetcher.submit(frame)
    later = next(frame for frame in frames if frame.index == detector.calls[-1][1])
    assert prefetcher.pop(later, full_resolution=True) is not None
    assert not prefetcher._runs


def test_prefetcher_after_detector_error_raises_at_its_frame() -> None:
    frames = frame_count(9)
    prefetcher = DetectionPrefetcher(FakeDetector(RuntimeError("out of order")), SCHEDULE)
    for frame in frames:
        prefetcher.submit(frame)
    assert prefetcher.pop(replace(frames[0], pixels=frames[1].pixels), full_resolution=True) is None
    with pytest.raises(RuntimeError, match="out of order"):
        prefetcher.pop(frames[1], full_resolution=True)


def test_prefetcher_reschedule_with_expected_schedule_changes_nothing() -> None:
    detector, frames = FakeDetector(), frame_count(64)
    prefetcher = DetectionPrefetcher(detector, replace(SCHEDULE, has_tracks=True))
    for frame in frames[:30]:
        prefetcher.submit(frame)
    assert [call[:2] for call in detector.calls] == [
        ("full", 0),
        ("coarse", 8),
        ("coarse", 16),
        ("coarse", 24),
    ]
    assert prefetcher.pop(frames[0], full_resolution=True) is not None
    prefetcher.reschedule(replace(SCHEDULE, has_tracks=True).advance(0.0, full_resolution=True))
    for frame in frames[30:33]:
        prefetcher.submit(frame)
    assert detector.calls[-1][:2] == ("coarse", 32), (
        "detections due before the submitted frames are not caught up on"
    )
    prefetcher.reschedule(
        replace(SCHEDULE, has_tracks=True, last_run_s=28 / 32, last_full_resolution_s=28 / 32)
    )
    for frame in frames[33:38]:
        prefetcher.submit(frame)
    assert detector.calls[-1][:2] == ("coarse", 36)


class Play(FastWorld):
    """World whose people are those of the given frame, so that frames may come in any order."""

    def __init__(self, people_at: Callable[[int], list[Person]]) -> None:
        super().__init__()
        self._people_at = people_at

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        self.people = self._people_at(frame.index)
        return super().detect(frame, full_resolution=full_resolution)

    def infer(self, frame: Frame, maps: FloatArray) -> FaceOutputs:
        self.people = self._people_at(frame.index)
        return super().infer(frame, maps)


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
def test_tracker_with_prefetcher_returns_same_rows(
    fps: float, clock: Callable[[float], float]
) -> None:
    stamped = frame_count(500, fps, level=lambda index: 90 if index < 300 else 160)
    frames = [replace(frame, time_s=clock(frame.time_s)) for frame in stamped]

    def run(prefetch_frames: int) -> tuple[list[object], Play, Play]:
        world = Play(people_at)
        clone = Play(people_at)
        tracker = FaceTracker(world, world.infer, TrackerConfig())
        prefetcher = tracker.create_prefetcher(clone) if prefetch_frames else None
        rows = []
        for index, frame in enumerate(frames):
            if prefetcher is not None:
                for submitted in (
                    frames[prefetch_frames + index :][:1]
                    if index
                    else frames[: prefetch_frames + 1]
                ):
                    prefetcher.submit(submitted)
            outputs = tracker.update(frame)
            rows.append(
                [
                    (t.track_id, t.landmarks_xy.tobytes(), t.box_xyxy.tobytes())
                    for t in tracker.tracks
                ]
            )
            rows.append([outputs.face_score.tobytes(), outputs.crop_to_frame.tobytes()])
        return rows, world, clone

    rows, inline, _ = run(0)
    same, prefetched, clone = run(PREFETCH_FRAMES)
    assert same == rows
    run_count = len(inline.runs) + len(inline.coarse_runs)
    assert len(prefetched.runs) + len(prefetched.coarse_runs) < 0.4 * run_count
    assert len(clone.runs) + len(clone.coarse_runs) <= 1.3 * run_count


def make_video(folder: Path, videos: Path) -> Path:
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
    path = folder / "video.mp4"
    video = OverlayVideo(path, 25)
    try:
        for index, pixels in enumerate(
            [*smile, *pair, *half, *empty, *clip("pyfeat_face_noface.mov", 60), *sad]
        ):
            video.write(Frame(pixels, time_s=index / 25, index=index), pixels)
    finally:
        video.close()
    return path


def rows_of(pipeline: Pipeline, path: Path, prefetch: bool) -> list[list[bytes]]:
    pipeline.reset(track_ids=True)
    rows: list[list[bytes]] = []
    with open_source(path) as source:
        if prefetch:
            pipeline.prefetch_detections(source)
        for frame in source:
            result: tuple[Faces, Affect] = pipeline.analyze(frame)
            rows.append(
                [getattr(part, name).tobytes() for part in result for name in part.__slots__]
            )
    return rows


class RecordingDetector(FastFaceDetector):
    """Records the thread of each run, also of its clone."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []

    def _detect(self, frame: Frame, max_side_px: int) -> Detections:
        self.threads.append(threading.current_thread().name)
        return super()._detect(frame, max_side_px)


@pytest.mark.shared
def test_pipeline_with_prefetching_returns_same_rows_on_real_clips(
    trained: None, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path, shared / "data" / "videos")
    detector = RecordingDetector()
    with open_pipeline(detector=detector) as pipeline:
        alone = rows_of(pipeline, path, prefetch=False)
        assert set(detector.threads) == {threading.current_thread().name}
        run_count = len(detector.threads)
        detector.threads.clear()
        assert rows_of(pipeline, path, prefetch=True) == alone
        assert detector.threads.count("faceaffect-decode") > 0.5 * run_count
        detector.threads.clear()
        assert rows_of(pipeline, path, prefetch=False) == alone, "the previous source is forgotten"
        assert "faceaffect-decode" not in detector.threads
    counts = [len(row[0]) // 16 for row in alone]
    assert {0, 1, 2} <= set(counts), "the video has frames with no, one and two faces"


@pytest.mark.shared
def test_pipeline_with_prefetching_leaves_no_frame_of_a_file_waiting(
    trained: None, shared: Path
) -> None:
    clip, here = shared / "data/videos/pyfeat_single_face_smile.mp4", threading.current_thread()
    detector = RecordingDetector()
    with open_pipeline(detector=detector) as pipeline:
        rows_of(pipeline, clip, prefetch=False)
        assert set(detector.threads) == {here.name}, "otherwise the detector runs in the frame"
        detector.threads.clear()
        rows_of(pipeline, clip, prefetch=True)
    assert set(detector.threads) == {"faceaffect-decode"}


@pytest.mark.shared
def test_pipeline_with_prefetching_leaves_no_frame_of_a_camera_waiting(
    trained: None, shared: Path
) -> None:
    class Gated(RecordingDetector):
        gate = threading.Event()

        def _detect(self, frame: Frame, max_side_px: int) -> Detections:
            assert self.gate.wait(60)
            return super()._detect(frame, max_side_px)

    detector = Gated()
    with (
        open_source(shared / "data/videos/pyfeat_single_face_smile.mp4") as source,
        open_pipeline(detector=detector) as pipeline,
    ):
        source.is_live = True
        pipeline.prefetch_detections(source)
        first = next(iter(source))
        frames = [replace(first, time_s=i / 25, index=i) for i in range(3000)]
        for frame in frames[:10]:  # while the first run does not end
            assert len(pipeline.analyze(frame)[0]) == 0
        detector.gate.set()
        for frame in frames[10:]:
            time.sleep(0.01)
            if found := len(pipeline.analyze(frame)[0]):
                break
    assert found == 1
    assert set(detector.threads) == {"faceaffect-detect_0"}


@pytest.mark.shared
def test_pipeline_after_prefetch_error_raises_at_its_frame(
    trained: None, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(FastFaceDetector):
        def _detect(self, frame: Frame, max_side_px: int) -> Detections:
            if frame.index >= 20 and threading.current_thread().name == "faceaffect-decode":
                raise RuntimeError("detector failed")
            return super()._detect(frame, max_side_px)

    path = make_video(tmp_path, shared / "data" / "videos")
    analyzed: list[int] = []
    with open_pipeline(detector=Failing()) as pipeline, open_source(path) as source:
        pipeline.prefetch_detections(source)
        with pytest.raises(RuntimeError, match="detector failed"):
            analyzed.extend(frame.index for frame in source if pipeline.analyze(frame))
    assert 20 <= len(analyzed) < 28


def test_pipeline_with_camera_or_uncloneable_detector_does_not_prefetch(
    trained: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    callbacks: list[object] = []

    class FakeVideoFile:
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
        def __exit__(self, *exception: object) -> None: ...
        def close(self) -> None: ...
        def on_frame_decoded(self, callback: object) -> None:
            callbacks.append(callback)

    with open_pipeline() as pipeline:
        camera = CameraSource.__new__(CameraSource)
        pipeline.prefetch_detections(camera)
        images = FakeVideoFile()
        images.is_sequence = False
        pipeline.prefetch_detections(images)  # type: ignore[arg-type]
        assert not callbacks
        pipeline.prefetch_detections(FakeVideoFile())  # type: ignore[arg-type]
        assert len(callbacks) == 1
    for other in (FakeDetector(), None):
        is_crop = other is None
        with open_pipeline(detector=other, aligned_crops=is_crop, is_video=is_crop) as pipeline:
            pipeline.prefetch_detections(FakeVideoFile())  # type: ignore[arg-type]
            assert len(callbacks) == 1
