"""The pipeline over the tiny bundle: consistent rows, values in range, clear errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect import BackendError, BundleError, Frame, Pipeline, open_pipeline
from faceaffect.bundle.model_spec import HEADS, ModelSpec
from faceaffect.detectors import Detections, Detector
from faceaffect.geometry import CANONICAL_KEYPOINTS_XY, transform_points
from faceaffect.labels import EXPRESSION_NAMES
from faceaffect.outputs.score_smoother import ADAPTIVE_EMA_JUMP, SCORES_CONSTANT_S
from faceaffect.system.stage_timer import STAGES, WALL
from tests.sdk.test_geometry import similarity_map
from tests.sdk.tiny_bundle import face_shape, write_tiny_bundle


class FixedDetector(Detector):
    """Detects faces at given transforms of the template."""

    name = "fixed"

    def __init__(self, *crops: np.ndarray) -> None:
        self.crops = list(crops)

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        if not self.crops:
            return Detections()
        keypoints = np.concatenate(
            [transform_points(crop, CANONICAL_KEYPOINTS_XY[None]) for crop in self.crops]
        )
        return Detections(
            np.zeros((len(keypoints), 4), np.float32),
            keypoints,
            np.ones(len(keypoints), np.float32),
        )


LEFT, RIGHT = similarity_map(1.5, 10, 40, 50), similarity_map(1.2, -20, 380, 160)
OpenTiny = Callable[..., Pipeline]


@pytest.fixture
def open_tiny(tmp_path: Path) -> OpenTiny:
    def make(size_px: int = 112, **options: object) -> Pipeline:
        return open_pipeline(write_tiny_bundle(tmp_path / str(size_px), size_px=size_px), **options)  # type: ignore[arg-type]

    return make


def bright(time_s: float = 0.0, size: tuple[int, int] = (480, 640)) -> Frame:
    """An image in which every crop is a face for the tiny network."""
    coarse = np.random.default_rng(7).uniform(120, 220, (6, 8, 3)).astype(np.uint8)
    return Frame(cv2.resize(coarse, size[::-1]), time_s=time_s)


@pytest.mark.parametrize("size_px", [64, 112, 160])
def test_pipeline_with_two_faces_returns_consistent_rows(open_tiny: OpenTiny, size_px: int) -> None:
    with open_tiny(size_px, detector=FixedDetector(LEFT, RIGHT)) as pipeline:
        faces, affect = pipeline.analyze(bright())
    assert len(faces) == len(affect) == 2
    assert faces.track_id.tolist() == [1, 2]
    for row, crop in enumerate((LEFT, RIGHT)):
        truth = transform_points(crop, face_shape()[None])[0]
        np.testing.assert_allclose(faces.landmarks_xy[row], truth, atol=0.05)
        assert (faces.box_xyxy[row, 2:] >= truth.max(axis=0) - 0.1).all()
    # The network predicts a roll of 2 degrees; the crops are rotated by 10 and -20.
    mean_roll = faces.pose_deg[:, 2] - [10, -20]
    assert mean_roll[0] == pytest.approx(mean_roll[1], abs=2.5)
    assert affect.au_probability.shape == affect.au_active.shape == (2, 12)
    np.testing.assert_allclose(affect.expression_probability.sum(axis=1), 1, rtol=1e-5)
    assert (
        EXPRESSION_NAMES[int(affect.expression_probability[0].argmax())] == "surprise"
    )  # its offset is the largest
    assert (
        (faces.face_score > 0.5)
        & (faces.face_score <= 1)
        & (faces.quality >= 0)
        & (faces.quality <= 1)
    ).all()
    assert (np.abs(np.concatenate([affect.valence, affect.arousal])) <= 1).all()


def test_pipeline_without_faces_returns_empty_arrays(open_tiny: OpenTiny) -> None:
    with open_tiny(detector=FixedDetector()) as pipeline:
        faces, affect = pipeline.analyze(bright())
    assert len(faces) == len(affect) == 0
    assert faces.landmarks_xy.shape == (0, 68, 2)
    assert faces.box_xyxy.shape == (0, 4)
    assert faces.pose_deg.shape == (0, 3)
    assert affect.au_active.shape == (0, 12)
    assert affect.expression_probability.shape == (0, 7)


def test_pipeline_after_reset_continues_track_ids(open_tiny: OpenTiny) -> None:
    detector = FixedDetector(LEFT)
    with open_tiny(detector=detector) as pipeline:
        assert pipeline.analyze(bright(0.0))[0].track_id.tolist() == [1]
        assert len(pipeline.analyze(Frame(np.zeros((480, 640, 3), np.uint8), time_s=0.04))[0]) == 0
        pipeline.reset()
        pipeline.set_next_track_id(11)
        assert pipeline.analyze(bright(0.08))[0].track_id.tolist() == [11]


@pytest.mark.parametrize("smooth", [True, False])
def test_pipeline_smooth_option_smooths_scores(open_tiny: OpenTiny, smooth: bool) -> None:
    with open_tiny(detector=FixedDetector(LEFT), smooth=smooth) as pipeline:
        first = pipeline.analyze(bright(0.0))[1]
        dimmer = Frame((bright().pixels * 0.9).astype(np.uint8), time_s=0.04)
        second = pipeline.analyze(dimmer)[1]
        last = pipeline.analyze(Frame(dimmer.pixels, time_s=60.0))[1]
    valence = (second.valence - first.valence) / (last.valence - first.valence)
    unit = (second.au_probability - first.au_probability) / (
        last.au_probability - first.au_probability
    )
    assert valence[0] == pytest.approx(1 - np.exp(-0.04 / 0.25) if smooth else 1, abs=0.02)
    change = np.abs(last.au_probability[0] - first.au_probability[0])
    alpha = 1 - np.exp(-0.04 / SCORES_CONSTANT_S)
    expected = (
        alpha + (1 - alpha) * np.minimum(1, change / ADAPTIVE_EMA_JUMP) ** 2
        if smooth
        else np.ones_like(change)
    )
    np.testing.assert_allclose(unit[0], expected, atol=0.02)


def test_pipeline_with_neutral_baseline_corrects_neutral_face(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "tiny")
    with open_pipeline(folder, detector=FixedDetector(LEFT)) as plain:
        raw = plain.analyze(bright())[1].au_probability[0]
    neutral = np.log(raw / (1 - raw)) - 0.7  # this neutral face exceeds others by 0.7
    replace(ModelSpec.load(folder), au_neutral_logits=tuple(neutral.tolist())).save(folder)
    with open_pipeline(folder, detector=FixedDetector(LEFT), neutral_baseline=True) as pipeline:
        for k in range(60):
            affect = pipeline.analyze(bright(0.1 * k))[1]
            if k == 0:
                np.testing.assert_allclose(affect.au_probability[0], raw, atol=1e-6)
    np.testing.assert_allclose(affect.au_probability[0], 1 / (1 + np.exp(-neutral)), atol=1e-3)


def test_pipeline_lists_faces_below_least_quality_without_affect(open_tiny: OpenTiny) -> None:
    with open_tiny(detector=FixedDetector(LEFT)) as pipeline:
        quality = float(pipeline.analyze(bright())[0].quality[0])
    for min_quality, is_known in ((quality - 0.01, True), (quality + 0.01, False)):
        with open_tiny(detector=FixedDetector(LEFT), min_quality=min_quality) as pipeline:
            faces, affect = pipeline.analyze(bright())
        assert faces.track_id.tolist() == [1]
        assert np.isfinite(affect.au_probability).all() == is_known
        assert np.isfinite(affect.valence).all() == is_known


def test_open_pipeline_with_quality_above_one_raises(open_tiny: OpenTiny) -> None:
    with pytest.raises(ValueError, match="0 <= min_quality <= 1, got 30"):
        open_tiny(min_quality=30)


def test_pipeline_restarts_and_ends_its_neutral_baseline(tmp_path: Path) -> None:
    """It fades in again after a restart, and is gone after its end."""
    folder = write_tiny_bundle(tmp_path / "tiny")
    with open_pipeline(folder, detector=FixedDetector(LEFT), smooth=False) as plain:
        raw = plain.analyze(bright())[1].au_probability[0]
    neutral = np.log(raw / (1 - raw)) - 0.7
    corrected = 1 / (1 + np.exp(-neutral))
    replace(ModelSpec.load(folder), au_neutral_logits=tuple(neutral.tolist())).save(folder)
    with open_pipeline(folder, detector=FixedDetector(LEFT), smooth=False) as pipeline:

        def run(first: int, last: int) -> list[np.ndarray]:
            frames = [bright(0.1 * number) for number in range(first, last)]
            return [pipeline.analyze(frame)[1].au_probability[0] for frame in frames]

        for start in (0, 100):
            pipeline.restart_neutral_baseline(True)
            probabilities = run(start, start + 60)
            np.testing.assert_allclose(probabilities[0], raw, atol=1e-6)
            np.testing.assert_allclose(probabilities[-1], corrected, atol=1e-3)
        pipeline.restart_neutral_baseline(False)
        np.testing.assert_allclose(run(200, 201)[0], raw, atol=1e-6)


def test_pipeline_with_neutral_baseline_needs_neutral_logits(open_tiny: OpenTiny) -> None:
    with pytest.raises(BundleError, match="au_neutral_logits"):
        open_tiny(detector=FixedDetector(LEFT), neutral_baseline=True)
    with (
        open_tiny(detector=FixedDetector(LEFT)) as pipeline,
        pytest.raises(BundleError, match="au_neutral_logits"),
    ):
        pipeline.restart_neutral_baseline(True)


def test_pipeline_with_aligned_crops_returns_one_face_per_image(open_tiny: OpenTiny) -> None:
    with open_tiny(aligned_crops=True) as pipeline:
        for level in (0, 200):
            faces, affect = pipeline.analyze(Frame(np.full((112, 112, 3), level, np.uint8)))
            assert faces.track_id.tolist() == [1]
            assert len(affect) == 1
            assert (faces.face_score[0] > 0.5) == (level > 64)


def test_pipeline_with_aligned_crops_of_video_smooths_scores(open_tiny: OpenTiny) -> None:
    def scores(**options: bool) -> list[float]:
        with open_tiny(aligned_crops=True, **options) as pipeline:
            frames = [
                Frame(np.full((112, 112, 3), level, np.uint8), time_s=k / 30)
                for k, level in enumerate((0, 200, 200))
            ]
            return [float(pipeline.analyze(frame)[1].valence[0]) for frame in frames]

    alone, smoothed = scores(), scores(is_video=True)
    alpha = 1 - np.exp(-(1 / 30) / 0.25)
    assert abs(alone[1] - alone[0]) > 0.01
    assert smoothed[:2] == pytest.approx(
        [alone[0], alone[0] + alpha * (alone[1] - alone[0])], abs=1e-5
    )
    assert scores(is_video=True, smooth=False) == alone


def test_pipeline_stage_timer_books_every_stage(open_tiny: OpenTiny) -> None:
    with open_tiny(detector=FixedDetector(LEFT)) as pipeline:
        pipeline.stage_timer.enable(WALL)
        pipeline.analyze(bright())
        assert all(pipeline.stage_timer.elapsed_ns["wall"][stage] > 0 for stage in STAGES)
        pipeline.analyze(bright(0.04))
        assert pipeline.stage_timer.elapsed_ns["wall"]["detect"] == 0, "no detector run"


def test_pipeline_describe_names_parts(open_tiny: OpenTiny) -> None:
    with open_tiny(detector=FixedDetector()) as pipeline:
        description = pipeline.describe()
        assert pipeline.cuda_stream == 0, "nothing runs on a GPU"
    assert description["model"] == "tiny"
    assert description["backend"].startswith("onnx ")
    assert description["detector"] == "fixed"


def test_pipeline_after_close_raises(open_tiny: OpenTiny) -> None:
    pipeline = open_tiny(detector=FixedDetector(LEFT))
    pipeline.close()
    pipeline.close()
    with pytest.raises(ValueError, match="was closed; open another"):
        pipeline.analyze(bright())


@pytest.mark.parametrize("options", [{"max_faces": 0}, {"min_face_size_px": 11}, {"threads": 0}])
def test_open_pipeline_with_options_out_of_range_raises(
    open_tiny: OpenTiny, options: dict[str, int]
) -> None:
    with pytest.raises(
        ValueError, match=r"max_faces >= 1, min_face_size_px >= 12, threads >= 1, got"
    ):
        open_tiny(**options)


def test_open_pipeline_with_unknown_model_or_device_raises(open_tiny: OpenTiny) -> None:
    with pytest.raises(BundleError, match="got 'no such model'"):
        open_pipeline("no such model")
    with pytest.raises(BackendError, match="tensorrt"):
        open_tiny(backend="tensorrt", device="cuda")


def test_open_pipeline_with_wrong_graph_width_raises(tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "wide", node_width=5)
    with pytest.raises(
        BundleError, match=r"graph.safetensors must take nodes of the width .*, 5, got 4"
    ):
        open_pipeline(folder, detector=FixedDetector())


def test_open_pipeline_with_wrong_head_shape_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tiny_bundle(tmp_path / "tiny")
    monkeypatch.setitem(HEADS, "pose_deg", (4,))
    with pytest.raises(BundleError, match=r"head pose_deg must be float32 \[N, 4\], got \[1, 3\]"):
        open_pipeline(folder, detector=FixedDetector())
