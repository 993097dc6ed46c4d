"""Results of many processes come in one piece, whatever happens to the processes."""

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
from faceaffect.segments.task import StretchSettings
from faceaffect.sources.source import SourceError, SourceOptions
from tests.sdk.segments.fake_worker import FPS
from tests.sdk.segments.results import result

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))


def shared(name, *, promised=1000, jobs=3, first=0, **options):
    stretches = plan_segments(first, promised, FPS, jobs)
    assert len(stretches) > 1
    return ParallelVideo(
        StretchSettings(name, None, {}, SourceOptions()),
        stretches,
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
def test_frames_come_once_and_in_order_under_one_id(words):
    analyzed = []
    video = shared(f"frames=1000{words}", report=analyzed.append)
    check(video, 1000)
    assert video.notes == ["a note"]
    assert sum(analyzed) >= 1000 - 128  # what came with the last answers may not be told any more


@pytest.mark.parametrize(
    ("words", "again"), [(" shift=5", True), (" shift=-9", False), (" late=60", True)]
)
def test_a_stretch_that_cannot_be_sought_is_counted(words, again, monkeypatch):
    """Not where it was begun too early only: it has all that is wanted."""
    counted = []
    count = ParallelVideo._count
    monkeypatch.setattr(
        ParallelVideo, "_count", lambda self, number: (counted.append(number), count(self, number))
    )
    check(shared(f"frames=1000{words}"), 1000)
    assert counted == ([1, 2] if again else [])


@pytest.mark.parametrize("words", ["", " shift=5"])
def test_many_stretches_of_a_long_video(words):
    """Also where most are done twice: what has to be done again comes before what lies far ahead."""
    check(shared(f"frames=20000{words}", promised=20000, jobs=2), 20000)


@pytest.mark.parametrize("count", [990, 700, 100])
def test_a_video_that_ends_early_ends_there(count):
    check(shared(f"frames={count}"), count)


@pytest.mark.parametrize("place", [100, 400])
def test_nothing_comes_after_a_place_that_does_not_decode(place):
    """As in one process, whatever could be read behind it."""
    check(shared(f"frames=1000 breaks={place}"), place)


def test_a_video_that_is_longer_than_it_says_is_read_to_its_end():
    check(shared("frames=1100"), 1100)


def test_a_resumed_video_goes_on_under_later_ids():
    check(shared("frames=1000", first=123, ids_after=41), 1000, first=123, track_id=42)


@pytest.mark.parametrize(
    ("word", "error", "words"),
    [
        (
            "dies",
            SourceError,
            r"from frame \d+ on died by SIGKILL \(assertion of the decoder failed\).*--resume",
        ),
        ("broken", SourceError, "died by SIGKILL"),
        ("source", SourceError, "source fails"),
        ("backend", BackendError, "backend fails"),
    ],
)
def test_what_came_before_an_error_is_given_out(word, error, words):
    got = []
    with pytest.raises(error, match=words):
        got.extend(shared(f"frames=1000 at=300 {word}"))
    assert [one.index for one in got] == list(range(len(got)))
    assert len(got) > 300


def test_a_model_that_cannot_be_opened_ends_it():
    with pytest.raises(BackendError, match="no such model"):
        list(shared("stop"))


def test_leaving_ends_the_processes():
    video = shared("frames=1000 slow=30")

    def interrupt():
        while len(video._processes) < 3:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell may have had it ignored
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            next(iter(video))
    finally:
        signal.signal(signal.SIGINT, before)
    assert all(process._process.poll() is not None for process in video._processes)


def test_results_are_those_of_one_run():
    wanted = [result(i, (1, 0.1 * i), fps=FPS) for i in range(1000)]
    for one, other in zip(shared("frames=1000", jobs=4), wanted, strict=True):
        assert one.seconds == other.seconds
        assert (one.affect.au_probability == other.affect.au_probability).all()
