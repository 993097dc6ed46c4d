"""Made videos hold as many faces as they promise, as detector, follower and network see them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.bench.configuration import BenchError, Configuration
from faceaffect.bench.synthetic_faces import SyntheticExpression, draw_face
from faceaffect.bench.workload import (
    FPS,
    fitting_count,
    forth_and_back,
    make_workload,
    play,
    read_frames,
)
from faceaffect.pipeline import open_pipeline
from faceaffect.types import Frame

DEMO = str(Path(__file__).resolve().parents[3] / "assets" / "demo.mp4")
FRAMES = 16


@dataclass(frozen=True)
class Wanted:
    source: str | None
    faces: int
    size: tuple[int, int]


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(None, 1, (640, 360)),
        Wanted(None, 8, (960, 540)),
        Wanted(None, 3, (320, 480)),
        Wanted(DEMO, 1, (320, 240)),
        Wanted(DEMO, 4, (640, 360)),
    ],
)
def test_every_frame_holds_the_faces(trained: None, tmp_path: Path, wanted: Wanted) -> None:
    configuration = Configuration(size=wanted.size, faces=wanted.faces)
    workload = make_workload(wanted.source, configuration, FRAMES, tmp_path)
    frames = read_frames(workload.path, FRAMES)
    assert len(frames) == FRAMES
    assert (
        {(frame.width_px, frame.height_px) for frame in frames} == {wanted.size} == {workload.size}
    )
    counts, ids = Counter[int](), set[int]()
    with open_pipeline(max_faces=wanted.faces + 2) as pipeline:  # so that looking for more goes on
        for frame in play(frames, 2 * FRAMES, workload.fps):
            faces, _ = pipeline.analyze(frame)
            counts[len(faces)] += 1
            ids |= set(faces.track_id.tolist())
    assert counts == {wanted.faces: 2 * FRAMES}
    assert len(ids) == wanted.faces


def test_drawn_faces_move(tmp_path: Path) -> None:
    workload = make_workload(None, Configuration(size=(320, 240), faces=1), FRAMES, tmp_path)
    frames = read_frames(workload.path, FRAMES)
    changes = [float(np.abs(a.pixels.astype(int) - b.pixels).mean()) for a, b in pairwise(frames)]
    assert min(changes) > 0.05


def test_an_own_clip_is_taken_as_it_is(tmp_path: Path) -> None:
    for size in (None, (640, 360)):
        workload = make_workload(DEMO, Configuration(size=size), FRAMES, tmp_path)
        assert (workload.path, workload.size, workload.fps) == (DEMO, (640, 360), 30.0)
    assert list(tmp_path.iterdir()) == []


def test_another_size_is_fitted_not_stretched(tmp_path: Path) -> None:
    workload = make_workload(DEMO, Configuration(size=(360, 360)), 3, tmp_path)
    pixels = read_frames(workload.path, 3)[0].pixels
    assert pixels.shape == (360, 360, 3)
    rows = pixels.mean(axis=(1, 2))
    assert rows[:190].min() > 20  # 640x360 becomes 360x202 on black
    assert rows[215:].max() < 20
    assert "scaled from 640x360" in workload.about


def test_images_become_a_video(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), np.full((48, 64), 130, np.uint8))
    workload = make_workload(str(path), Configuration(), FRAMES, tmp_path)
    assert (workload.size, workload.fps) == ((64, 48), FPS)
    assert len(read_frames(workload.path, FRAMES)) == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"faces": 100, "size": (640, 360)}, "100 faces of at least 40 px do not fit into 640x360"),
        ({"faces": 1, "size": (64, 48)}, "do not fit"),
        ({"faces": 4, "size": (320, 240), "min_face_size_px": 90}, "smaller --min-face-size"),
        ({"faces": 0, "size": (640, 360)}, "at least 1 face"),
    ],
)
def test_faces_that_could_not_be_found_are_not_made(
    tmp_path: Path, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(BenchError, match=said):
        make_workload(None, Configuration(**settings), FRAMES, tmp_path)  # type: ignore[arg-type]


def test_a_clip_without_a_face_cannot_be_tiled(trained: None, tmp_path: Path) -> None:
    path = tmp_path / "gray.png"
    cv2.imwrite(str(path), np.full((120, 160, 3), 90, np.uint8))
    with pytest.raises(
        BenchError, match="--num-faces needs a clip that shows a face, none is found in 1 frames"
    ):
        make_workload(str(path), Configuration(faces=2, size=(640, 360)), FRAMES, tmp_path)


def test_playing_forth_and_back_never_jumps() -> None:
    assert [forth_and_back("abcd", index) for index in range(9)] == list("abcdcbabc")
    assert [forth_and_back("a", index) for index in range(3)] == list("aaa")
    frames = [Frame(np.full((2, 2, 3), number, np.uint8)) for number in range(3)]
    played = list(play(frames, 6, 25.0))
    assert [int(frame.pixels[0, 0, 0]) for frame in played] == [0, 1, 2, 1, 0, 1]
    assert [frame.time_s for frame in played] == pytest.approx([index / 25 for index in range(6)])
    assert [frame.index for frame in played] == list(range(6))


def test_memory_bounds_the_frames() -> None:
    small, large = (
        Frame(np.zeros((360, 640, 3), np.uint8)),
        Frame(np.zeros((4320, 7680, 3), np.uint8)),
    )
    assert fitting_count(small, 100) == 100
    assert fitting_count(small, 10_000) < 500
    assert fitting_count(large, 100) == 2


def test_a_drawn_face_covers_its_middle_and_not_its_corners() -> None:
    for person in range(5):
        image, cover = draw_face(person, SyntheticExpression.at(person / 5), 100)
        assert (image.shape, image.dtype, cover.shape) == ((100, 100, 3), np.uint8, (100, 100))
        assert cover[50, 50] == pytest.approx(1)
        assert cover[0, 0] == cover[0, -1] == 0
        assert (image[cover == 0] == 0).all()
    assert not np.array_equal(
        draw_face(0, SyntheticExpression(0, 0, 0), 64)[0],
        draw_face(1, SyntheticExpression(0, 0, 0), 64)[0],
    )
