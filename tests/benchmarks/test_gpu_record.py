"""The GPU record reaches its end everywhere, and says of each part whether it ran."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from benchmarks.gpu.part import NotRunError, Session, require_gpu, run_part, sub_part  # noqa: E402
from benchmarks.gpu_record import PARTS, record, targets  # noqa: E402
from faceaffect.bundle import open_bundle  # noqa: E402


def has_gpu() -> bool:
    try:
        require_gpu()
    except NotRunError:
        return False
    return True


@pytest.mark.skipif(has_gpu(), reason="there is a GPU here: run `python -m benchmarks gpu`")
def test_without_a_gpu_every_part_says_why_not(trained: None, tmp_path: Path) -> None:
    file = tmp_path / "record.md"
    command = [sys.executable, "-m", "benchmarks", "gpu", "--record", str(file), "--repeats", "3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2])
    assert done.returncode == 0, done.stderr
    sections = file.read_text(encoding="utf-8").split("\n## ")[1:]
    titles = [section.partition("\n")[0] for section in sections]
    assert titles == ["Environment", *(title for title, _ in PARTS), "Targets"]
    for section in sections[1:-1]:
        assert "not run: " in section, section
        assert "has no attribute" not in section, section
        assert "No module named 'benchmarks" not in section, section
    assert sections[-1].count("not run") == 4
    assert "met" not in sections[-1]


def test_a_part_that_breaks_costs_no_other() -> None:
    def broken(_: Session) -> list[str]:
        raise ZeroDivisionError("a\nb")

    session = Session(None)  # type: ignore[arg-type]
    assert run_part("Part", broken, session) == ["## Part", "", "not run: ZeroDivisionError: a b", ""]
    assert sub_part("rival", lambda: broken(session)) == ["- rival: not run: a b"]


def test_targets_are_judged_by_the_figures() -> None:
    figures = {"whole 640x360 1 graph": 200.0, "PyTorch eager": 500.0, "stage network": 130.0}
    figures["floor share: BGR 112 px, face of scale 1.0"] = 1.4
    lines = targets(Session(None, figures=figures))  # type: ignore[arg-type]
    assert [line.split("|")[-2].strip() for line in lines[2:]] == ["met", "met", "missed", "met"]


def test_the_rival_network_is_the_network(trained: None) -> None:
    """A wrong rival would flatter us."""
    from benchmarks.gpu.engine_part import torch_difference

    assert torch_difference(open_bundle(), "cpu") < 1e-4


def test_an_unknown_operator_is_refused() -> None:
    from onnx import TensorProto, helper

    from benchmarks.gpu.torch_network import TorchNetwork

    value = helper.make_tensor_value_info("crops", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Det", ["crops"], ["d"])], "g", [value], [value])
    with pytest.raises(ValueError, match="the operator Det"):
        TorchNetwork(helper.make_model(graph).SerializeToString())


def test_record_is_importable() -> None:
    assert callable(record)
