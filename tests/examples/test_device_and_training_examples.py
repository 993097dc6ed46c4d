"""The Jetson camera on a clip, the ROS 2 node with doubles of ROS, own labels for training."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceaffect import open_pipeline, open_source, to_bgr
from faceaffect.labels import AU_NAMES
from tests.examples.test_examples import load

DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"


def test_jetson_camera_prints_active_units_and_latency(
    trained: None, capsys: pytest.CaptureFixture[str]
) -> None:
    load("jetson_camera").main(str(DEMO), "int8", "onnx")
    first, *lines = capsys.readouterr().out.splitlines()
    assert "precision int8" in first
    assert [line.split()[0] for line in lines] == [f"{second}.0" for second in range(6)]
    assert "#1: " in lines[1]
    assert "AU12" in lines[1]
    p50, p99 = (float(lines[1].split()[k]) for k in (2, 4))
    assert 0 < p50 <= p99


class Publisher:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def publish(self, message: Any) -> None:
        self.messages.append(message)


@pytest.fixture
def node(trained: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The node, over doubles of the ROS 2 packages that record what it asks of them."""

    class Node:
        def __init__(self, name: str) -> None:
            assert name == "faceaffect"

        def create_publisher(self, kind: type, topic: str, depth: int) -> Publisher:
            self.topic, self.depth, self.kind = topic, depth, kind
            self.publisher = Publisher()
            return self.publisher

        def create_subscription(self, kind: type, topic: str, callback: Any, qos: Any) -> None:
            self.subscribed = (kind, topic, callback, qos)

    modules = {
        "rclpy": {"init": None, "spin": None},
        "rclpy.node": {"Node": Node},
        "rclpy.qos": {"qos_profile_sensor_data": "sensor"},
        "sensor_msgs": {},
        "sensor_msgs.msg": {"Image": SimpleNamespace},
        "std_msgs": {},
        "std_msgs.msg": {"String": SimpleNamespace},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        for key, value in content.items():
            setattr(module, key, value)
        monkeypatch.setitem(sys.modules, name, module)
    made = load("ros2_node").FaceNode()
    yield made
    made.pipeline.close()


def image_message(pixels: np.ndarray, encoding: str, padding: int = 0) -> Any:
    """An image as ROS 2 sends it, with unused bytes at the end of its rows."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    stamp = SimpleNamespace(sec=12, nanosec=500_000_000)
    return SimpleNamespace(
        encoding=encoding,
        height=height,
        width=width,
        step=padded.shape[1],
        data=padded.tobytes(),
        header=SimpleNamespace(stamp=stamp),
    )


@pytest.mark.parametrize(("encoding", "padding"), [("bgr8", 0), ("rgb8", 7), ("mono8", 5)])
def test_ros2_node_publishes_the_faces_of_an_image(node: Any, encoding: str, padding: int) -> None:
    with open_source(str(DEMO)) as source:
        frame = list(source)[40]
    bgr = to_bgr(frame)
    pixels = {"bgr8": bgr, "rgb8": bgr[..., ::-1], "mono8": bgr.mean(2).astype(np.uint8)}[encoding]
    _kind, topic, callback, qos = node.subscribed
    assert (topic, qos, node.topic) == ("image", "sensor", "faces")
    callback(image_message(pixels, encoding, padding))
    (message,) = node.publisher.messages
    content = json.loads(message.data)
    assert content["time_s"] == 12.5
    (face,) = content["faces"]
    with open_pipeline() as pipeline:
        _, affect = pipeline.analyze(bgr)
    limit = 0.02 if encoding != "mono8" else 0.4  # gray looks a little different to the network
    assert np.abs(np.array(face["au"]) - affect.au_probability[0]).max() < limit


def test_ros2_node_refuses_other_encodings(node: Any) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        node.analyze(image_message(np.zeros((4, 4), np.uint8), "16UC1"))


def test_labels_become_a_dataset_that_training_reads(
    trained: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="needs torch (the train extra)")
    from training.datasets.affwild2 import read_affwild2

    for name in "abcd":
        (tmp_path / f"{name}.mp4").write_bytes(DEMO.read_bytes())
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("video", "frame", *AU_NAMES))
        for name in "abcd":
            for frame in range(50):
                active = {"AU12": int(frame >= 30), "AU4": "" if frame < 5 else 1}
                units = (active.get(unit, 0) for unit in AU_NAMES)
                writer.writerow((f"{name}.mp4", frame, *units))
    load("train_on_labels").main(str(tmp_path / "labels.csv"), str(tmp_path / "data"))
    assert capsys.readouterr().out.splitlines()[3] == (
        "d.mp4: 180 frames, 50 with labels, Validation_Set"
    )
    table = read_affwild2(tmp_path / "data", progress=False)
    crops = {split: len(table.rows("AU", split)) for split in ("train", "validation")}
    assert crops == {"train": 135, "validation": 45}, "frames with an empty cell are not used"
    column = AU_NAMES.index("AU12")
    assert len(list((tmp_path / "data/cropped_aligned/a").glob("*.jpg"))) == 180
    lines = (tmp_path / "data/annotations/AU_Set/Train_Set/a.txt").read_text().splitlines()
    assert lines[0] == ",".join(AU_NAMES)
    assert [line.split(",")[column] for line in lines[1:]] == ["0"] * 30 + ["1"] * 20 + ["-1"] * 130
    assert [line.split(",")[AU_NAMES.index("AU4")] for line in lines[1:6]] == ["-1"] * 5
