"""Which nodes of an exported network are its trunk and which end its heads, told by the graph and
not by names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import onnx

_WEIGHTED: Final = ("Conv", "Gemm", "MatMul")

LARGE_DENSE: Final = 100_000
"""Weights of a dense layer from which on it counts as large: 0.4 MB in float32, of a second cache
of one or two.
"""


def _ancestors(model: onnx.ModelProto, tensors: Iterable[str]) -> set[str]:
    """Names of all nodes that any of `tensors` depends on."""
    makers = {output: node for node in model.graph.node for output in node.output}
    found: set[str] = set()
    waiting = list(tensors)
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting.extend(node.input)
    return found


def trunk_convolutions(model: onnx.ModelProto) -> list[str]:
    """Convolutions that every output depends on: the trunk, without any head."""
    common = set.intersection(*(_ancestors(model, [output.name]) for output in model.graph.output))
    return [
        node.name for node in model.graph.node if node.op_type == "Conv" and node.name in common
    ]


def between(model: onnx.ModelProto, convolutions: list[str]) -> list[str]:
    """Activations and sums that stand between these convolutions."""
    named = {node.name: node for node in model.graph.node}
    behind = _ancestors(model, [tensor for name in convolutions for tensor in named[name].input])
    return [
        name for name, node in named.items() if name in behind and node.op_type in ("Relu", "Add")
    ]


def large_linear_layers(model: onnx.ModelProto) -> list[str]:
    """Dense layers of so many weights that reading them costs more than the products."""
    size = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Gemm" and size.get(node.input[1], 0) >= LARGE_DENSE
    ]


def head_output_nodes(model: onnx.ModelProto) -> list[str]:
    """The last weighted node of each output and what follows it."""
    makers = {output: node for node in model.graph.node for output in node.output}
    found: list[str] = []
    waiting = [output.name for output in model.graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.name in found:
            continue
        found.append(node.name)
        if node.op_type not in _WEIGHTED:
            waiting.extend(node.input)
    return found


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that tools for quantizing and converting take: constants as initializers, a name for
    every node.
    """
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


def in_order(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose nodes stand behind those they need and make each tensor once, as ONNX wants it.

    Converters write the same cast of a tensor once for each node that reads it.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    once = {tuple(node.output): node for node in reversed(copy.graph.node)}
    ready = {tensor.name for tensor in (*copy.graph.initializer, *copy.graph.input)} | {""}
    waiting, ordered = list(once.values())[::-1], []
    while waiting:
        able = [node for node in waiting if ready.issuperset(node.input)]
        if not able:
            raise ValueError(f"the network has a loop or a missing input at {waiting[0].name!r}")
        ordered += able
        ready |= {output for node in able for output in node.output}
        waiting = [node for node in waiting if not ready.issuperset(node.output)]
    ordered = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del copy.graph.node[:]
    copy.graph.node.extend(ordered)
    return copy
