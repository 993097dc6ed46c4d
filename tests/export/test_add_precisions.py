"""Conversion of the shipped network to other precisions: converted nodes, and errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnxruntime.quantization import QuantType

from export import add_precisions
from export.calibration_images import faces_in_images
from export.merge_graph_layer import (
    PLUGIN_DOMAIN,
    merge_graph_layer,
    merge_graph_plugin,
    write_triton_repository,
)
from export.onnx_graph import (
    head_output_nodes,
    large_linear_layers,
    normalize_graph,
    toposort,
    trunk_convolutions,
)
from export.quantization_error import quantization_error, run_network
from export.quantize import _quantize, fp16_delta, to_fp16, to_int8, to_int8_cpu
from faceaffect import kernels
from faceaffect.backends import open_backend
from faceaffect.bundle.bundle import CARD_FILE, SHIPPED_MODELS_DIR, Bundle, model_bytes, open_bundle
from faceaffect.bundle.model_spec import HEADS, INT8_CPU, PRECISIONS, BundleError
from faceaffect.detectors.mtcnn import MTCNNDetector
from faceaffect.geometry import estimate_crop_to_frame
from faceaffect.sources.open_source import open_source
from tests.sdk.backends.test_tensorrt_types import build_with_rtx, rtx_environment

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def bundle(trained: None) -> Bundle:
    return open_bundle()


@pytest.fixture(scope="module")
def faces(shared: Path, bundle: Bundle) -> np.ndarray:
    """72 crops of a smiling face, aligned as in its first frame, with jitter."""
    crop, random = bundle.spec.crop, np.random.default_rng(0)
    with open_source(shared / "data/videos/pyfeat_single_face_smile.mp4") as source:
        frames = list(source)
    keypoints = MTCNNDetector(40).detect(frames[0]).keypoints_xy[:1]
    crops = []
    for frame in frames:
        maps = estimate_crop_to_frame(keypoints + random.normal(0, 4, (1, 1, 2)).astype(np.float32))
        crops.append(
            kernels.crop_face(frame, maps, size_px=crop.size_px, mean=crop.mean, std=crop.std)
        )
    return np.concatenate(crops)


@pytest.fixture(scope="module")
def int8(bundle: Bundle, faces: np.ndarray) -> bytes:
    return to_int8(bundle.onnx, faces[::2])


def test_graph_queries_find_trunk_heads_and_large_layers(bundle: Bundle) -> None:
    model = normalize_graph(onnx.load_from_string(bundle.onnx))
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    trunk = trunk_convolutions(model)
    assert trunk == [name for name in convolutions if "trunk" in name], (
        "names of the exporter, for this check only"
    )
    assert len(convolutions) > len(trunk) > 10
    ends = {
        node.name: node.op_type
        for node in model.graph.node
        if node.name in head_output_nodes(model, HEADS)
    }
    assert list(ends.values()).count("Conv") == 0
    assert list(ends.values()).count("Gemm") >= 6
    large = {
        "geometry": "hidden",
        "affect": "va_hidden",
    }  # 1568 x 192 and 1088 x 128; the next has 49 thousand weights
    assert [name.split("/")[2:4] for name in large_linear_layers(model)] == [
        [part, layer] for part, layer in sorted(large.items())
    ]


def test_toposort_sorts_and_removes_duplicates(bundle: Bundle) -> None:
    model = normalize_graph(onnx.load_from_string(bundle.onnx))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*reversed(nodes), nodes[3]])
    fixed = toposort(model)
    onnx.checker.check_model(fixed, full_check=True)
    assert len(fixed.graph.node) == len(nodes)
    model.graph.input[0].name = "something else"
    with pytest.raises(ValueError, match="a cycle or missing input"):
        toposort(model)


def test_to_fp16_keeps_outputs_and_interface(bundle: Bundle, faces: np.ndarray) -> None:
    converted = to_fp16(bundle.onnx)
    model = onnx.load_from_string(converted)
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    assert {output.type.tensor_type.elem_type for output in model.graph.output} == {
        onnx.TensorProto.FLOAT
    }
    assert len(converted) < 0.6 * len(bundle.onnx)
    error = quantization_error(bundle, converted, faces)
    assert error["AU probability, largest difference"] < 0.02
    assert error["landmarks, largest shift, crop px"] < 0.02, "float16 has steps of 1/16 px"
    assert error["valence, CCC with float32"] > 0.995


def test_to_int8_cpu_error_is_below_to_int8(bundle: Bundle, faces: np.ndarray, int8: bytes) -> None:
    converted = to_int8_cpu(bundle.onnx, faces[::2])
    model = onnx.load_from_string(converted)
    zero_points = [
        onnx.numpy_helper.to_array(t) for t in model.graph.initializer if "zero_point" in t.name
    ]
    assert {values.dtype for values in zero_points} >= {np.dtype(np.uint8), np.dtype(np.int8)}
    assert len(converted) < 0.45 * len(bundle.onnx), "the large linear layers are int8 too"
    producers = {output: node.op_type for node in model.graph.node for output in node.output}
    linear = [
        node.name
        for node in model.graph.node
        if node.op_type == "Gemm" and producers.get(node.input[1]) == "DequantizeLinear"
    ]
    assert sorted(linear) == sorted(
        large_linear_layers(normalize_graph(onnx.load_from_string(bundle.onnx)))
    )
    unsigned = quantization_error(bundle, converted, faces)
    signed = quantization_error(bundle, int8, faces)
    shift = "landmarks, mean shift, crop px"
    assert (
        unsigned["AU probability, mean difference"] < signed["AU probability, mean difference"]
    ), "twice the levels"
    assert unsigned[shift] < 2 * signed[shift], (
        "`to_int8` leaves the linear layer and the outputs of convolutions as they are"
    )
    assert unsigned[shift] < 0.15
    assert unsigned["AU decisions that change"] < 0.02


def test_to_int8_quantizes_the_trunk_only(bundle: Bundle, int8: bytes) -> None:
    model = onnx.load_from_string(int8)
    producers = {output: node for node in model.graph.node for output in node.output}
    trunk = trunk_convolutions(normalize_graph(onnx.load_from_string(bundle.onnx)))
    from_int8 = [
        node.name
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm", "MatMul")
        and all(
            name in producers and producers[name].op_type == "DequantizeLinear"
            for name in node.input[:2]
        )
    ]
    assert from_int8 == trunk[1:], "the first convolution reads the image and stays float32"
    convolutions = {node.output[0] for node in model.graph.node if node.op_type == "Conv"}
    quantized = [node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert not convolutions.intersection(quantized), "nothing between a convolution and its ReLU"
    zero_points = [
        onnx.numpy_helper.to_array(t) for t in model.graph.initializer if "zero_point" in t.name
    ]
    assert zero_points
    assert all((values == 0).all() and values.dtype == np.int8 for values in zero_points), (
        "TensorRT requires symmetric scales"
    )
    convolution = next(node for node in model.graph.node if node.name == trunk[1])
    assert convolution.input[2] not in producers, "biases stay float32"


def test_to_int8_error_is_small(bundle: Bundle, int8: bytes, faces: np.ndarray) -> None:
    error = quantization_error(
        bundle, int8, faces[1::2], (np.arange(36 * 12).reshape(36, 12) % 5 == 0).astype(np.float32)
    )
    assert 0 < error["AU probability, mean difference"] < 0.03
    assert error["AU decisions that change"] < 0.05
    assert error["landmarks, mean shift, crop px"] < 1
    assert 0 <= error["mean AU F1"] <= 1
    assert (
        quantization_error(bundle, bundle.onnx, faces[:8])["AU probability, largest difference"]
        == 0
    )


def test_to_int8_error_is_below_that_with_quantized_outputs(
    bundle: Bundle, int8: bytes, faces: np.ndarray
) -> None:
    model = normalize_graph(onnx.load_from_string(bundle.onnx))
    options = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
    trunk = trunk_convolutions(model)
    outputs_too = _quantize(model, faces[::2], trunk, QuantType.QInt8, options)
    before, after = (quantization_error(bundle, one, faces[1::2]) for one in (outputs_too, int8))
    for metric in (
        "AU probability, mean difference",
        "valence and arousal, mean difference",
        "landmarks, mean shift, crop px",
        "pose, mean difference, degrees",
    ):
        assert after[metric] < 0.9 * before[metric], metric


def test_to_int8_with_too_few_faces_raises(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="at least 32 faces, got 3; give more images"):
        to_int8(bundle.onnx, np.zeros((3, 3, 112, 112), np.float32))


def test_faces_in_images_of_group_image(shared: Path, bundle: Bundle) -> None:
    image = str(shared / "data/videos/pyfeat_multi_face.jpg")
    crops = faces_in_images(image, bundle.spec.crop, 4)
    assert crops.shape == (4, 3, 112, 112)
    assert (run_network(bundle.onnx, crops)["face_logit"] > 0).sum() >= 3


def test_shipped_fp16_network_matches_shipped_fp32(bundle: Bundle) -> None:
    """`write_bundle` and the command both store it as a small delta."""
    half = model_bytes(bundle, "fp16")
    assert half == to_fp16(bundle.onnx), (
        "the fp32 network changed: run `python -m export.add_precisions`"
    )
    assert len(bundle.deltas["fp16"]) < 0.2 * len(half)
    assert fp16_delta(bundle.onnx, half) == bundle.deltas["fp16"]


def test_add_precisions_command_adds_networks(
    bundle: Bundle, faces: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(SHIPPED_MODELS_DIR / "default", folder)
    with pytest.raises(
        BundleError,
        match=r"got none; .*`python -m export.add_precisions .* --precision int8",
    ):
        model_bytes(open_bundle(folder), "int8")
    monkeypatch.setattr(
        add_precisions, "faces_in_images", lambda source, crop, max_faces: faces[:max_faces]
    )
    done = CliRunner().invoke(
        add_precisions.main, [str(folder), "--faces", "clip.mp4", "--max-faces", "64"]
    )
    assert done.exit_code == 0, done.output
    assert "AU decisions that change" in done.output
    again = open_bundle(folder)
    assert (set(again.networks), set(again.deltas)) == ({"int8"}, {"fp16", INT8_CPU})
    card = (folder / CARD_FILE).read_text(encoding="utf-8")
    assert "| | fp16 | int8 | int8-cpu |" in card
    add_precisions.write_quantization_section(
        folder, {INT8_CPU: {"AU decisions that change": 0.25}}, 32
    )
    card = (folder / CARD_FILE).read_text(encoding="utf-8")
    assert card.count("## Other precisions") == 1, "only the section is replaced"
    assert card.startswith(
        (SHIPPED_MODELS_DIR / "default" / CARD_FILE).read_text(encoding="utf-8")[:200]
    )
    assert "| AU decisions that change | 0.2500 |" in card
    assert "fp16 |" not in card.partition("## Other precisions")[2]
    assert model_bytes(again, "fp16") == model_bytes(bundle, "fp16")
    assert again.onnx == bundle.onnx
    assert CliRunner().invoke(add_precisions.main, [str(folder)]).exit_code == 2
    (folder / PRECISIONS["int8"]).write_bytes(b"damaged")
    with pytest.raises(BundleError, match="SHA-256"):
        open_bundle(folder)


def test_merge_graph_layer_matches_network_and_graph_layer(bundle: Bundle) -> None:
    import onnxruntime

    crops = np.random.default_rng(0).standard_normal((3, 3, 112, 112)).astype(np.float32)
    heads = open_backend("onnx", bundle).infer(crops)
    session = onnxruntime.InferenceSession(
        merge_graph_layer(bundle.onnx, bundle.graph), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    assert set(names) == (HEADS.keys() - {"au_nodes"}) | {"au_logit"}
    answer = dict(zip(names, session.run(names, {"crops": crops}), strict=True))
    np.testing.assert_allclose(
        answer["au_logit"], kernels.au_gcn(heads["au_nodes"], bundle.graph), atol=2e-4, rtol=1e-4
    )
    np.testing.assert_allclose(answer["landmarks_px"], heads["landmarks_px"], atol=1e-3)


def test_merge_graph_plugin_node_holds_graph_layer(bundle: Bundle) -> None:
    model = onnx.load_from_string(merge_graph_plugin(bundle.onnx, bundle.graph))
    (node,) = [node for node in model.graph.node if node.domain == PLUGIN_DOMAIN]
    attributes = {
        attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute
    }
    assert (node.op_type, attributes["plugin_version"], attributes["plugin_namespace"]) == (
        "FaceaffectAuGraph",
        b"1",
        b"",
    )
    assert (list(node.input), list(node.output)) == (["au_nodes"], ["au_logit"])
    assert attributes["widths"] == list(bundle.graph.packed.widths)
    np.testing.assert_array_equal(
        np.array(attributes["weights"], np.float32), bundle.graph.packed.flat()
    )
    assert {output.name for output in model.graph.output} == (HEADS.keys() - {"au_nodes"}) | {
        "au_logit"
    }
    header = (
        Path(__file__).resolve().parents[2] / "csrc/tensorrt_plugin/au_gcn_plugin.h"
    ).read_text(encoding="utf-8")
    assert f'kPluginName = "{node.op_type}"' in header
    assert 'kPluginVersion = "1"' in header


def test_write_triton_repository_describes_all_outputs(bundle: Bundle, tmp_path: Path) -> None:
    model = write_triton_repository(bundle, tmp_path)
    assert model.name == "faceaffect_default"
    written = onnx.load(model / "1" / "model.onnx")
    config = (model / "config.pbtxt").read_text(encoding="utf-8")
    for output in written.graph.output:
        assert f'name: "{output.name}"' in config
    assert "dims: [ 3, 112, 112 ]" in config
    assert 'name: "face_logit" data_type: TYPE_FP32 dims: [ 1 ] reshape: { shape: [ ] }' in config
    assert run_network(bundle.onnx, np.zeros((2, 3, 112, 112), np.float32))["face_logit"].shape == (
        2,
    )
    assert config.count("{") == config.count("}")


@pytest.mark.parametrize("variant", ["fp16", "int8", "merged", "merged fp16"])
def test_exported_networks_build_with_tensorrt_for_rtx(
    bundle: Bundle, variant: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rtx_environment()
    if variant == "int8":
        content = request.getfixturevalue("int8")
    else:
        content = to_fp16(bundle.onnx) if "fp16" in variant else bundle.onnx
        content = merge_graph_layer(content, bundle.graph) if "merged" in variant else content
    file = tmp_path / "network.onnx"
    file.write_bytes(content)
    done = build_with_rtx(file, variant.split()[-1])
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1])["bytes"] > 100_000
