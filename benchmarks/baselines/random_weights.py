"""EfficientNet-B0 with random weights, to time a baseline whose trained weights are missing.

Layers are those of Tan and Le (2019), table 1, with batch normalization folded into the
convolutions, as exported models have it: 3x3 stem, seven stages of inverted bottlenecks with
squeeze-and-excitation, 1x1 head, one linear layer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_STEM, _HEAD = 32, 1280
_STAGES: Final = (  # expansion, channels, blocks, stride of the first block, kernel
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
)  # fmt: skip
_SIDE_PX = 224


class _Graph:
    """Graph under construction; each method appends a layer and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        output = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def weight(self, *shape: int) -> str:
        name = f"weight_{len(self.weights)}"
        scale = (
            2 / max(1, int(np.prod(shape[1:])))
        ) ** 0.5  # keeps activations in range, so that no denormals slow it
        values = self._random.normal(0, scale if len(shape) > 1 else 0.01, shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def conv(
        self, x: str, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> str:
        weight, bias = self.weight(outputs, inputs // groups, kernel, kernel), self.weight(outputs)
        pads = [kernel // 2] * 4
        return self.node(
            "Conv",
            x,
            weight,
            bias,
            group=groups,
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=pads,
        )

    def swish(self, x: str) -> str:
        return self.node("Mul", x, self.node("Sigmoid", x))

    def block(
        self, x: str, inputs: int, outputs: int, expansion: int, kernel: int, stride: int
    ) -> str:
        before, wide = x, inputs * expansion
        if expansion > 1:
            x = self.swish(self.conv(x, inputs, wide))
        x = self.swish(self.conv(x, wide, wide, kernel, stride, groups=wide))
        squeezed = max(1, inputs // 4)
        gate = self.swish(self.conv(self.node("GlobalAveragePool", x), wide, squeezed))
        x = self.node("Mul", x, self.node("Sigmoid", self.conv(gate, squeezed, wide)))
        x = self.conv(x, wide, outputs)
        return self.node("Add", x, before) if stride == 1 and inputs == outputs else x


def write_random_weights(path: Path, class_count: int) -> None:
    """Write a model from `input` float32 [N, 3, 224, 224] to scores [N, classes].

    It ends in Gemm, as the published models do.
    """
    graph = _Graph()
    x, channels = graph.swish(graph.conv("input", 3, _STEM, 3, stride=2)), _STEM
    for expansion, outputs, blocks, stride, kernel in _STAGES:
        for number in range(blocks):
            x = graph.block(x, channels, outputs, expansion, kernel, stride if number == 0 else 1)
            channels = outputs
    x = graph.swish(graph.conv(x, channels, _HEAD))
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    x = graph.node("Gemm", x, graph.weight(class_count, _HEAD), graph.weight(class_count), transB=1)
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, _SIDE_PX, _SIDE_PX])
    wanted = helper.make_tensor_value_info(x, TensorProto.FLOAT, ["N", class_count])
    model = helper.make_graph(graph.nodes, "efficientnet_b0", [given], [wanted], graph.weights)
    onnx.save(
        helper.make_model(model, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        str(path),
    )
