"""The GPU record is complete everywhere, and tells of each part whether it ran."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import gpu_record
from benchmarks.gpu.part import NotRunError, Session, require_gpu, run_part, run_section
from benchmarks.gpu_record import PARTS, RecordPart, record, run_process, targets
from faceaffect.bundle.bundle import open_bundle

pytestmark = pytest.mark.train


REQUIRES = ("torch",)


def has_gpu() -> bool:
    try:
        require_gpu()
    except NotRunError:
        return False
    return True


@pytest.mark.skipif(has_gpu(), reason="there is a GPU here: run `python -m benchmarks gpu`")
def test_record_without_gpu_has_a_reason_for_every_part(trained: None, tmp_path: Path) -> None:
    file = tmp_path / "record.md"
    gpu_record.main(["--record", str(file), "--repeats", "3"])
    sections = file.read_text(encoding="utf-8").split("\n## ")[1:]
    titles = [section.partition("\n")[0] for section in sections]
    assert titles == [*(part.title for part in PARTS), "Targets"]
    assert "- processor: " in sections[0]
    assert "- GPU: none: " in sections[0]
    for section in sections[1:-1]:
        assert "not run: " in section, section
        assert "has no attribute" not in section, section
        assert "No module named 'benchmarks" not in section, section
        assert "ended by" not in section, section
    assert sections[-1].count("not run") == 4
    assert "met" not in sections[-1]
    assert "interrupted" not in sections[-1]


def child(code: str) -> list[str]:
    return [sys.executable, "-c", f"import os, time; print('first row', flush=True); {code}"]


@pytest.mark.parametrize(
    ("code", "timeout_s", "last"),
    [
        ("print('second row')", 30, "second row"),
        ("os.abort()", 30, "not run: ended by SIGABRT: no message"),
        (
            "raise SystemExit('the driver is gone')",
            30,
            "not run: ended by exit code 1: the driver is gone",
        ),
        ("os.system('sleep 60')", 6, "not run: timeout after 6 s"),
    ],
)
def test_run_process_that_dies_keeps_its_lines(code: str, timeout_s: float, last: str) -> None:
    assert list(run_process(child(code), timeout_s)) == ["first row", last]


def test_record_is_written_after_every_part_and_keeps_time_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interrupted run leaves the parts before."""

    def apart(command: list[str], timeout_s: float) -> Iterator[str]:
        yield f"{command[3]} within {timeout_s:.0f} s"

    written: list[str] = []
    monkeypatch.setattr(gpu_record, "run_process", apart)
    parts = (RecordPart("One", "a.b", 7), RecordPart("Two", "c.d", 900))
    text = record(["--repeats", "3"], 1, written.append, parts)
    assert "## One\n\na.b within 7 s\n" in written[0]
    assert written[0].endswith("The run was interrupted here.\n")
    assert "c.d within 60 s" in written[1]
    assert written[-1] == text
    assert "interrupted" not in text
    assert "## Two" in capsys.readouterr().out
    assert "not run: no time left of 0.05 minutes" in record([], 0.05, written.append, parts)


def run_parts(
    monkeypatch: pytest.MonkeyPatch,
    state: Path,
    broken: set[str],
    *,
    gpu: str = "H100",
    commit: str = "abc",
    options: str = "3",
) -> tuple[list[str], str]:
    """Run with parts of which `broken` die; returns those that ran, and the record."""
    ran: list[str] = []

    def apart(command: list[str], timeout_s: float) -> Iterator[str]:
        where, state = command[3], Path(command[command.index("--results") + 1])
        ran.append(where)
        found = json.loads(state.read_text()) if state.is_file() else {"metrics": {}, "notes": {}}
        found["metrics"][where] = float(len(ran))
        found["notes"] |= {"gpu": gpu, "commit": commit}
        state.write_text(json.dumps(found))
        yield f"row of {where}"
        if where in broken:
            yield "not run: ended by SIGKILL: no message"

    monkeypatch.setattr(gpu_record, "run_process", apart)
    parts = (
        RecordPart(gpu_record.ENVIRONMENT, "first", 7),
        RecordPart("One", "one", 7),
        RecordPart("Two", "two", 7),
    )
    text = record(["--repeats", options], 1, lambda _: None, parts, state_file=state, resume=True)
    return ran, text


