"""Hostile ONNX files and bundles, built with `onnx`; each has right checksums."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from faceaffect.bundle.bundle import MODEL_FILE
from tests.sdk.tiny_bundle import seal, write_tiny_bundle

Change = Callable[[onnx.ModelProto], None]


def hostile_bundle(folder: Path, change: Change) -> Path:
    """Write a bundle whose network was changed, with checksums that hold."""
    write_tiny_bundle(folder)
    model = onnx.load(str(folder / MODEL_FILE))
    change(model)
    (folder / MODEL_FILE).write_bytes(model.SerializeToString())
    seal(folder)
    return folder


def external_tensor(location: str, name: str = "stolen") -> TensorProto:
    """A tensor whose values are the bytes of a file."""
    tensor = TensorProto(name=name, data_type=TensorProto.UINT8, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "3")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def external_initializer(location: str) -> Change:
    return lambda model: model.graph.initializer.append(external_tensor(location))


def external_attribute(location: str) -> Change:
    return lambda model: model.graph.node.append(
        helper.make_node("Constant", [], ["stolen"], value=external_tensor(location))
    )


def external_in_subgraph(location: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        output = helper.make_tensor_value_info("stolen", TensorProto.UINT8, [3])
        branch = helper.make_graph([], "branch", [], [output], [external_tensor(location)])
        model.graph.node.append(
            helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
        )

    return change


def external_in_function(location: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        node = helper.make_node("Constant", [], ["y"], value=external_tensor(location))
        opset = [helper.make_opsetid("", 17)]
        model.functions.append(helper.make_function("own", "f", [], ["y"], [node], opset))

    return change


def external_in_sparse(location: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        sparse = model.graph.sparse_initializer.add()
        sparse.values.CopyFrom(external_tensor(location, "values"))
        sparse.indices.CopyFrom(external_tensor(location, "indices"))
        sparse.dims.append(9)

    return change


def external_without_flag(location: str) -> Change:
    """`external_data` alone, as a reader that looks only at it would take it."""

    def change(model: onnx.ModelProto) -> None:
        tensor = external_tensor(location)
        tensor.ClearField("data_location")
        model.graph.initializer.append(tensor)

    return change


def endless_loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, [])],
    )
    count = helper.make_tensor("count", TensorProto.INT64, [], [1 << 62])
    model.graph.initializer.append(count)
    model.graph.node.append(helper.make_node("Loop", ["count", ""], [], body=body))


def operator(op_type: str, domain: str = "") -> Change:
    return lambda model: model.graph.node.append(
        helper.make_node(op_type, ["crops"], ["extra"], domain=domain)
    )


def training_step(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.name = "step"


def too_many_operators(model: onnx.ModelProto) -> None:
    node = helper.make_node("Identity", ["crops"], [""])
    model.graph.node.extend([node] * 20_001)


def memory_bomb(n_bytes: int) -> onnx.ModelProto:
    """A plain network of permitted operators that asks for `n_bytes` when it runs."""
    nodes = [
        helper.make_node("Shape", ["x"], ["one"]),
        helper.make_node("Mul", ["one", "size"], ["sizes"]),
        helper.make_node("ConstantOfShape", ["sizes"], ["filled"]),
        helper.make_node("ReduceMax", ["filled"], ["y"], keepdims=0),
    ]
    size = helper.make_tensor("size", TensorProto.INT64, [1], [n_bytes // 4])
    graph = helper.make_graph(
        nodes,
        "bomb",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
        [size],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def constant_bomb(n_bytes: int) -> onnx.ModelProto:
    """As `memory_bomb`, but of constants alone: a runtime may compute it while loading."""
    model = memory_bomb(n_bytes)
    del model.graph.node[:2]
    model.graph.node[0].input[0] = "size"
    model.graph.node.append(helper.make_node("Identity", ["x"], ["same"]))
    model.graph.output.append(helper.make_tensor_value_info("same", TensorProto.FLOAT, ["N"]))
    return model
