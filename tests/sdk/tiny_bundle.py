"""A small valid model bundle, built with `onnx` alone.

Its heads are linear functions of the crop's mean. A crop brighter than about gray 64 is a face,
whose landmarks are those of the template.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from faceaffect.bundle.bundle import GRAPH_FILE, MODEL_FILE
from faceaffect.bundle.fp16_delta import FP16_DELTA_FILE
from faceaffect.bundle.int8_delta import INT8_CPU_DELTA_FILE
from faceaffect.bundle.model_spec import HEADS, PRECISIONS, CropSpec, ModelSpec
from faceaffect.geometry import CANONICAL_KEYPOINTS_XY, TEMPLATE_SIZE_PX
from faceaffect.kernels import GcnWeights
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import FloatArray

NODE_WIDTH = 4


def face_shape() -> FloatArray:
    """Landmarks [68, 2] in a 112 px crop, with the keypoints of the template."""
    shape = np.empty((68, 2), np.float32)
    angle = np.linspace(np.pi, 0, 17)
    shape[:17] = np.stack([56 + 40 * np.cos(angle), 45 + 60 * np.sin(angle)], axis=1)
    shape[17:27] = np.stack([np.linspace(24, 88, 10), np.full(10, 30.0)], axis=1)
    shape[27:36] = [
        [56, 40],
        [56, 47],
        [56, 54],
        [56, 61.5],
        [48, 66],
        [52, 67],
        [56, 68],
        [60, 67],
        [64, 66],
    ]
    ring = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    for start, center in ((36, CANONICAL_KEYPOINTS_XY[0]), (42, CANONICAL_KEYPOINTS_XY[1])):
        shape[start : start + 6] = center + np.stack([6 * np.cos(ring), 3 * np.sin(ring)], axis=1)
    mouth = np.linspace(np.pi, 3 * np.pi, 20, endpoint=False)
    shape[48:68] = np.stack([56 + 12 * np.cos(mouth), 82.5 + 7 * np.sin(mouth)], axis=1)
    shape[[30, 48, 54]] = CANONICAL_KEYPOINTS_XY[2:]
    return shape


def write_tiny_bundle(
    folder: Path, *, size_px: int = 112, omit_head: str = "", node_width: int = NODE_WIDTH
) -> Path:
    """Write the bundle to `folder`; `omit_head` names a head that the network lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_network(size_px, omit_head, node_width), str(folder / MODEL_FILE))
    random = np.random.default_rng(1)
    GcnWeights(
        adjacency=np.full((12, 12), 1 / 12, np.float32),
        layer_weights=(random.normal(size=(NODE_WIDTH, NODE_WIDTH)).astype(np.float32),),
        layer_biases=(np.zeros(NODE_WIDTH, np.float32),),
        readout_weight=random.normal(size=(12, NODE_WIDTH)).astype(np.float32),
        readout_bias=np.zeros(12, np.float32),
    ).to_safetensors(folder / GRAPH_FILE)
    tiny_spec(size_px).save(folder)
    seal(folder)
    return folder


def tiny_spec(size_px: int = 112) -> ModelSpec:
    crop = CropSpec(size_px, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return ModelSpec("tiny", "Apache-2.0", crop, AU_NAMES, EXPRESSION_NAMES, (0.5,) * 12, {"": ""})


def seal(folder: Path) -> None:
    """Update the checksums in the spec of `folder`."""
    optional = (*PRECISIONS.values(), FP16_DELTA_FILE, INT8_CPU_DELTA_FILE)
    others = [name for name in optional if name != MODEL_FILE and (folder / name).is_file()]
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in (MODEL_FILE, GRAPH_FILE, *others)
    }
    replace(ModelSpec.load(folder), files=files).save(folder)


def _network(size_px: int, omit_head: str, node_width: int) -> onnx.ModelProto:
    nodes = [helper.make_node("ReduceMean", ["crops"], ["mean"], axes=[1, 2, 3], keepdims=0)]
    constants: list[Any] = []
    outputs: list[Any] = []
    for name, (slope, offset) in _heads(size_px, node_width).items():
        if name == omit_head:
            continue
        axes = list(range(1, offset.ndim + 1))
        constants += [
            numpy_helper.from_array(slope, f"{name}_slope"),
            numpy_helper.from_array(offset, f"{name}_offset"),
        ]
        column = "mean"
        if axes:
            column = f"{name}_mean"
            nodes.append(helper.make_node("Unsqueeze", ["mean"], [column], axes=axes))
        nodes.append(helper.make_node("Mul", [column, f"{name}_slope"], [f"{name}_scaled"]))
        nodes.append(helper.make_node("Add", [f"{name}_scaled", f"{name}_offset"], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *offset.shape]))
    crops = helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["N", 3, size_px, size_px])
    graph = helper.make_graph(nodes, "tiny", [crops], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    onnx.checker.check_model(model)
    return model


def _heads(size_px: int, node_width: int) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Slope and offset of each head over the mean value of the normalized crop."""
    shapes = {
        name: [node_width if side == "D" else int(side) for side in shape]
        for name, shape in HEADS.items()
    }
    heads = {
        name: (np.ones(shape, np.float32), np.zeros(shape, np.float32))
        for name, shape in shapes.items()
    }
    heads["face_logit"] = (np.float32(8).reshape(()), np.float32(8).reshape(()))
    landmarks = (face_shape() + 0.5) * np.float32(size_px / TEMPLATE_SIZE_PX) - 0.5
    heads["landmarks_px"] = (np.zeros((68, 2), np.float32), landmarks.astype(np.float32))
    heads["pose_deg"] = (np.zeros(3, np.float32), np.array([10, -5, 2], np.float32))
    heads["expression_logit"] = (np.ones(7, np.float32), np.arange(7, dtype=np.float32))
    return heads
