"""The GPU record reaches its end everywhere, and says of each part whether it ran."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import gpu_record
from benchmarks.gpu.__main__ import find_part
from benchmarks.gpu.part import NotRunError, Session, require_gpu, run_part, sub_part
from benchmarks.gpu_record import PARTS, PartOfRecord, record, run_apart, targets
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
def test_without_a_gpu_every_part_says_why_not(trained: None, tmp_path: Path) -> None:
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
    assert "cut off" not in sections[-1]


def child(code: str) -> list[str]:
    return [sys.executable, "-c", f"import os, time; print('first row', flush=True); {code}"]


@pytest.mark.parametrize(
    ("code", "longest_s", "last"),
    [
        ("print('second row')", 30, "second row"),
        ("os.abort()", 30, "not run: ended by SIGABRT: no words"),
        (
            "raise SystemExit('the driver is gone')",
            30,
            "not run: ended by exit code 1: the driver is gone",
        ),
        ("os.system('sleep 60')", 6, "not run: ended after 6 s, unfinished"),
    ],
)
def test_part_that_crashes_keeps_its_lines(code: str, longest_s: float, last: str) -> None:
    assert list(run_apart(child(code), longest_s)) == ["first row", last]


def test_record_is_written_after_each_part_within_time_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines, crash and all: what a run that is cut off leaves behind."""

    def apart(command: list[str], longest_s: float) -> Iterator[str]:
        yield f"{command[3]} within {longest_s:.0f} s"

    written: list[str] = []
    monkeypatch.setattr(gpu_record, "run_apart", apart)
    parts = (PartOfRecord("One", "a.b", 7), PartOfRecord("Two", "c.d", 900))
    text = record(["--repeats", "3"], 1, written.append, parts)
    assert "## One\n\na.b within 7 s\n" in written[0]
    assert written[0].endswith("The run was cut off here.\n")
    assert "c.d within 60 s" in written[1]
    assert written[-1] == text
    assert "cut off" not in text
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
    """A run whose `broken` parts die; which parts ran, and the record."""
    ran: list[str] = []

    def apart(command: list[str], longest_s: float) -> Iterator[str]:
        where, learned = command[3], Path(command[command.index("--learned") + 1])
        ran.append(where)
        found = (
            json.loads(learned.read_text()) if learned.is_file() else {"figures": {}, "notes": {}}
        )
        found["figures"][where] = float(len(ran))
        found["notes"] |= {"gpu": gpu, "commit": commit}
        learned.write_text(json.dumps(found))
        yield f"row of {where}"
        if where in broken:
            yield "not run: ended by SIGKILL: no words"

    monkeypatch.setattr(gpu_record, "run_apart", apart)
    parts = (
        PartOfRecord(gpu_record.FIRST, "first", 7),
        PartOfRecord("One", "one", 7),
        PartOfRecord("Two", "two", 7),
    )
    text = record(["--repeats", options], 1, lambda _: None, parts, state=state, resume=True)
    return ran, text


def test_resume_runs_unfinished_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    state = tmp_path / "record.json"
    assert run_parts(monkeypatch, state, {"one"})[0] == ["first", "one", "two"]
    ran, text = run_parts(monkeypatch, state, set(), commit="def")
    assert ran == ["first", "one"]
    assert "row of two\n- kept from an earlier run, commit abc\n" in text
    assert "SIGKILL" not in text
    assert set(json.loads(state.read_text())["figures"]) == {"first", "one", "two"}, (
        "targets need those of all parts"
    )
    assert (
        run_parts(monkeypatch, state, set(), commit="fed")[1].count(
            "kept from an earlier run, commit abc"
        )
        == 1
    )


@pytest.mark.parametrize("other", [{"gpu": "Orin"}, {"options": "300"}])
def test_figures_of_two_gpus_or_settings_are_not_mixed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: dict[str, str]
) -> None:
    state = tmp_path / "record.json"
    run_parts(monkeypatch, state, set())
    ran, text = run_parts(monkeypatch, state, set(), **other)
    assert ran == ["first", "one", "two"]
    assert "- left out: an earlier run of another kind (H100, --repeats, 3)" in text


@pytest.mark.parametrize(
    "damage", ["", "{}", "[]", '{"sections": 3, "figures": {}, "notes": {}, "options": []}']
)
def test_state_of_damaged_file_is_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: str
) -> None:
    state = tmp_path / "record.json"
    state.write_text(damage)
    assert run_parts(monkeypatch, state, set())[0] == ["first", "one", "two"]


def test_sub_part_that_fails_keeps_other_parts() -> None:
    def broken(_: Session) -> Iterator[str]:
        yield "row"
        raise ZeroDivisionError("a\nb")

    session, said = Session(None), list[str]()  # type: ignore[arg-type]
    run_part(broken, session, said.append)
    assert said == ["row", "not run: ZeroDivisionError: a b"]
    assert sub_part("baseline", lambda: list(broken(session))) == ["- baseline: not run: a b"]


def test_targets_compare_figures_with_aims() -> None:
    figures = {"whole 640x360 1 graph": 200.0, "PyTorch eager": 500.0, "stage network": 130.0}
    figures["floor share: BGR 112 px, face of scale 1.0"] = 1.4
    cells = [[cell.strip() for cell in line.split("|")] for line in targets(figures)[2:]]
    assert [row[-2] for row in cells] == ["met", "met", "missed", "met"]
    assert [row[3:5] for row in cells] == [
        ["200.0", "0.67"],
        ["35.0", "0.88"],
        ["2.5", "0.83"],
        ["1.4", "0.93"],
    ]


def test_parts_of_record_exist() -> None:
    for part in PARTS:
        assert callable(find_part(part.where)), part.where


def test_torch_network_matches_onnx_runtime(trained: None) -> None:
    """A wrong baseline would be misleading."""
    from benchmarks.gpu.bench_engine import torch_difference

    assert torch_difference(open_bundle(), "cpu") < 1e-4


def test_torch_network_of_unknown_operator_raises() -> None:
    from onnx import TensorProto, helper

    from benchmarks.gpu.torch_network import TorchNetwork

    value = helper.make_tensor_value_info("crops", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Det", ["crops"], ["d"])], "g", [value], [value])
    with pytest.raises(ValueError, match="the operator Det"):
        TorchNetwork(helper.make_model(graph).SerializeToString())
