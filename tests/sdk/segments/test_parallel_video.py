"""Tests of ParallelVideo, on fake workers."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from faceaffect.backends import BackendError
from faceaffect.segments.parallel_video import ParallelVideo
from faceaffect.segments.plan import plan_segments
from faceaffect.segments.task import SegmentSettings
from faceaffect.sources.source import SourceError, SourceOptions
from tests.sdk.batch.conftest import children
from tests.sdk.segments.fake_worker import FPS
from tests.sdk.segments.results import result

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))


def open_video(name, *, promised=1000, jobs=3, first=0, **options):
    segments = plan_segments(first, promised, FPS, jobs)
    assert len(segments) > 1
    return ParallelVideo(
        SegmentSettings(name, None, {}, SourceOptions()),
        segments,
        FPS,
        jobs,
        command=FAKE,
        **options,
    )


def check(results, count, first=0, track_id=1):
    results = list(results)
    assert [one.index for one in results] == list(range(first, count))
    for one in results:
        assert one.time_s == one.index / FPS
        assert one.faces.track_id.tolist() == [track_id]
        assert one.faces.pose_deg[0, 0] == one.index


@pytest.mark.parametrize(
    "words", ["", " shift=1", " shift=-2", " late=20", " shift=2 late=7", " slow=0.5"]
)
def test_iter_yields_frames_once_in_order_under_one_id(words):
    analyzed = []
    video = open_video(f"frames=1000{words}", on_progress=analyzed.append)
    check(video, 1000)
    assert video.notes == ["a note"]
    assert sum(analyzed) >= 1000 - 128  # the last messages may not be reported


@pytest.mark.parametrize(
    ("words", "is_retried"), [(" shift=5", True), (" shift=-9", False), (" late=60", True)]
)
def test_iter_segment_that_seeking_misses_is_counted(words, is_retried, monkeypatch):
    """Not if seeking only undershoots: all expected frames are there."""
    counted = []
    count = ParallelVideo._retry_counted
    monkeypatch.setattr(
        ParallelVideo,
        "_retry_counted",
        lambda self, number: (counted.append(number), count(self, number)),
    )
    check(open_video(f"frames=1000{words}"), 1000)
    assert counted == ([1, 2] if is_retried else [])


@pytest.mark.parametrize("words", ["", " shift=5"])
def test_iter_long_video_with_many_segments(words):
    """Also if most segments are retried: retries come before segments far ahead."""
    check(open_video(f"frames=20000{words}", promised=20000, jobs=2), 20000)


@pytest.mark.parametrize("count", [990, 700, 100])
def test_iter_video_shorter_than_declared(count):
    check(open_video(f"frames={count}"), count)


@pytest.mark.parametrize("frame", [100, 400])
def test_iter_ends_at_frame_that_does_not_decode(frame):
    """As in one process, even if later frames could be decoded."""
    check(open_video(f"frames=1000 corrupt={frame}"), frame)


def test_iter_video_longer_than_declared():
    check(open_video("frames=1100"), 1100)


def test_iter_resumed_video_continues_track_ids():
    check(open_video("frames=1000", first=123, next_track_id=42), 1000, first=123, track_id=42)


@pytest.mark.parametrize(
    ("word", "error", "words"),
    [
        (
            "dies",
            SourceError,
            r"from frame \d+ died by SIGKILL \(assertion of the decoder failed\).*--resume",
        ),
        ("truncated", SourceError, "died by SIGKILL"),
        ("source", SourceError, "source fails"),
        ("backend", BackendError, "backend fails"),
    ],
)
def test_iter_error_comes_after_earlier_frames(word, error, words):
    results = []
    with pytest.raises(error, match=words):
        results.extend(open_video(f"frames=1000 at=300 {word}"))
    assert [one.index for one in results] == list(range(len(results)))
    assert len(results) > 300


def test_iter_model_that_cannot_be_opened_raises():
    with pytest.raises(BackendError, match="no such model"):
        list(open_video("stop"))


def test_iter_interrupted_kills_processes():
    video = open_video("frames=1000 slow=30")

    earlier = set(children(os.getpid()))
    processes = set()

    def interrupt():
        while len(processes) < 3:
            processes.update(set(children(os.getpid())) - earlier)
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            next(iter(video))
    finally:
        signal.signal(signal.SIGINT, before)
    assert not processes & set(children(os.getpid()))


def test_iter_results_equal_those_of_one_run():
    expected = [result(i, (1, 0.1 * i), fps=FPS) for i in range(1000)]
    for one, other in zip(open_video("frames=1000", jobs=4), expected, strict=True):
        assert one.seconds == other.seconds
        assert (one.affect.au_probability == other.affect.au_probability).all()
