"""Two threads give what one gives, number for number, and nothing that was analysed is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from faceaffect.bundle import FOLDERS_VARIABLE
from faceaffect.overlapped_analysis import OverlappedAnalysis, Taker
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.sources import open_source
from faceaffect.types import Affect, Faces, Frame
from tests.sdk.tiny_bundle import write_tiny_bundle
from tests.sdk.tiny_staged_bundle import write_tiny_staged_bundle

DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"
Result = tuple[Faces, Affect]


def read(path: Path) -> list[Frame]:
    with open_source(path) as source:
        return list(source)


def crops(count: int) -> list[Frame]:
    return [Frame(np.full((112, 112, 3), 90 + 3 * k % 120, np.uint8), time_s=k / 30, index=k) for k in range(count)]


def assert_same(first: list[Result], second: list[Result]) -> None:
    assert len(first) == len(second)
    for pair in zip(first, second, strict=True):
        for one, other in zip(*pair, strict=True):
            for field in fields(one):
                np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


def push_all(pipeline: Pipeline, take: Taker, frames: Iterable[Frame]) -> None:
    with OverlappedAnalysis(pipeline, take, waiting_frames=3) as analysis:
        for frame in frames:
            analysis.push(frame)


def overlapped(pipeline: Pipeline, frames: list[Frame]) -> list[Result]:
    found: list[tuple[Frame, Result]] = []
    push_all(pipeline, lambda frame, faces, affect, _s: found.append((frame, (faces, affect))), frames)
    assert [frame.index for frame, _ in found] == [frame.index for frame in frames]
    return [result for _, result in found]


def in_turn(pipeline: Pipeline, frames: list[Frame]) -> list[Result]:
    pipeline.restart()
    return [pipeline.analyse(frame) for frame in frames]


def late(pipeline: Pipeline, frames: list[Frame]) -> list[Result]:
    """All is followed before anything is read out: what following keeps for itself must not be in what it gave."""
    followed = [pipeline.follow(frame) for frame in frames]
    return [pipeline.read_out(frame, one) for frame, one in zip(frames, followed, strict=True)]


def test_the_shipped_model_gives_the_same_numbers(pipeline: Pipeline) -> None:
    frames = read(DEMO)[:60]
    alone = in_turn(pipeline, frames)
    assert sum(len(faces) for faces, _ in alone) > 40
    for way in (overlapped, late):
        pipeline.restart()
        assert_same(alone, way(pipeline, frames))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["pyfeat_face_noface.mov", "intel_head-pose-face-detection-female-and-male.mp4"])
def test_faces_that_come_and_go_too(pipeline: Pipeline, shared: Path, name: str) -> None:
    frames = read(shared / "data" / "videos" / name)[:100]
    alone = in_turn(pipeline, frames)
    for way in (overlapped, late):
        pipeline.restart()
        assert_same(alone, way(pipeline, frames))


def test_a_model_of_stages_over_crops_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    write_tiny_bundle(tmp_path / "tiny")
    folder = write_tiny_staged_bundle(tmp_path / "stages")
    with open_pipeline(folder, crops=True, sequence=True) as pipeline:
        alone = in_turn(pipeline, crops(40))
        pipeline.restart()
        assert_same(alone, overlapped(pipeline, crops(40)))


@pytest.fixture
def tiny(tmp_path: Path) -> Pipeline:
    return open_pipeline(write_tiny_bundle(tmp_path / "tiny"), crops=True, sequence=True)


def test_what_follows_is_read_out_beside_the_next_frame(tiny: Pipeline) -> None:
    """The first frame is not taken before the second was pushed: only two threads come to an end here."""
    pushed, threads = threading.Event(), set()

    def take(frame: Frame, _faces: Faces, _affect: Affect, took_s: float) -> None:
        assert pushed.wait(10)
        assert took_s > 0
        threads.add(threading.get_ident())

    with OverlappedAnalysis(tiny, take) as analysis:
        for frame in crops(2):
            analysis.push(frame)
        pushed.set()
    assert threads
    assert threading.get_ident() not in threads


def test_few_frames_wait(tiny: Pipeline) -> None:
    most, taken, frames = 0, 0, crops(40)

    def take(*_: object) -> None:
        nonlocal taken
        time.sleep(0.002)
        taken += 1

    with OverlappedAnalysis(tiny, take, waiting_frames=3) as analysis:
        for number, frame in enumerate(frames, 1):
            analysis.push(frame)
            most = max(most, number - taken)
    assert taken == 40
    assert 1 < most <= 4, "three that wait, and one that is being taken"


def test_an_error_of_the_second_thread_reaches_the_caller(tiny: Pipeline) -> None:
    taken: list[int] = []

    def take(frame: Frame, *_: object) -> None:
        if frame.index == 5:
            raise OSError("no room")
        taken.append(frame.index)

    for frames in (crops(100), crops(6)):  # during a later push, and at the end
        taken.clear()
        with pytest.raises(OSError, match="no room"):
            push_all(tiny, take, frames)
        assert taken == [0, 1, 2, 3, 4], "nothing after it, so that a resume goes on there"


def test_what_was_pushed_is_taken_whatever_ends_the_block(tiny: Pipeline) -> None:
    taken: list[int] = []

    def take(frame: Frame, *_: object) -> None:
        time.sleep(0.01)
        taken.append(frame.index)

    def interrupted() -> Iterator[Frame]:
        yield from crops(8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push_all(tiny, take, interrupted())
    assert taken == list(range(8))
