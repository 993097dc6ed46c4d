"""YuNet over a fake network, since its file is the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from benchmarks.kernel_cases import flat_frame
from faceaffect.detectors.yunet import YunetDetector
from faceaffect.types import Frame, PixelFormat


class FakeNetwork:
    def __init__(self, rows: np.ndarray | None) -> None:
        self.rows, self.size = rows, (0, 0)

    def setInputSize(self, size: tuple[int, int]) -> None:  # OpenCV's name  # noqa: N802
        self.size = size

    def detect(self, image: np.ndarray) -> tuple[int, np.ndarray | None]:
        assert image.shape == (self.size[1], self.size[0], 3), (
            "the network must know the image's size"
        )
        return 1, self.rows


def write_identity(path: Path) -> None:
    """Write the smallest network that `check_onnx` accepts."""
    sides = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "identity", sides[:1], sides[1:])
    onnx.save(onnx.helper.make_model(graph), path)


def open_fake(
    rows: np.ndarray | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> YunetDetector:
    write_identity(tmp_path / "yunet.onnx")
    network: Any = FakeNetwork(rows)
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: network)
    return YunetDetector(tmp_path / "yunet.onnx")


def test_yunet_with_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"face_detection_yunet_2023mar.onnx\) at .*nowhere"
    ):
        YunetDetector(tmp_path / "nowhere")


def test_yunet_detections_are_sorted_and_in_frame_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.zeros((2, 15), np.float32)
    rows[0] = [10, 20, 30, 40, *range(10), 0.8]
    rows[1] = [100, 50, 20, 20, *range(50, 60), 0.9]
    detections = open_fake(rows, tmp_path, monkeypatch).detect(
        Frame(np.zeros((720, 1280, 3), np.uint8))
    )
    assert list(detections.score) == pytest.approx([0.9, 0.8])
    # Twice as large as the 640 px image; pixel centers have whole coordinates.
    np.testing.assert_allclose(detections.box_xyxy[1], [20.5, 40.5, 80.5, 120.5])
    np.testing.assert_allclose(detections.keypoints_xy[0, 0], [100.5, 102.5])
    assert detections.keypoints_xy.shape == (2, 5, 2)


@pytest.mark.parametrize("pixel_format", list(PixelFormat))
def test_yunet_without_faces_returns_empty_for_any_pixel_format(
    pixel_format: PixelFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = flat_frame(pixel_format, 480, 640, 0)
    detections = open_fake(None, tmp_path, monkeypatch).detect(frame)
    assert len(detections) == 0
    assert detections.keypoints_xy.shape == (0, 5, 2)


@pytest.mark.shared
def test_pipeline_with_yunet_file_uses_it(shared: Path, trained: None) -> None:
    from faceaffect.pipeline import open_pipeline

    model = shared / "teachers" / "yunet" / "yunet_s_640_640.onnx"
    image = cv2.imread(str(shared / "data" / "videos" / "pyfeat_multi_face.jpg"))
    with open_pipeline(detector=model) as pipeline:
        assert pipeline.describe()["detector"] == "yunet"
        assert len(pipeline.analyze(Frame(image))[0]) == 5


def test_yunet_with_other_file_raises(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"no\.onnx: expected ONNX"):
        YunetDetector(tmp_path / "no.onnx")


def test_yunet_with_network_that_opencv_cannot_load_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_identity(tmp_path / "no.onnx")

    def refuse(*_: object) -> None:
        raise cv2.error("no such layer")

    monkeypatch.setattr(cv2.FaceDetectorYN, "create", refuse)
    with pytest.raises(ValueError, match=r"expected YuNet's ONNX file, got .*no such layer"):
        YunetDetector(tmp_path / "no.onnx")
