"""The shipped detector's reading of its network's maps, over a made-up network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceaffect.bundle.bundle import CARD_FILE
from faceaffect.bundle.model_spec import BundleError
from faceaffect.detectors import FastDetector
from faceaffect.detectors import fast_detector as distilled
from faceaffect.detectors.fast_detector import FastFaceDetector, decode_maps
from faceaffect.detectors.names import DETECTOR_FILE, DIGEST_SUFFIX, default_detector
from faceaffect.types import Frame, PixelFormat


class FakeSession:
    """One face over the middle half of whatever part of the canvas the image takes."""

    def __init__(self) -> None:
        self.fed: Any = None
        self.image_wh = (0, 0)

    def run(self, _: None, inputs: dict[str, Any]) -> list[Any]:
        self.fed = inputs["images"]
        height, width = self.fed.shape[2:]
        maps = np.zeros((1, 15, height // 8, width // 8), np.float32)
        w, h = self.image_wh
        points = [((i + 1) * w / 8 - 0.5, (i + 2) * h / 8 - 0.5) for i in range(5)]
        box = (w / 4 - 0.5, h / 4 - 0.5, 3 * w / 4 - 0.5, 3 * h / 4 - 0.5)
        maps[0, :, 3, 4] = [0.9, *box, *np.ravel(points)]
        maps[0, :, 2, 2] = [0.3, *box, *np.ravel(points)]
        return [maps]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "detector.onnx").write_bytes(b"x")
    session = FakeSession()
    monkeypatch.setattr(distilled, "open_session", lambda *_: session)
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
def test_the_frame_is_shrunk_and_finds_come_back_in_its_pixels(
    made: Any, frame_wh: Any, image_wh: Any, canvas_hw: Any
) -> None:
    detector, session = made(min_face_size_px=40)
    session.image_wh = image_wh
    width, height = frame_wh
    found = detector.detect(Frame(np.full((height, width, 3), 255, np.uint8)))
    assert session.fed.shape == (1, 3, *canvas_hw)
    assert session.fed[0, :, 1, 1] == pytest.approx([2, 2, 2], abs=1e-3), (
        "white is (1 - 0.5) / 0.25"
    )
    if canvas_hw[0] > image_wh[1]:
        assert abs(session.fed[0, :, image_wh[1] :]).max() < 0.02, "what is missing is gray"
    assert found.score == pytest.approx([0.9]), "0.3 is below the least score"
    off_px = width / image_wh[0]
    np.testing.assert_allclose(
        found.box_xyxy[0], np.array([width, height, 3 * width, 3 * height]) / 4 - 0.5, atol=off_px
    )
    np.testing.assert_allclose(
        found.keypoints_xy[0, 2], [3 * width / 8 - 0.5, 4 * height / 8 - 0.5], atol=off_px
    )


def test_a_face_that_fills_a_large_frame_is_looked_for_in_a_small_image_too(made: Any) -> None:
    detector, session = made(min_face_size_px=40)
    shapes: list[Any] = []
    run = session.run

    def watched(names: None, inputs: dict[str, Any]) -> list[Any]:
        shapes.append(inputs["images"].shape)
        height, width = inputs["images"].shape[2:]
        session.image_wh = (width, 144 if height == 160 else 432)
        return run(names, inputs)

    session.run = watched
    found = detector.detect(Frame(np.zeros((1080, 1920, 3), np.uint8)))
    assert shapes == [(1, 3, 448, 768), (1, 3, 160, 256)]
    assert len(found) == 1, "the same face, found twice"
    np.testing.assert_allclose(found.box_xyxy[0, [0, 2]], [480, 1440], atol=8)


def test_large_faces_cost_the_same_in_every_frame(made: Any) -> None:
    detector, session = made(min_face_size_px=40)
    assert isinstance(detector, FastDetector)
    for frame_wh in ((640, 360), (1920, 1080), (3840, 2160)):
        session.image_wh = (256, 144)
        found = detector.detect_large(Frame(np.zeros((frame_wh[1], frame_wh[0], 3), np.uint8)))
        assert session.fed.shape == (1, 3, 160, 256)
        np.testing.assert_allclose(
            found.box_xyxy[0, 2], 3 * frame_wh[0] / 4, atol=frame_wh[0] / 128
        )


@pytest.mark.parametrize("layout", list(PixelFormat))
def test_every_layout_and_a_canvas_that_is_used_again(made: Any, layout: PixelFormat) -> None:
    detector, session = made(min_face_size_px=40)
    for height, width, level in ((360, 640, 255), (300, 640, 0), (360, 640, 255)):
        session.image_wh = (256, round(height * 0.4))
        shape = {PixelFormat.GRAY: (height, width), PixelFormat.NV12: (height * 3 // 2, width)}.get(
            layout, (height, width, 3)
        )
        assert len(detector.detect(Frame(np.full(shape, level, np.uint8), layout))) == 1
        last_row = session.fed[0, :, round(height * 0.4) :]
        assert not last_row.size or abs(last_row).max() < 0.02


def test_a_face_is_given_once_and_the_best_first() -> None:
    maps = np.zeros((15, 8, 8), np.float32)
    for (row, column), score, box in (
        ((1, 1), 0.7, (0, 0, 20, 20)),
        ((1, 3), 0.9, (2, 1, 22, 20)),
        ((5, 5), 0.8, (40, 40, 60, 60)),
        ((6, 6), 0.6, (44, 40, 84, 80)),
    ):
        maps[0, row, column], maps[1:5, row, column] = score, box
    found = decode_maps(maps, 0.5, 1.0)
    assert found.score.tolist() == pytest.approx([0.9, 0.8, 0.6])
    np.testing.assert_allclose(found.box_xyxy[:, 0], [2, 40, 44])
    assert found.keypoints_xy.shape == (3, 5, 2)
    assert len(decode_maps(maps, 0.95, 1.0)) == 0


def test_a_network_of_another_checksum_is_refused(tmp_path: Path) -> None:
    shutil.copytree(DETECTOR_FILE.parent, tmp_path / "detector")
    copy = tmp_path / "detector" / DETECTOR_FILE.name
    FastFaceDetector(model=copy)
    copy.write_bytes(copy.read_bytes() + b"\0")
    with pytest.raises(BundleError, match=f"{DETECTOR_FILE.stem}.sha256"):
        FastFaceDetector(model=copy)


def test_the_shipped_one_is_the_default_and_has_a_card() -> None:
    assert default_detector() == "distilled"
    assert DETECTOR_FILE.with_suffix(DIGEST_SUFFIX).is_file()
    assert "YuNet" in (DETECTOR_FILE.parent / CARD_FILE).read_text(encoding="utf-8")
