"""The default detector over a fake network."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.kernel_cases import flat_frame
from faceaffect.bundle.bundle import CARD_FILE
from faceaffect.bundle.model_spec import BundleError
from faceaffect.detectors import fast_detector
from faceaffect.detectors.fast_detector import FastFaceDetector, decode_maps
from faceaffect.detectors.names import DETECTOR_FILE, DIGEST_SUFFIX, default_detector
from faceaffect.types import Frame, PixelFormat


class FakeSession:
    """Returns maps of one face over the middle half of the image."""

    def __init__(self) -> None:
        self.input: Any = None
        self.image_wh = (0, 0)

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="images")]

    def run(self, _: None, inputs: dict[str, Any]) -> list[Any]:
        self.input = inputs["images"]
        height, width = self.input.shape[2:]
        maps = np.zeros((1, 15, height // 8, width // 8), np.float32)
        w, h = self.image_wh
        points = [((i + 1) * w / 8 - 0.5, (i + 2) * h / 8 - 0.5) for i in range(5)]
        box = (w / 4 - 0.5, h / 4 - 0.5, 3 * w / 4 - 0.5, 3 * h / 4 - 0.5)
        maps[0, :, 3, 4] = [0.9, *box, *np.ravel(points)]
        maps[0, :, 2, 2] = [0.3, *box, *np.ravel(points)]
        return [maps]


@pytest.fixture
def open_fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "detector.onnx").write_bytes(b"x")
    session = FakeSession()
    monkeypatch.setattr(fast_detector, "open_session", lambda *_: session)
    return lambda **options: (
        FastFaceDetector(model=tmp_path / "detector.onnx", **options),
        session,
    )


@pytest.mark.parametrize(
    ("frame_wh", "image_wh", "canvas_hw"),
    [
        ((640, 360), (256, 144), (160, 256)),
        ((360, 640), (144, 256), (256, 160)),
        ((100, 80), (64, 51), (64, 64)),
        ((40, 30), (40, 30), (32, 64)),
    ],
)
def test_detector_resizes_frame_and_returns_frame_pixels(
    open_fake: Any, frame_wh: Any, image_wh: Any, canvas_hw: Any
) -> None:
    detector, session = open_fake(min_face_size_px=40)
    session.image_wh = image_wh
    width, height = frame_wh
    detections = detector.detect(Frame(np.full((height, width, 3), 255, np.uint8)))
    assert session.input.shape == (1, 3, *canvas_hw)
    assert session.input[0, :, 1, 1] == pytest.approx([2, 2, 2], abs=1e-3), (
        "white is (1 - 0.5) / 0.25"
    )
    if canvas_hw[0] > image_wh[1]:
        assert abs(session.input[0, :, image_wh[1] :]).max() < 0.02, "padding is gray"
    assert detections.score == pytest.approx([0.9]), "0.3 is below the threshold"
    off_px = width / image_wh[0]
    np.testing.assert_allclose(
        detections.box_xyxy[0],
        np.array([width, height, 3 * width, 3 * height]) / 4 - 0.5,
        atol=off_px,
    )
    np.testing.assert_allclose(
        detections.keypoints_xy[0, 2], [3 * width / 8 - 0.5, 4 * height / 8 - 0.5], atol=off_px
    )


def test_detector_with_large_frame_also_runs_coarse(open_fake: Any) -> None:
    detector, session = open_fake(min_face_size_px=40)
    shapes: list[Any] = []
    run = session.run

    def record(names: None, inputs: dict[str, Any]) -> list[Any]:
        shapes.append(inputs["images"].shape)
        height, width = inputs["images"].shape[2:]
        session.image_wh = (width, 144 if height == 160 else 432)
        return run(names, inputs)

    session.run = record
    detections = detector.detect(Frame(np.zeros((1080, 1920, 3), np.uint8)))
    assert shapes == [(1, 3, 448, 768), (1, 3, 160, 256)]
    assert len(detections) == 1, "the same face, detections twice"
    np.testing.assert_allclose(detections.box_xyxy[0, [0, 2]], [480, 1440], atol=8)


def test_detector_below_full_resolution_has_constant_input_size(open_fake: Any) -> None:
    detector, session = open_fake(min_face_size_px=40)
    assert detector.is_fast
    for frame_wh in ((640, 360), (1920, 1080), (3840, 2160)):
        session.image_wh = (256, 144)
        frame = Frame(np.zeros((frame_wh[1], frame_wh[0], 3), np.uint8))
        detections = detector.detect(frame, full_resolution=False)
        assert session.input.shape == (1, 3, 160, 256)
        np.testing.assert_allclose(
            detections.box_xyxy[0, 2], 3 * frame_wh[0] / 4, atol=frame_wh[0] / 128
        )


@pytest.mark.parametrize("pixel_format", list(PixelFormat))
def test_detector_with_any_pixel_format_reuses_canvas(
    open_fake: Any, pixel_format: PixelFormat
) -> None:
    detector, session = open_fake(min_face_size_px=40)
    for height, width, level in ((360, 640, 255), (300, 640, 0), (360, 640, 255)):
        session.image_wh = (256, round(height * 0.4))
        assert len(detector.detect(flat_frame(pixel_format, height, width, level))) == 1
        last_row = session.input[0, :, round(height * 0.4) :]
        # A black image is brightened six times, and so is the rounding of the padding.
        rounding = 0.5 * (6 if level == 0 else 1) / 255 / 0.25
        assert not last_row.size or abs(last_row).max() < rounding + 0.01


def test_decode_maps_suppresses_duplicates_and_sorts() -> None:
    maps = np.zeros((15, 8, 8), np.float32)
    for (row, column), score, box in (
        ((1, 1), 0.7, (0, 0, 20, 20)),
        ((1, 3), 0.9, (2, 1, 22, 20)),
        ((5, 5), 0.8, (40, 40, 60, 60)),
        ((6, 6), 0.6, (44, 40, 84, 80)),
    ):
        maps[0, row, column] = score
        maps[1:5, row, column] = box
    detections = decode_maps(maps, 0.5, 1.0)
    assert detections.score.tolist() == pytest.approx([0.9, 0.8, 0.6])
    np.testing.assert_allclose(detections.box_xyxy[:, 0], [2, 40, 44])
    assert detections.keypoints_xy.shape == (3, 5, 2)
    assert len(decode_maps(maps, 0.95, 1.0)) == 0


def test_detector_with_wrong_checksum_raises(tmp_path: Path) -> None:
    shutil.copytree(DETECTOR_FILE.parent, tmp_path / "detector")
    copy = tmp_path / "detector" / DETECTOR_FILE.name
    FastFaceDetector(model=copy)
    copy.write_bytes(copy.read_bytes() + b"\0")
    with pytest.raises(BundleError, match=f"{DETECTOR_FILE.stem}.sha256"):
        FastFaceDetector(model=copy)


def test_default_detector_is_distilled_and_has_model_card() -> None:
    assert default_detector() == "distilled"
    assert DETECTOR_FILE.with_suffix(DIGEST_SUFFIX).is_file()
    assert "YuNet" in (DETECTOR_FILE.parent / CARD_FILE).read_text(encoding="utf-8")
