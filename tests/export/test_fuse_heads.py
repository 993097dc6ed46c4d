"""Fused heads: the same outputs from fewer operators, and from engines with fewer kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export import fuse_heads as module
from export.fuse_heads import TOLERANCE, fuse_heads, largest_difference
from export.merge_graph_layer import merge_graph_layer
from export.onnx_graph import head_output_nodes, normalize_graph, remove_cast_pairs, toposort
from export.quantization_error import run_network
from export.quantize import to_fp16, to_int8
from faceaffect.bundle.bundle import Bundle, open_bundle
from faceaffect.bundle.model_spec import HEADS
from tests.export.engine_kernels import engine_layers
from tests.sdk.tiny_bundle import write_tiny_bundle

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def bundle(trained: None) -> Bundle:
    return open_bundle()


@pytest.fixture(scope="module")
def fused(bundle: Bundle) -> bytes:
    return fuse_heads(bundle.onnx)


def test_fuse_heads_outputs_equal_the_network(bundle: Bundle, fused: bytes) -> None:
    crops = np.random.default_rng(7).normal(0, 1.5, (5, 3, 112, 112)).astype(np.float32)
    expected, actual = (run_network(network, crops) for network in (bundle.onnx, fused))
    for name in HEADS:
        np.testing.assert_allclose(actual[name], expected[name], rtol=TOLERANCE, atol=TOLERANCE)
    before, after = (onnx.load_from_string(one).graph for one in (bundle.onnx, fused))
    assert [output.name for output in after.output] == [output.name for output in before.output]
    kinds = [node.op_type for node in after.node]
    assert "Resize" not in kinds
    assert kinds.count("Gemm") == 5, "11 before"


def test_fuse_heads_of_other_networks_changes_nothing(tmp_path: Path) -> None:
    other = open_bundle(write_tiny_bundle(tmp_path, size_px=28)).onnx
    assert fuse_heads(other) is other


def test_fuse_heads_with_a_wrong_result_raises(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "largest_difference", lambda *_: float("nan"))
    with pytest.raises(ValueError, match="expected the outputs of the network within"):
        fuse_heads(bundle.onnx)


def test_largest_difference_sees_one_changed_bias(fused: bytes, bundle: Bundle) -> None:
    model = onnx.load_from_string(fused)
    (bias,) = [t for t in model.graph.initializer if t.name.endswith("geometry.bias")]
    values = numpy_helper.to_array(bias).copy()
    values[-1] += 0.01
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    assert largest_difference(bundle.onnx, model.SerializeToString()) > TOLERANCE


def test_to_fp16_does_not_round_final_layers(bundle: Bundle) -> None:
    """Converters add casts to float16 and back after each node that stays float32."""
    model = onnx.load_from_string(to_fp16(bundle.onnx))
    producers = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT:
            before = producers[node.input[0]]
            assert before.op_type != "Cast", node.output
    again = toposort(
        remove_cast_pairs(model, head_output_nodes(normalize_graph(model), ["landmarks_px"]))
    )
    assert len(again.graph.node) == len(model.graph.node), "nothing is left to remove"


@pytest.mark.parametrize(
    ("variant", "most"), [("fp16", 31), ("fp32 unfused", 41), ("merged fp16", 36)]
)
def test_engine_kernels_of_variant_are_at_most(
    bundle: Bundle, variant: str, most: int, tmp_path: Path
) -> None:
    """Numbers of TensorRT for RTX 1.7; the fp16 engine had 41 before its heads were fused."""
    network = bundle.onnx if "fp32" in variant else to_fp16(bundle.onnx)
    if "merged" in variant:
        network = merge_graph_layer(network, bundle.graph)
    layers = engine_layers(network, tmp_path)
    assert layers.kernels <= most, layers.counts
    if variant == "fp16":
        assert layers.synchronizations == 0, "one stream"
    assert not [name for name in layers.names if "Reformat" in name]


def test_engine_kernels_of_int8_are_at_most(bundle: Bundle, tmp_path: Path) -> None:
    """54 with quantized outputs; this builder runs the quantization of each input by itself."""
    crops = np.random.default_rng(0).standard_normal((32, 3, 112, 112)).astype(np.float32)
    assert engine_layers(to_int8(bundle.onnx, crops), tmp_path).kernels <= 44
