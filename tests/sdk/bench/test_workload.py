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
    make_workload,
    max_frames_in_memory,
    ping_pong,
    play_frames,
    read_frames,
)
from faceaffect.pipeline import open_pipeline
from faceaffect.types import Frame

DEMO = str(Path(__file__).resolve().parents[3] / "assets" / "demo.mp4")
FRAMES = 16


@dataclass(frozen=True)
class Case:
    source: str | None
    faces: int
    size: tuple[int, int]


@pytest.mark.parametrize(
    "case",
    [
        Case(None, 1, (640, 360)),
        Case(None, 8, (960, 540)),
        Case(None, 3, (320, 480)),
        Case(DEMO, 1, (320, 240)),
        Case(DEMO, 4, (640, 360)),
    ],
)
def test_make_workload_has_expected_faces_in_every_frame(
    trained: None, tmp_path: Path, case: Case
) -> None:
    configuration = Configuration(size=case.size, num_faces=case.faces)
    workload = make_workload(case.source, configuration, FRAMES, tmp_path)
    frames = read_frames(workload.path, FRAMES)
    assert len(frames) == FRAMES
    assert {(frame.width_px, frame.height_px) for frame in frames} == {case.size} == {workload.size}
    counts, ids = Counter[int](), set[int]()
    with open_pipeline(max_faces=case.faces + 2) as pipeline:  # keeps detecting new faces
        for frame in play_frames(frames, 2 * FRAMES, workload.fps):
            faces, _ = pipeline.analyze(frame)
            counts[len(faces)] += 1
            ids |= set(faces.track_id.tolist())
    assert counts == {case.faces: 2 * FRAMES}
    assert len(ids) == case.faces


def test_make_workload_of_synthetic_faces_moves(tmp_path: Path) -> None:
    workload = make_workload(None, Configuration(size=(320, 240), num_faces=1), FRAMES, tmp_path)
    frames = read_frames(workload.path, FRAMES)
    changes = [float(np.abs(a.pixels.astype(int) - b.pixels).mean()) for a, b in pairwise(frames)]
    assert min(changes) > 0.05


def test_make_workload_of_matching_clip_returns_it(tmp_path: Path) -> None:
    for size in (None, (640, 360)):
        workload = make_workload(DEMO, Configuration(size=size), FRAMES, tmp_path)
        assert (workload.path, workload.size, workload.fps) == (DEMO, (640, 360), 30.0)
    assert list(tmp_path.iterdir()) == []


def test_make_workload_keeps_aspect_ratio(tmp_path: Path) -> None:
    workload = make_workload(DEMO, Configuration(size=(360, 360)), 3, tmp_path)
    pixels = read_frames(workload.path, 3)[0].pixels
    assert pixels.shape == (360, 360, 3)
    rows = pixels.mean(axis=(1, 2))
    assert rows[:190].min() > 20  # 640x360 becomes 360x202 on black
    assert rows[215:].max() < 20
    assert "scaled from 640x360" in workload.description


def test_make_workload_of_image_makes_video(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), np.full((48, 64), 130, np.uint8))
    workload = make_workload(str(path), Configuration(), FRAMES, tmp_path)
    assert (workload.size, workload.fps) == ((64, 48), FPS)
    assert len(read_frames(workload.path, FRAMES)) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"num_faces": 100, "size": (640, 360)},
            "100 faces of at least 24 px do not fit into 640x360",
        ),
        ({"num_faces": 1, "size": (64, 48)}, "do not fit"),
        ({"num_faces": 4, "size": (320, 240), "min_face_size_px": 90}, "smaller --min-face-size"),
        ({"num_faces": 0, "size": (640, 360)}, "at least 1 face"),
    ],
)
def test_make_workload_with_too_small_faces_raises(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(BenchError, match=message):
        make_workload(None, Configuration(**settings), FRAMES, tmp_path)  # type: ignore[arg-type]


def test_make_workload_of_clip_without_face_raises(trained: None, tmp_path: Path) -> None:
    path = tmp_path / "gray.png"
    cv2.imwrite(str(path), np.full((120, 160, 3), 90, np.uint8))
    with pytest.raises(
        BenchError, match="--num-faces needs a clip with a face, got none in 1 frames"
    ):
        make_workload(str(path), Configuration(num_faces=2, size=(640, 360)), FRAMES, tmp_path)


def test_play_frames_is_continuous() -> None:
    assert [ping_pong("abcd", index) for index in range(9)] == list("abcdcbabc")
    assert [ping_pong("a", index) for index in range(3)] == list("aaa")
    frames = [Frame(np.full((2, 2, 3), number, np.uint8)) for number in range(3)]
    played = list(play_frames(frames, 6, 25.0))
    assert [int(frame.pixels[0, 0, 0]) for frame in played] == [0, 1, 2, 1, 0, 1]
    assert [frame.time_s for frame in played] == pytest.approx([index / 25 for index in range(6)])
    assert [frame.index for frame in played] == list(range(6))


def test_max_frames_in_memory_is_bounded() -> None:
    small, large = (
        Frame(np.zeros((360, 640, 3), np.uint8)),
        Frame(np.zeros((4320, 7680, 3), np.uint8)),
    )
    assert max_frames_in_memory(small, 100) == 100
    assert max_frames_in_memory(small, 10_000) < 500
    assert max_frames_in_memory(large, 100) == 2


def test_draw_face_is_opaque_in_middle_and_transparent_in_corners() -> None:
    for person in range(5):
        image, alpha = draw_face(person, SyntheticExpression.at(person / 5), 100)
        assert (image.shape, image.dtype, alpha.shape) == ((100, 100, 3), np.uint8, (100, 100))
        assert alpha[50, 50] == pytest.approx(1)
        assert alpha[0, 0] == alpha[0, -1] == 0
        assert (image[alpha == 0] == 0).all()
    assert not np.array_equal(
        draw_face(0, SyntheticExpression(0, 0, 0), 64)[0],
        draw_face(1, SyntheticExpression(0, 0, 0), 64)[0],
    )
