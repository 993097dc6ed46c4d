"""Queries and rewrites of ONNX graphs, by structure and not by node names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import onnx

_WEIGHTED: Final = ("Conv", "Gemm", "MatMul")

LARGE_LINEAR_WEIGHTS: Final = 100_000
"""Weights of a large linear layer: 0.4 MB in float32, of an L2 cache of 1 to 2 MB."""


def _ancestors(model: onnx.ModelProto, tensors: Iterable[str]) -> set[str]:
    """Names of all nodes that any of `tensors` depends on."""
    producers = {output: node for node in model.graph.node for output in node.output}
    ancestors: set[str] = set()
    pending = list(tensors)
    while pending:
        node = producers.get(pending.pop())
        if node is not None and node.name not in ancestors:
            ancestors.add(node.name)
            pending.extend(node.input)
    return ancestors


def trunk_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions that every output depends on: the trunk without the heads."""
    common = set.intersection(*(_ancestors(model, [output.name]) for output in model.graph.output))
    return [
        node.name for node in model.graph.node if node.op_type == "Conv" and node.name in common
    ]


def nodes_between(model: onnx.ModelProto, convolutions: list[str]) -> list[str]:
    """Names of activations and sums between these convolutions."""
    named = {node.name: node for node in model.graph.node}
    ancestors = _ancestors(model, [tensor for name in convolutions for tensor in named[name].input])
    return [
        name
        for name, node in named.items()
        if name in ancestors and node.op_type in ("Relu", "Add")
    ]


def large_linear_layers(model: onnx.ModelProto) -> list[str]:
    """Names of linear layers that are bound by reading their weights."""
    size = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Gemm" and size.get(node.input[1], 0) >= LARGE_LINEAR_WEIGHTS
    ]


def head_output_nodes(model: onnx.ModelProto, outputs: Iterable[str]) -> list[str]:
    """Names of the last weighted node of each of `outputs` and of all nodes after it."""
    producers = {output: node for node in model.graph.node for output in node.output}
    names: list[str] = []
    pending = list(outputs)
    while pending:
        node = producers.get(pending.pop())
        if node is None or node.name in names:
            continue
        names.append(node.name)
        if node.op_type not in _WEIGHTED:
            pending.extend(node.input)
    return names


def normalize_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a model with constants as initializers and a name for every node, as converters need."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    constants = [
        node
        for node in copy.graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    ]
    for node in constants:
        tensor = node.attribute[0].t
        tensor.name = node.output[0]
        copy.graph.initializer.append(tensor)
        copy.graph.node.remove(node)
    taken = {node.name for node in copy.graph.node}
    for i, node in enumerate(copy.graph.node):
        if not node.name:
            node.name = next(name for name in (f"node_{i}", f"node_{i}_") if name not in taken)
    return copy


def toposort(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a model with its nodes in topological order, as ONNX requires.

    Of several nodes with the same output only one is kept: converters write the same cast of a
    tensor once for each node that reads it.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    unique = {tuple(node.output): node for node in reversed(copy.graph.node)}
    ready = {tensor.name for tensor in (*copy.graph.initializer, *copy.graph.input)} | {""}
    pending = list(unique.values())[::-1]
    ordered = []
    while pending:
        runnable = [node for node in pending if ready.issuperset(node.input)]
        if not runnable:
            raise ValueError(
                f"expected an acyclic graph, got a cycle or missing input at {pending[0].name!r}"
            )
        ordered += runnable
        ready |= {output for node in runnable for output in node.output}
        pending = [node for node in pending if not ready.issuperset(node.output)]
    ordered = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del copy.graph.node[:]
    copy.graph.node.extend(ordered)
    return copy


def remove_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a model without the nodes and initializers that no output depends on."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    used = _ancestors(copy, [output.name for output in copy.graph.output])
    for node in [node for node in copy.graph.node if node.name not in used]:
        copy.graph.node.remove(node)
    inputs = {name for node in copy.graph.node for name in node.input}
    for tensor in [tensor for tensor in copy.graph.initializer if tensor.name not in inputs]:
        copy.graph.initializer.remove(tensor)
    return copy


def remove_cast_pairs(model: onnx.ModelProto, float32_nodes: Iterable[str]) -> onnx.ModelProto:
    """Copy a model without casts to float16 and back after nodes that stay float32.

    Converters write such a pair after each of these nodes, which rounds its output to float16.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    producers = {output: node for node in copy.graph.node for output in node.output}
    names = set(float32_nodes)
    float32 = {output for node in copy.graph.node if node.name in names for output in node.output}

    def source(tensor: str) -> str:
        """The tensor before all such pairs."""
        back = producers.get(tensor)
        if back is None or not _is_cast(back, onnx.TensorProto.FLOAT):
            return tensor
        there = producers.get(back.input[0])
        if there is None or not _is_cast(there, onnx.TensorProto.FLOAT16):
            return tensor
        return source(there.input[0]) if there.input[0] in float32 else tensor

    for node in copy.graph.node:
        node.input[:] = [source(name) for name in node.input]
    renamed = {source(output.name): output.name for output in copy.graph.output}
    for node in list(copy.graph.node):
        is_replaced = node.output[0] in renamed.values() and node.output[0] not in renamed
        if node.op_type == "Cast" and is_replaced:
            copy.graph.node.remove(node)
            continue
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    return remove_unused(copy)


def _is_cast(node: onnx.NodeProto, to: int) -> bool:
    return node.op_type == "Cast" and node.attribute[0].i == to
