"""Metrics of the latency and detector benchmarks on synthetic measurements."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.check import Check
from benchmarks.detectors import BINS, Case, Score, overlaps
from benchmarks.latency_measurements import (
    FileRun,
    Pass,
    PipelineConfig,
    detector_cost,
    hide_quadrant,
    network_macs,
    run_files,
    write_clip,
)
from benchmarks.latency_targets import MultiCoreRound, as_markdown, two_cores_check
from faceaffect.detectors import Detections
from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.sources import open_source
from faceaffect.types import Frame

pytestmark = pytest.mark.train


REQUIRES = ("moderngl",)


def test_pass_tracking_ms_excludes_detector_and_detector_cost_averages_it() -> None:
    detects = [index % 10 == 0 for index in range(130)]
    detect = [4.0 if is_detect else 0.0 for is_detect in detects]
    total = [99.0 if k < 30 else 2.0 + 5.0 * is_detect for k, is_detect in enumerate(detects)]
    run = Pass(total, {"detect": detect}, [1] * 130)
    assert run.tracking_ms() == 2.0
    assert detector_cost(run) == pytest.approx(0.5), "ten detections of 5 ms over a hundred frames"


def test_network_macs_counts_conv_and_dense_layers() -> None:
    weights = [np.zeros((8, 3, 3, 3), np.float32), np.zeros((8 * 16, 10), np.float32)]
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Flatten", ["a"], ["b"]),
        helper.make_node("Gemm", ["b", "w1"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])
    initial = [numpy_helper.from_array(value, f"w{k}") for k, value in enumerate(weights)]
    model = helper.make_model(helper.make_graph(nodes, "net", [x], [y], initial))
    onnx.checker.check_model(model)
    assert network_macs(model.SerializeToString()) == 8 * 3 * 9 * 4 * 4 + 128 * 10


def test_hide_quadrant_changes_lower_right_only() -> None:
    frames = [
        Frame(np.random.default_rng(k).integers(0, 255, (36, 64, 3)).astype(np.uint8))
        for k in range(2)
    ]
    first, second = hide_quadrant(frames)
    np.testing.assert_array_equal(second.pixels[:, :32], frames[1].pixels[:, :32])
    np.testing.assert_array_equal(second.pixels[:18], frames[1].pixels[:18])
    np.testing.assert_array_equal(first.pixels[18:, 32:], second.pixels[18:, 32:])


def test_as_markdown_marks_missed_targets() -> None:
    checks = [Check("one", "at most 1 ms", "2 ms", False), Check("two", "any", "not run", None)]
    text = as_markdown("Title", {"processor": "some"}, checks, ["a note"])
    assert "| one | at most 1 ms | 2 ms | **no** |" in text
    assert "| two | any | not run | - |" in text
    assert text.endswith("- a note\n")


def test_score_counts_detections_by_face_size() -> None:
    frame = Frame(np.zeros((360, 640, 3), np.uint8))
    boxes = np.float32([[0, 0, 40, 40], [200, 50, 300, 150], [400, 0, 410, 10]])
    points = np.tile(np.float32([[10, 10], [30, 10], [20, 20], [12, 30], [28, 30]]), (3, 1, 1))
    found = Detections(boxes[[1]] + 2, points[[1]] + (3, 4), np.float32([0.9]))
    wrong = Detections(np.float32([[500, 300, 560, 350]]), points[:1], np.float32([0.8]))
    score = Score()
    score.add(Case(frame, boxes, points), found, 1.0)
    score.add(Case(frame, boxes, points), wrong, 1.0)
    at = {k: (score.detected[k], score.faces[k]) for k in range(len(BINS)) if score.faces[k]}
    assert at == {2: (0, 2), 4: (1, 2)}, "the face of 10 px is smaller than any bin"
    assert score.false_positives == 1
    assert score.errors == [pytest.approx(5 / 20)]
    np.testing.assert_allclose(
        overlaps(boxes[:1], np.float32([[0, 20, 40, 60]])), [[1 / 3]], rtol=1e-5
    )


def test_two_cores_check_with_negative_time_is_not_measured() -> None:
    quiet = [
        MultiCoreRound(FileRun(one), FileRun(2.0, 4.0, 2.2), FileRun(2.5), FileRun(4.0))
        for one in (4.0, 3.6, 3.0)
    ]
    busy = two_cores_check(
        [*quiet, MultiCoreRound(FileRun(4.0), FileRun(-0.5), FileRun(2.5), FileRun(4.0))]
    )
    assert busy.is_met is None
    assert "not measured" in busy.measured
    check = two_cores_check(quiet)
    assert check.is_met
    assert check.measured.startswith("1.80 times (1.50 to 2.00; ")
    assert "`--jobs 2`: 1.44 times" in check.measured
    assert "two concurrent runs on a core each: 1.80 times" in check.measured
    assert "55 % of its CPU time" in check.measured


def test_write_clip_has_requested_number_of_frames(tmp_path: Path) -> None:
    clip = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"
    with open_source(write_clip(str(clip), 200, tmp_path)) as source:
        frames = list(source)
    assert len(frames) == 200, "120 frames of the clip are read"
    assert (frames[0].width_px, frames[0].height_px) == (640, 360)
    assert np.abs(to_bgr(frames[199]).astype(int) - to_bgr(frames[39])).mean() < 2, (
        "it is played backwards from frame 119 on"
    )


def test_run_files_uses_given_cores(trained: None, tmp_path: Path) -> None:
    clip = write_clip(
        str(Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"), 12, tmp_path
    )
    core = min(os.sched_getaffinity(0))
    run = run_files(PipelineConfig(None, "onnx", "fp32", None), clip, [[core], [core]], tmp_path)
    assert run.wall_s > 0
    assert 0 < run.analysis_s < run.cpu_s <= 1.1 * run.wall_s, (
        "CPU time of one core is at most wall time"
    )
    assert len((tmp_path / "rows1.csv").read_text().splitlines()) == 13
    with pytest.raises(ValueError, match="no such file"):
        run_files(
            PipelineConfig(None, "onnx", "fp32", None),
            str(tmp_path / "none.mp4"),
            [[core]],
            tmp_path,
        )
