"""Difficult input (odd sizes, crowds, stalled clocks), and imports that must stay light."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceaffect
from faceaffect import Affect, Faces, Frame, Pipeline, PixelFormat

SDK = Path(next(iter(faceaffect.__path__))).parent


@pytest.fixture(scope="module")
def face(shared: Path) -> np.ndarray:
    """An image of one face, 360 px high."""
    capture = cv2.VideoCapture(str(shared / "data" / "videos" / "pyfeat_single_face_smile.mp4"))
    ok, pixels = capture.read()
    assert ok
    return pixels


def check(faces: Faces, affect: Affect) -> int:
    """Number of faces, after checking that rows are consistent and values are finite."""
    for part in (faces, affect):
        for name in part.__slots__:
            values = getattr(part, name)
            assert len(values) == len(faces), name
            assert np.isfinite(values).all(), name
    return len(faces)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (1, 1000, 3), (1000, 1, 3), (19, 23, 3)])
@pytest.mark.parametrize("level", [0, 255])
def test_tiny_and_thin_images_have_no_faces(
    pipeline: Pipeline, shape: tuple[int, int, int], level: int
) -> None:
    for i in range(2):
        assert check(*pipeline.analyze(Frame(np.full(shape, level, np.uint8), time_s=i / 30))) == 0


def test_noise_and_flat_images_have_no_faces(pipeline: Pipeline) -> None:
    random = np.random.default_rng(0)
    for i in range(3):
        assert (
            check(
                *pipeline.analyze(
                    Frame(random.integers(0, 256, (240, 320, 3), np.uint8), time_s=i / 30)
                )
            )
            == 0
        )
    assert (
        check(
            *pipeline.analyze(
                Frame(np.full((240, 320), 128, np.uint8), PixelFormat.GRAY, time_s=1.0)
            )
        )
        == 0
    )


@pytest.mark.shared
def test_8k_frames_are_analyzed_in_time(pipeline: Pipeline, face: np.ndarray) -> None:
    pixels = np.full((4320, 7680, 3), 90, np.uint8)
    large = cv2.resize(face, None, fx=4, fy=4)
    pixels[1000 : 1000 + large.shape[0], 3000 : 3000 + large.shape[1]] = large
    pipeline.analyze(Frame(face))  # warm-up
    pipeline.reset()
    begin_s = time.process_time()
    for i in range(3):
        assert check(*pipeline.analyze(Frame(pixels, time_s=i / 30))) == 1
    assert time.process_time() - begin_s < 5


@pytest.mark.shared
def test_crowd_of_fifty_is_limited_to_max_faces(pipeline: Pipeline, face: np.ndarray) -> None:
    small = cv2.resize(
        face[:, (face.shape[1] - face.shape[0]) // 2 :][:, : face.shape[0]], (160, 160)
    )
    crowd = np.tile(small, (5, 10, 1))
    for i in range(12):
        faces, affect = pipeline.analyze(Frame(crowd, time_s=i / 30))
        assert 2 <= check(faces, affect) <= 8
        assert len(set(faces.track_id.tolist())) == len(faces)


@pytest.mark.shared
def test_changing_size_and_pixel_format_keeps_detecting(
    pipeline: Pipeline, face: np.ndarray
) -> None:
    images = [
        face,
        cv2.resize(face, None, fx=0.6, fy=0.6),
        cv2.resize(face, None, fx=2, fy=2),
        face[:30, :30],
        face,
    ]
    for i, pixels in enumerate(images):
        count = check(*pipeline.analyze(Frame(pixels, time_s=i / 30)))
        assert count == (0 if i == 3 else 1)
    gray = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
    assert check(*pipeline.analyze(Frame(gray, PixelFormat.GRAY, time_s=0.2))) == 1


@pytest.mark.shared
@pytest.mark.parametrize(
    "times", [[0.0] * 8, [5, 5.04, 5.08, 0, 0.04, 0.08, -3, -2.96], [0, 1e9, 1e9, 0, 1e-9, 0, 5, 4]]
)
def test_stalled_or_jumping_clock_keeps_track(
    pipeline: Pipeline, face: np.ndarray, times: list[float]
) -> None:
    first = None
    for time_s in times:
        faces, affect = pipeline.analyze(Frame(face, time_s=time_s))
        assert check(faces, affect) == 1
        first = first or faces.track_id[0]
        assert faces.track_id[0] == first


@pytest.mark.shared
def test_stalled_clock_still_finds_new_face(pipeline: Pipeline, face: np.ndarray) -> None:
    for _ in range(20):
        assert check(*pipeline.analyze(Frame(np.full_like(face, 100)))) == 0
    assert max(check(*pipeline.analyze(Frame(face))) for _ in range(10)) == 1


@pytest.mark.shared
def test_padded_and_mirrored_rows_give_same_landmarks(pipeline: Pipeline, face: np.ndarray) -> None:
    padded = np.zeros((face.shape[0], face.shape[1] + 24, 3), np.uint8)
    padded[:, : face.shape[1]] = face
    plain, _ = pipeline.analyze(Frame(face))
    pipeline.reset()
    view, _ = pipeline.analyze(Frame(padded[:, : face.shape[1]]))
    np.testing.assert_allclose(view.landmarks_xy, plain.landmarks_xy, atol=0.01)
    pipeline.reset()
    assert check(*pipeline.analyze(Frame(face[:, ::-1]))) == 1


@pytest.mark.parametrize(
    ("pixels", "pixel_format", "message"),
    [
        (
            np.zeros((4, 4, 4), np.uint8),
            PixelFormat.BGR,
            r"uint8 \[H, W, 3\] for pixel format BGR, got uint8 \(4, 4, 4\)",
        ),
        (np.zeros((4, 4, 3), np.float32), PixelFormat.RGB, r"got float32"),
        (np.zeros((4, 4), np.uint8), PixelFormat.BGR, r"got uint8 \(4, 4\)"),
        (np.zeros((4, 4, 3), np.uint8), PixelFormat.GRAY, r"uint8 \[H, W\] for pixel format GRAY"),
        (np.zeros((7, 4), np.uint8), PixelFormat.NV12, "even H and W"),
        (np.zeros((6, 5), np.uint8), PixelFormat.NV12, "even H and W"),
        (np.zeros((0, 5, 3), np.uint8), PixelFormat.BGR, "at least one pixel"),
    ],
)
def test_frame_with_wrong_pixels_raises(
    pixels: np.ndarray, pixel_format: PixelFormat, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Frame(pixels, pixel_format)


@pytest.mark.parametrize("time_s", [float("nan"), float("inf")])
def test_frame_with_nonfinite_time_raises(time_s: float) -> None:
    with pytest.raises(ValueError, match="time_s must be a finite number of seconds"):
        Frame(np.zeros((4, 4, 3), np.uint8), time_s=time_s)


def test_import_loads_no_heavy_package() -> None:
    code = (
        "import sys, faceaffect\n"
        "print([m for m in ('torch', 'cv2', 'onnxruntime', 'numpy') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(SDK)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert result.stdout.strip() == "[]"


def test_pipeline_import_loads_no_torch() -> None:
    code = (
        "import sys, faceaffect.pipeline, faceaffect.cli, faceaffect.detectors.mtcnn\n"
        "print('torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(SDK)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert result.stdout.strip() == "False"
