"""Rewrites the heads of a network into larger operators that GPU engines run as fewer kernels.

Float32 outputs change by rounding only. Networks with other heads than those of
`training.models` are left as they are. CPU models are not rewritten: their rows must not change.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from export.onnx_graph import normalize_graph, remove_unused, toposort
from faceaffect.bundle.model_spec import HEADS

TOLERANCE: Final = 2e-4
"""Largest difference of an output from the original network, relative to the larger of 1 and it."""

_PREFIX: Final = "fused_heads."


class _OtherHeadsError(Exception):
    """The graph does not have the heads that this module knows."""


def fuse_heads(onnx_bytes: bytes) -> bytes:
    """Fuse the heads of a float32 network.

    Raises:
        ValueError: The result computes something else than the network.
    """
    model = normalize_graph(onnx.load_from_string(onnx_bytes))
    heads = _Heads(model)
    try:
        heads.fuse()
    except _OtherHeadsError:
        return onnx_bytes
    fused = toposort(remove_unused(model))
    onnx.checker.check_model(fused, full_check=True)
    result = bytes(fused.SerializeToString())
    difference = largest_difference(onnx_bytes, result)
    if not difference <= TOLERANCE:
        raise ValueError(
            f"fused heads: expected the outputs of the network within {TOLERANCE:g}, "
            f"got a difference of {difference:.2g}; export without fusing"
        )
    return result


def largest_difference(expected: bytes, actual: bytes) -> float:
    """Largest relative difference of the heads of two float32 networks on random crops."""
    first, second = (
        onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        for content in (expected, actual)
    )
    side = first.get_inputs()[0].shape[2]
    crops = np.random.default_rng(0).standard_normal((3, 3, side, side)).astype(np.float32)
    names = list(HEADS)
    pairs = zip(*(one.run(names, {"crops": crops}) for one in (first, second)), strict=True)
    return max(float((np.abs(a - b) / np.maximum(np.abs(a), 1)).max()) for a, b in pairs)


class _Heads:
    """The heads of a normalized graph, which `fuse` rewrites in place."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._producers = {output: node for node in model.graph.node for output in node.output}
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}

    def fuse(self) -> None:
        """Match all heads first, so that a mismatch leaves the graph unchanged."""
        nodes = self._match_au_nodes()
        affect = self._match_affect()
        geometry = self._match_geometry()
        embedding, reduction = self._match_projections(affect["inputs"][0], geometry[0])
        self._write_au_nodes(**nodes)
        self._write_affect(**affect)
        self._write_geometry(*geometry)
        self._write_projections(embedding, reduction)

    # Matching.

    def _walk(self, tensor: str, *kinds: str) -> list[onnx.NodeProto]:
        """Nodes of these kinds upward from `tensor`, along the first input that is not constant."""
        found = []
        for kind in kinds:
            node = self._producers.get(tensor)
            if node is None or node.op_type != kind:
                raise _OtherHeadsError
            found.append(node)
            tensor = next((name for name in node.input if name in self._producers), "")
        return found

    def _array(self, name: str) -> NDArray[Any]:
        if name not in self._constants:
            raise _OtherHeadsError
        return numpy_helper.to_array(self._constants[name])

    def _linear(self, node: onnx.NodeProto) -> tuple[NDArray[Any], NDArray[Any]]:
        """Weight [outputs, inputs] and bias of a Gemm as torch exports `Linear`."""
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        if attributes != {"alpha": 1.0, "beta": 1.0, "transB": 1}:
            raise _OtherHeadsError
        return self._array(node.input[1]), self._array(node.input[2])

    def _is_1x1(self, node: onnx.NodeProto) -> bool:
        weight = self._array(node.input[1])
        return weight.shape[2:] == (1, 1)

    def _match_au_nodes(self) -> dict[str, Any]:
        """Attention over the sum of fine features and upsampled coarse ones, a layer per AU."""
        kinds = ("Transpose", "Relu", "Add", "MatMul", "Transpose", "MatMul")
        _, _, bias, product, _, pooled = self._walk("au_nodes", *kinds)
        softmax, scores, attention, relu, total = self._walk(
            pooled.input[0], "Softmax", "Reshape", "Conv", "Relu", "Add"
        )
        transposed, flat = self._walk(pooled.input[1], "Transpose", "Reshape")
        (fine,) = self._walk(total.input[0], "Conv")
        resize, coarse = self._walk(total.input[1], "Resize", "Conv")
        scales = self._array(resize.input[2])
        modes = {one.name: helper.get_attribute_value(one) for one in resize.attribute}
        weight = self._array(product.input[1])
        if (
            flat.input[0] != relu.output[0]
            or attention.input[0] != relu.output[0]
            or not all(map(self._is_1x1, (attention, fine, coarse)))
            or scales.tolist() != [1, 1, 2, 2]
            or modes.get("mode") != b"nearest"
            or helper.get_node_attr_value(softmax, "axis") != 2
            or helper.get_node_attr_value(transposed, "perm") != [0, 2, 1]
            or weight.ndim != 3
        ):
            raise _OtherHeadsError
        biases = [name for name in bias.input if name in self._constants]
        if len(biases) != 1 or self._array(biases[0]).shape != (len(weight), 1, weight.shape[2]):
            raise _OtherHeadsError
        return {
            "total": total,
            "coarse": coarse,
            "scores": scores,
            "pooled": pooled,
            "weight": weight,
            "bias": self._array(biases[0]),
        }

    def _match_affect(self) -> dict[str, Any]:
        """Expression from global features and nodes; valence and arousal from these, nodes too."""
        expression, shared = self._walk("expression_logit", "Gemm", "Concat")
        (total,) = self._walk("va_raw", "Add")
        va, va_inputs = self._walk(total.input[0], "Gemm", "Concat")
        joint, _, hidden, hidden_inputs = self._walk(
            total.input[1], "Gemm", "Relu", "Gemm", "Concat"
        )
        pooled, relu = shared.input
        self._walk(relu, "Relu", "Gemm")
        self._walk(pooled, "ReduceMean", "Relu")  # so neither input is ever negative
        flat = hidden_inputs.input[1]
        if (
            list(va_inputs.input) != [shared.output[0], "expression_logit"]
            or hidden_inputs.input[0] != shared.output[0]
            or [node.output[0] for node in self._walk(flat, "Flatten")] != [flat]
            or self._producers[flat].input[0] != "au_nodes"
        ):
            raise _OtherHeadsError
        return {
            "inputs": [pooled, relu, flat],
            "expression": self._linear(expression),
            "va": self._linear(va),
            "joint": self._linear(joint),
            "hidden": self._linear(hidden),
        }

    def _match_geometry(self) -> tuple[str, list[NDArray[Any]], list[NDArray[Any]]]:
        """Four linear layers of one input, with their scale and mean folded in."""
        add, scale, reshape, landmarks = self._walk("landmarks_px", "Add", "Mul", "Reshape", "Gemm")
        pose_scale, pose = self._walk("pose_deg", "Mul", "Gemm")
        _, face = self._walk("face_logit", "Squeeze", "Gemm")
        _, quality = self._walk("quality_logit", "Squeeze", "Gemm")
        layers = (landmarks, pose, face, quality)
        shape = self._array(reshape.input[1])
        if len({node.input[0] for node in layers}) != 1 or shape.tolist()[1:] != [68, 2]:
            raise _OtherHeadsError
        mean = self._array(next(name for name in add.input if name in self._constants))
        factors = [
            float(self._array(next(name for name in node.input if name in self._constants)))
            for node in (scale, pose_scale)
        ]
        weights, biases = zip(*map(self._linear, layers), strict=True)
        weights = [weights[0] * factors[0], weights[1] * factors[1], *weights[2:]]
        biases = [biases[0] * factors[0] + mean.reshape(-1), biases[1] * factors[1], *biases[2:]]
        return layers[0].input[0], weights, biases

    def _match_projections(
        self, pooled: str, features: str
    ) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
        """ReLU and 1x1 convolution of the trunk's output that the two kinds of heads begin with."""
        _, *embedding = self._walk(pooled, "ReduceMean", "Relu", "Conv")
        _, _, _, *reduction = self._walk(features, "Relu", "Gemm", "Flatten", "Relu", "Conv")
        if embedding[1].input[0] != reduction[1].input[0] or not all(
            self._is_1x1(nodes[1]) for nodes in (embedding, reduction)
        ):
            raise _OtherHeadsError
        return embedding, reduction

    # Writing.

    def _constant(self, name: str, array: Any) -> str:
        array = np.ascontiguousarray(array)
        tensor = numpy_helper.from_array(array, _PREFIX + name)
        self._graph.initializer.append(tensor)
        return tensor.name

    def _add(self, kind: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        names = [name if name in HEADS else _PREFIX + name for name in outputs]
        node = helper.make_node(kind, inputs, names, name=_PREFIX + outputs[0], **attributes)
        self._graph.node.append(node)
        return names[0]

    def _remove_producer(self, tensor: str) -> None:
        self._graph.node.remove(self._producers[tensor])

    def _write_au_nodes(
        self,
        total: onnx.NodeProto,
        coarse: onnx.NodeProto,
        scores: onnx.NodeProto,
        pooled: onnx.NodeProto,
        weight: NDArray[Any],
        bias: NDArray[Any],
    ) -> None:
        """Upsample by a transposed convolution; the layers per AU are one grouped convolution.

        Positions come before channels, as convolutions on GPUs keep them in memory.
        """
        kernel = self._array(coarse.input[1])[:, :, 0, 0].T[:, :, None, None]
        inputs = [
            coarse.input[0],
            self._constant("coarse.weight", np.tile(kernel, (1, 1, 2, 2))),
            coarse.input[2],
        ]
        total.input[1] = self._add(
            "ConvTranspose", inputs, "coarse", kernel_shape=[2, 2], strides=[2, 2]
        )
        count, width, output_width = weight.shape
        scores.input[1] = self._constant("attention.shape", np.array([0, count, -1]))
        features = self._producers[pooled.input[1]].input[0]
        positions = self._add(
            "Transpose", [self._producers[features].input[0]], "positions", perm=[0, 2, 3, 1]
        )
        shape = self._constant("features.shape", np.array([0, -1, width]))
        pooled.input[1] = self._add("Reshape", [positions, shape], "features")
        column = self._constant("nodes.column", np.array([0, count * width, 1, 1]))
        matrix = self._constant("nodes.shape", np.array([0, count, output_width]))
        layer = [
            self._add("Reshape", [pooled.output[0], column], "nodes.input"),
            self._constant("nodes.weight", weight.transpose(0, 2, 1).reshape(-1, width, 1, 1)),
            self._constant("nodes.bias", bias.reshape(-1)),
        ]
        summed = self._add("Conv", layer, "nodes.sum", group=count, kernel_shape=[1, 1])
        self._remove_producer("au_nodes")
        self._add("Reshape", [self._add("Relu", [summed], "nodes.rectified"), matrix], "au_nodes")

    def _write_affect(
        self,
        inputs: list[str],
        expression: tuple[NDArray[Any], NDArray[Any]],
        va: tuple[NDArray[Any], NDArray[Any]],
        joint: tuple[NDArray[Any], NDArray[Any]],
        hidden: tuple[NDArray[Any], NDArray[Any]],
    ) -> None:
        """Two layers instead of five.

        Valence and arousal read the expression logits, which are linear: both are one layer. What
        is linear in the inputs passes the ReLU of the hidden layer as relu(x) - relu(-x).
        """
        classes, shared = expression[0].shape
        linear = np.concatenate(
            [expression[0], va[0][:, :shared] + va[0][:, shared:] @ expression[0]]
        )
        bias = np.concatenate([expression[1], va[1] + joint[1] + va[0][:, shared:] @ expression[1]])
        width, total = hidden[0].shape
        padded = np.pad(linear, ((0, 0), (0, total - shared)))
        features = self._add("Concat", inputs, "affect.inputs", axis=1)
        layer = [
            features,
            self._constant("affect.hidden.weight", np.concatenate([hidden[0], padded, -padded])),
            self._constant("affect.hidden.bias", np.pad(hidden[1], (0, 2 * len(linear)))),
        ]
        rectified = self._add(
            "Relu", [self._add("Gemm", layer, "affect.sum", transB=1)], "affect.hidden"
        )
        identity = np.eye(len(linear), dtype=np.float32)
        from_hidden = np.concatenate([np.zeros((classes, width), np.float32), joint[0]])
        final = [
            rectified,
            self._constant("affect.weight", np.concatenate([from_hidden, identity, -identity], 1)),
            self._constant("affect.bias", bias),
        ]
        outputs = self._add("Gemm", final, "affect", transB=1)
        for head in ("expression_logit", "va_raw"):
            self._remove_producer(head)
        sizes = self._constant("affect.sizes", np.array([classes, len(linear) - classes]))
        self._add("Split", [outputs, sizes], "expression_logit", "va_raw", axis=1)

    def _write_geometry(
        self, features: str, weights: list[NDArray[Any]], biases: list[NDArray[Any]]
    ) -> None:
        layer = [
            features,
            self._constant("geometry.weight", np.concatenate(weights).astype(np.float32)),
            self._constant("geometry.bias", np.concatenate(biases).astype(np.float32)),
        ]
        outputs = self._add("Gemm", layer, "geometry", transB=1)
        for head in ("landmarks_px", "pose_deg", "face_logit", "quality_logit"):
            self._remove_producer(head)
        sizes = self._constant("geometry.sizes", np.array([len(weight) for weight in weights]))
        names = ("landmarks", "pose_deg", "face", "quality")
        self._add("Split", [outputs, sizes], *names, axis=1)
        points = self._constant("geometry.points", np.array([0, 68, 2]))
        self._add("Reshape", [_PREFIX + "landmarks", points], "landmarks_px")
        axis = self._constant("geometry.axis", np.array([1]))
        self._add("Squeeze", [_PREFIX + "face", axis], "face_logit")
        self._add("Squeeze", [_PREFIX + "quality", axis], "quality_logit")

    def _write_projections(
        self, embedding: list[onnx.NodeProto], reduction: list[onnx.NodeProto]
    ) -> None:
        """One convolution instead of two of the same input."""
        convolutions = [nodes[1] for nodes in (embedding, reduction)]
        weights, biases = (
            [self._array(node.input[place]) for node in convolutions] for place in (1, 2)
        )
        inputs = [
            convolutions[0].input[0],
            self._constant("projection.weight", np.concatenate(weights)),
            self._constant("projection.bias", np.concatenate(biases)),
        ]
        summed = self._add("Conv", inputs, "projection.sum", kernel_shape=[1, 1])
        rectified = self._add("Relu", [summed], "projection")
        sizes = self._constant("projection.sizes", np.array([len(weight) for weight in weights]))
        outputs = [nodes[0].output[0] for nodes in (embedding, reduction)]
        for output in outputs:
            self._remove_producer(output)
        self._graph.node.append(
            helper.make_node(
                "Split", [rectified, sizes], outputs, name=_PREFIX + "projections", axis=1
            )
        )
