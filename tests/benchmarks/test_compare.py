from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import compare as compare
from benchmarks.baselines import make_environments
from benchmarks.baselines.baseline import BASELINES, FACEAFFECT, HERE, Baseline
from benchmarks.compare import BaselineError, choose, main, parse, run_once
from benchmarks.compare_record import BaselineRun, ClipResult, as_markdown

DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"
FACE, ELSEWHERE = [100.0, 100.0, 200.0, 220.0], [400.0, 100.0, 500.0, 220.0]


def make_run(
    baseline: Baseline, rounds_ms: list[list[float]], boxes: list[list[list[float]]]
) -> BaselineRun:
    run = BaselineRun(baseline)
    for ms in rounds_ms:
        run.add(
            {"ms": ms, "boxes": boxes, "versions": {}, "first_result_s": 1.0, "size_px": [640, 360]}
        )
    return run


def script(tmp_path: Path, text: str) -> Baseline:
    """A baseline whose script is `text`."""
    path = tmp_path / "stranger.py"
    path.write_text(text)

    class Stranger(Baseline):
        script = path  # type: ignore[assignment]

    return Stranger("stranger", "Stranger", "nothing")


def test_latency_ratio_uses_frames_with_same_face() -> None:
    ours = make_run(FACEAFFECT, [[1, 1, 1, 50]], [[FACE], [FACE], [FACE], []])
    theirs = make_run(
        BASELINES[0],
        [[3, 100, 7, 100]],
        [[ELSEWHERE, FACE], [ELSEWHERE], [[90, 110, 190, 210]], [FACE]],
    )
    ratio = ClipResult("clip", [ours, theirs]).latency_ratio(theirs)
    assert (ratio.frames_with_face, ratio.same_frames) == (4, [0, 2])
    assert ratio.ratios == [5.0]


def test_latency_ratio_without_detections_is_empty() -> None:
    ours, theirs = (
        make_run(FACEAFFECT, [[1.0, 1.0]], [[FACE], [FACE]]),
        make_run(BASELINES[0], [[1.0, 1.0]], [[], []]),
    )
    clip = ClipResult("clip", [ours, theirs])
    assert clip.latency_ratio(theirs).ratios == []
    assert "no frame with the same face" in as_markdown([clip], {}, {})


def test_choose_without_environments_gives_reasons(tmp_path: Path) -> None:
    arguments = parse(["--weights", str(tmp_path), "--environments", str(tmp_path)])
    selected, skipped = choose(arguments, tmp_path)
    assert list(selected) == [FACEAFFECT]
    assert set(skipped) == {baseline.name for baseline in BASELINES}
    assert all(skipped.values())
    assert "face_landmarker.task is not under" in skipped["mediapipe_face_landmarker"]
    assert "make_environments dlib_landmarks" in skipped["dlib_landmarks"]


def test_choose_with_random_weights_renames_baseline(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    python = tmp_path / "emotiefflib_onnx" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "yunet_s_640_640.onnx").touch()
    options = [
        "--weights",
        str(tmp_path),
        "--environments",
        str(tmp_path),
        "--only",
        "emotiefflib_onnx",
    ]
    assert (
        "enet_b0_8_best_vgaf.onnx is not under"
        in choose(parse(options), tmp_path)[1]["emotiefflib_onnx"]
    )
    made = tmp_path / "made"
    made.mkdir()
    selected, _ = choose(parse([*options, "--random-weights"]), made)
    baseline = next(baseline for baseline in selected if baseline is not FACEAFFECT)
    assert baseline.title.endswith("random weights")
    assert Path(selected[baseline]["enet_b0_8_best_vgaf.onnx"]).parent == made


def test_write_random_weights_has_size_of_published_network(tmp_path: Path) -> None:
    """5,288,548 parameters (Tan and Le, 2019) less 1000 classes and half of the 42,016 of
    normalization, plus 8 classes.
    """
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from benchmarks.baselines.random_weights import write_random_weights

    write_random_weights(tmp_path / "b0.onnx", 8)
    model = onnx.load(tmp_path / "b0.onnx")
    expected = 5_288_548 - 21_008 - 1281 * 1000 + 1281 * 8
    assert sum(int(np.prod(weight.dims)) for weight in model.graph.initializer) == expected
    scores = runtime.InferenceSession(str(tmp_path / "b0.onnx")).run(
        None, {"input": np.ones((2, 3, 224, 224), np.float32)}
    )[0]
    assert scores.shape == (2, 8)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import sys; print('first', file=sys.stderr); sys.exit('no such model')",
            "failed with exit code 1: no such model",
        ),
        ("print('{}')", "failed with exit code 0: 'ms'"),
        ('print(\'{"ms": [1], "boxes": []}\')', "same frames"),
    ],
)
def test_run_once_of_failing_baseline_raises(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BaselineError, match=message):
        run_once(script(tmp_path, text), Path(sys.executable), {}, [])


def test_main_runs_faceaffect_and_writes_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--rounds",
        "1",
        "--frames",
        "12",
        "--weights",
        str(tmp_path),
        "--environments",
        str(tmp_path),
    ]
    main([*options, "--clip", str(DEMO), "--record", str(tmp_path)])
    text = capsys.readouterr().out
    assert "## demo.mp4" in text
    assert text == (tmp_path / "compare.md").read_text(encoding="utf-8")
    found = json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))
    (run,) = found["clips"][0]["runs"]
    assert len(run["rounds_ms"][0]) == 12
    assert run["frames_with_a_face"] > 0
    assert set(found["not_run"]) == {baseline.name for baseline in BASELINES}


def test_baselines_have_script_and_pinned_versions() -> None:
    for baseline in BASELINES:
        assert baseline.script.is_file() != bool(baseline.unavailable_reason), baseline.name
        assert all(
            "==" in one for one in (*baseline.requirements, *baseline.requirements_no_deps)
        ), baseline.name
    assert (HERE / f"{FACEAFFECT.name}.py").is_file()
    assert compare.ENVIRONMENTS == make_environments.ENVIRONMENTS