def test_record_with_resume_runs_unfinished_parts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state = tmp_path / "record.json"
    assert run_parts(monkeypatch, state, {"one"})[0] == ["first", "one", "two"]
    ran, text = run_parts(monkeypatch, state, set(), commit="def")
    assert ran == ["first", "one"]
    assert "row of two\n- kept from an earlier run, commit abc\n" in text
    assert "SIGKILL" not in text
    assert set(json.loads(state.read_text())["metrics"]) == {"first", "one", "two"}, (
        "targets need those of all parts"
    )
    assert (
        run_parts(monkeypatch, state, set(), commit="fed")[1].count(
            "kept from an earlier run, commit abc"
        )
        == 1
    )


@pytest.mark.parametrize("other", [{"gpu": "Orin"}, {"options": "300"}])
def test_record_with_resume_of_other_gpu_or_options_starts_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: dict[str, str]
) -> None:
    state = tmp_path / "record.json"
    run_parts(monkeypatch, state, set())
    ran, text = run_parts(monkeypatch, state, set(), **other)
    assert ran == ["first", "one", "two"]
    assert "- ignored: an earlier run of another kind (H100, --repeats, 3)" in text


@pytest.mark.parametrize(
    "damage", ["", "{}", "[]", '{"sections": 3, "metrics": {}, "notes": {}, "options": []}']
)
def test_record_with_damaged_state_starts_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: str
) -> None:
    state = tmp_path / "record.json"
    state.write_text(damage)
    assert run_parts(monkeypatch, state, set())[0] == ["first", "one", "two"]


def test_run_part_with_error_emits_it_as_last_line() -> None:
    def broken(_: Session) -> Iterator[str]:
        yield "row"
        raise ZeroDivisionError("a\nb")

    session, said = Session(None), list[str]()  # type: ignore[arg-type]
    run_part(broken, session, said.append)
    assert said == ["row", "not run: ZeroDivisionError: a b"]
    assert run_section("baseline", lambda: list(broken(session))) == ["- baseline: not run: a b"]


def test_targets_compare_metrics_with_limits() -> None:
    metrics = {"latency 640x360 1 graph": 200.0, "PyTorch eager": 500.0, "stage network": 130.0}
    metrics["times the floor: BGR 112 px, face of scale 1.0"] = 1.4
    cells = [[cell.strip() for cell in line.split("|")] for line in targets(metrics)[2:]]
    assert [row[-2] for row in cells] == ["met", "met", "missed", "met"]
    assert [row[3:5] for row in cells] == [
        ["200.0", "0.67"],
        ["35.0", "0.88"],
        ["2.5", "0.83"],
        ["1.4", "0.93"],
    ]


def test_torch_network_matches_onnx_runtime(trained: None) -> None:
    """A wrong baseline would make the results look better than they are."""
    from benchmarks.gpu.bench_engine import torch_difference

    assert torch_difference(open_bundle(), "cpu") < 1e-4


def test_torch_network_with_unknown_operator_raises() -> None:
    from onnx import TensorProto, helper

    from benchmarks.gpu.torch_network import TorchNetwork

    value = helper.make_tensor_value_info("crops", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Det", ["crops"], ["d"])], "g", [value], [value])
    with pytest.raises(ValueError, match=r"expected operators .* got Det"):
        TorchNetwork(helper.make_model(graph).SerializeToString())


def test_record_of_one_group_keeps_the_parts_of_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The call that brings TensorRT continues the record of the one without."""

    def run(command: list[str], timeout_s: float) -> Iterator[str]:
        yield f"{command[3]} ran"

    monkeypatch.setattr(gpu_record, "run_process", run)
    parts = (
        RecordPart(gpu_record.ENVIRONMENT, "environment", 7),
        RecordPart("One", "one", 7),
        RecordPart("Two", "two", 7, gpu_record.TENSORRT),
    )
    file = tmp_path / "record.json"
    first = record([], 1, lambda _: None, parts, state_file=file, group=gpu_record.KERNELS)
    assert "one ran" in first
    assert "not run: part of the group tensorrt" in first
    second = record(
        [], 1, lambda _: None, parts, state_file=file, resume=True, group=gpu_record.TENSORRT
    )
    assert "one ran" in second
    assert "two ran" in second


def test_parts_without_tensorrt_fit_one_call_of_ten_minutes() -> None:
    """Not all reach their limit; the first ones, which matter most, fit even then."""
    limits = [part.timeout_s for part in PARTS if part.group == gpu_record.KERNELS]
    assert sum(limits[:6]) <= 6 * 60
    groups = [part.group for part in PARTS]
    assert groups == sorted(groups), "kernels first, since they need no other package"


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.function)
def test_part_function_exists(part: RecordPart) -> None:
    from benchmarks.gpu.__main__ import find_part

    assert callable(find_part(part.function))
