"""Ours beside peers: who takes part and why not, what a failed peer costs, and that ratios count
the same face only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import compare as side_by_side
from benchmarks.baselines import make_environments
from benchmarks.baselines.baseline import HERE, OURS, PEERS, Peer
from benchmarks.compare import PeerError, choose, main, parse, run_once
from benchmarks.compare_record import ClipResult, PeerRun, as_markdown

DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"
FACE, ELSEWHERE = [100.0, 100.0, 200.0, 220.0], [400.0, 100.0, 500.0, 220.0]


def make_run(peer: Peer, rounds_ms: list[list[float]], boxes: list[list[list[float]]]) -> PeerRun:
    run = PeerRun(peer)
    for ms in rounds_ms:
        run.add(
            {"ms": ms, "boxes": boxes, "versions": {}, "first_result_s": 1.0, "size_px": [640, 360]}
        )
    return run


def script(tmp_path: Path, text: str) -> Peer:
    """A peer whose script is `text`."""
    path = tmp_path / "stranger.py"
    path.write_text(text)

    class Stranger(Peer):
        script = path  # type: ignore[assignment]

    return Stranger("stranger", "Stranger", "nothing")


def test_ratios_are_of_the_frames_that_show_the_same_face_to_both() -> None:
    ours = make_run(OURS, [[1, 1, 1, 50]], [[FACE], [FACE], [FACE], []])
    theirs = make_run(
        PEERS[0],
        [[3, 100, 7, 100]],
        [[ELSEWHERE, FACE], [ELSEWHERE], [[90, 110, 190, 210]], [FACE]],
    )
    against = ClipResult("clip", [ours, theirs]).against(theirs)
    assert (against.found, against.same_frames) == (4, [0, 2])
    assert against.ratios == [5.0]


def test_a_peer_that_saw_nobody_gets_no_ratio() -> None:
    ours, theirs = (
        make_run(OURS, [[1.0, 1.0]], [[FACE], [FACE]]),
        make_run(PEERS[0], [[1.0, 1.0]], [[], []]),
    )
    clip = ClipResult("clip", [ours, theirs])
    assert clip.against(theirs).ratios == []
    assert "no frame with the same face" in as_markdown([clip], {}, {})


def test_everybody_takes_part_or_is_named_with_the_reason(tmp_path: Path) -> None:
    arguments = parse(["--weights", str(tmp_path), "--environments", str(tmp_path)])
    taking_part, refused = choose(arguments, tmp_path)
    assert list(taking_part) == [OURS]
    assert set(refused) == {peer.name for peer in PEERS}
    assert all(refused.values())
    assert "face_landmarker.task is not under" in refused["mediapipe_face_landmarker"]
    assert "make_environments dlib_landmarks" in refused["dlib_landmarks"]


def test_a_stand_in_is_named_as_one(tmp_path: Path) -> None:
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
    taking_part, _ = choose(parse([*options, "--stand-ins"]), made)
    peer = next(peer for peer in taking_part if peer is not OURS)
    assert peer.title.endswith("random weights")
    assert Path(taking_part[peer]["enet_b0_8_best_vgaf.onnx"]).parent == made


def test_the_stand_in_has_the_size_of_the_published_network(tmp_path: Path) -> None:
    """5,288,548 parameters (Tan and Le, 2019) less 1000 classes and half of the 42,016 of
    normalization, plus 8 classes.
    """
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from benchmarks.baselines.random_weights import write_stand_in

    write_stand_in(tmp_path / "b0.onnx", 8)
    model = onnx.load(tmp_path / "b0.onnx")
    wanted = 5_288_548 - 21_008 - 1281 * 1000 + 1281 * 8
    assert sum(int(np.prod(weight.dims)) for weight in model.graph.initializer) == wanted
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
            "ended with 1: no such model",
        ),
        ("print('{}')", "ended with 0: 'ms'"),
        ('print(\'{"ms": [1], "boxes": []}\')', "same frames"),
    ],
)
def test_a_peer_that_fails_says_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PeerError, match=message):
        run_once(script(tmp_path, text), Path(sys.executable), {}, [])


def test_ours_runs_and_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert set(found["not_run"]) == {peer.name for peer in PEERS}


def test_every_peer_that_can_run_has_its_script_and_pinned_versions() -> None:
    for peer in PEERS:
        assert peer.script.is_file() != bool(peer.unavailable_reason), peer.name
        assert all("==" in one for one in (*peer.requirements, *peer.alone)), peer.name
    assert (HERE / f"{OURS.name}.py").is_file()
    assert side_by_side.ENVIRONMENTS == make_environments.ENVIRONMENTS
