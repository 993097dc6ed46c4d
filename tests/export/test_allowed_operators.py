"""Every network that this project exports passes the check of bundles."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from export.write_method_bundle import export_stages
from faceaffect.bundle.bundle import SHIPPED_MODELS_DIR
from faceaffect.bundle.check_onnx import OPERATORS, check_onnx
from faceaffect.bundle.model_spec import BundleError
from tests.export.method_runs import network_with_distinct_outputs
from training.methods.recipe_lookup import RECIPES

pytestmark = pytest.mark.train


def operators(content: bytes) -> set[str]:
    return {node.op_type for node in onnx.load_from_string(content).graph.node}


@pytest.mark.parametrize("name", RECIPES)
def test_stages_of_method_use_allowed_operators(name: str) -> None:
    for stage, content in export_stages(network_with_distinct_outputs(name).eval()).items():
        assert operators(content) <= OPERATORS, stage
        check_onnx(content, stage)


@pytest.mark.parametrize("file", sorted(SHIPPED_MODELS_DIR.rglob("*.onnx")), ids=lambda p: p.name)
def test_shipped_network_uses_allowed_operators(file: Path) -> None:
    content = file.read_bytes()
    assert operators(content) <= OPERATORS
    check_onnx(content, file)


def test_network_with_control_flow_is_refused() -> None:
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    branch = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "b", [], sides[1:])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    model = helper.make_model(helper.make_graph([node], "g", sides[:1], sides[1:]))
    with pytest.raises(BundleError, match="'If'"):
        check_onnx(model.SerializeToString(), "branches.onnx")
