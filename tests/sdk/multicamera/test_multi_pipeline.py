"""Several streams in one pipeline: the rows of separate pipelines, from fewer network runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceaffect import BundleError, Frame, open_multi_pipeline, open_pipeline, open_source
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.multicamera import MultiPipeline
from faceaffect.types import Affect, Faces
from tests.sdk.test_pipeline import LEFT, RIGHT, FixedDetector, bright
from tests.sdk.tiny_bundle import write_tiny_bundle
from tests.sdk.tiny_multistage_bundle import write_tiny_multistage_bundle

DEMO = Path(__file__).resolve().parents[3] / "assets" / "demo.mp4"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny", size_px=112)


def assert_rows_equal(actual: tuple[Faces, Affect], expected: tuple[Faces, Affect]) -> None:
    (faces, affect), (expected_faces, expected_affect) = actual, expected
    assert faces.track_id.tolist() == expected_faces.track_id.tolist()
    np.testing.assert_allclose(faces.box_xyxy, expected_faces.box_xyxy, atol=1e-2)
    np.testing.assert_allclose(faces.landmarks_xy, expected_faces.landmarks_xy, atol=1e-2)
    np.testing.assert_allclose(faces.pose_deg, expected_faces.pose_deg, atol=1e-2)
    for name in ("au_probability", "expression_probability", "valence", "arousal"):
        np.testing.assert_allclose(
            getattr(affect, name), getattr(expected_affect, name), atol=1e-3, err_msg=name
        )


def count_batches(multi: MultiPipeline) -> list[int]:
    """Sizes of the batches that the network runs from now on."""
    backend = multi._network._backend
    infer, sizes = backend.infer, list[int]()

    def counted(crops: np.ndarray) -> dict[str, np.ndarray]:
        sizes.append(len(crops))
        return infer(crops)

    backend.infer = counted  # type: ignore[method-assign]
    return sizes


def test_multi_pipeline_on_clip_equals_separate_pipelines() -> None:
    """Three cameras that show parts of the clip, one of them at half the frame rate."""
    with open_source(DEMO) as source:
        frames = [frame for frame, _ in zip(source, range(36), strict=False)]
    delays = (0, 6, 12)
    with open_multi_pipeline(3, backend="onnx", precision="fp32") as multi:
        pipelines = [open_pipeline(backend="onnx", precision="fp32") for _ in delays]
        found = 0
        for step in range(24):
            given = [frames[step + delay] for delay in delays]
            now = [one if i < 2 or step % 2 == 0 else None for i, one in enumerate(given)]
            results = multi.analyze(now)
            for frame, pipeline, result in zip(now, pipelines, results, strict=True):
                if frame is None:
                    assert result is None
                    continue
                assert result is not None
                assert_rows_equal(result, pipeline.analyze(frame))
                found += len(result[0])
    assert found >= 50, "faces were compared"


def test_multi_pipeline_with_tracked_faces_runs_network_once(tiny: Path) -> None:
    with open_multi_pipeline(3, tiny, backend="onnx", detector=FixedDetector(LEFT, RIGHT)) as multi:
        multi.analyze([bright()] * 3)
        sizes = count_batches(multi)
        results = multi.analyze([bright(0.04)] * 3)
    assert sizes == [6], "one run for the two faces of three frames"
    assert [one[0].track_id.tolist() for one in results if one] == [[1, 2]] * 3, "ids per stream"


def test_multi_pipeline_with_one_frame_runs_only_its_faces(tiny: Path) -> None:
    with open_multi_pipeline(2, tiny, backend="onnx", detector=FixedDetector(LEFT)) as multi:
        multi.analyze([bright(), bright()])
        sizes = count_batches(multi)
        first, second = multi.analyze([None, bright(0.04)])
    assert first is None
    assert second is not None
    assert len(second[0]) == 1
    assert sizes == [1]


def test_multi_pipeline_reset_of_one_stream_keeps_the_other(tiny: Path) -> None:
    with open_multi_pipeline(2, tiny, backend="onnx", detector=FixedDetector(LEFT)) as multi:
        multi.analyze([bright(), bright()])
        multi.reset(0)
        first, second = multi.analyze([bright(0.04), bright(0.04)])
    assert first is not None
    assert second is not None
    assert (first[0].track_id.tolist(), second[0].track_id.tolist()) == ([2], [1])
    assert multi.describe()["streams"] == "2"


def test_multi_pipeline_outputs_are_not_overwritten_by_later_runs(tiny: Path) -> None:
    """A stream that detects runs the network again before the next stream reads its outputs."""
    detector = FixedDetector(LEFT)
    with open_multi_pipeline(2, tiny, backend="onnx", detector=detector) as multi:
        multi.analyze([bright(), bright()])
        backend = multi._network._backend
        infer, buffers = backend.infer, dict[str, np.ndarray]()

        def reuse_buffers(crops: np.ndarray) -> dict[str, np.ndarray]:
            for values in buffers.values():
                values.fill(np.nan)
            buffers.update(infer(crops))
            return buffers

        backend.infer = reuse_buffers  # type: ignore[method-assign]
        dark = Frame(np.zeros((480, 640, 3), np.uint8), time_s=1.0)  # a cut: the detector runs
        results = multi.analyze([dark, bright(1.0)])
    assert results[1] is not None
    assert np.isfinite(results[1][1].au_probability).all()
    assert len(results[1][0]) == 1


def test_multi_pipeline_with_wrong_arguments_raises(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected streams >= 1, got 0"):
        open_multi_pipeline(0, tiny)
    with pytest.raises(ValueError, match="expected max_faces >= 1"):
        open_multi_pipeline(2, tiny, max_faces=0)
    multi = open_multi_pipeline(2, tiny, backend="onnx", detector=FixedDetector())
    with pytest.raises(ValueError, match="expected 2 frames, one per stream or None, got 1"):
        multi.analyze([bright()])
    multi.close()
    with pytest.raises(ValueError, match="was closed"):
        multi.analyze([bright(), bright()])
    stages = write_tiny_multistage_bundle(tmp_path / "stages")
    assert ModelSpec.load(stages).stages
    with pytest.raises(BundleError, match="one pipeline per stream"):
        open_multi_pipeline(2, stages)
