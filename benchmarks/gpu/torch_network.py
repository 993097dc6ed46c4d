"""The exported network in PyTorch, operator by operator.

It is a baseline, and replaces the engine where TensorRT does not support the GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor
from torch.nn import functional

from faceaffect.bundle.model_spec import HEADS

Values = dict[str, Any]


class TorchNetwork(torch.nn.Module):
    """Runs the operators that the exporter writes; raises ValueError for any other."""

    def __init__(self, onnx_bytes: bytes, device: str = "cpu") -> None:
        super().__init__()
        graph = onnx.load_from_string(onnx_bytes).graph
        self._fixed: Values = {
            t.name: _constant(numpy_helper.to_array(t), device) for t in graph.initializer
        }
        self._steps: list[tuple[Callable[..., Any], list[str], str, dict[str, Any]]] = []
        for node in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                self._fixed[node.output[0]] = _constant(
                    numpy_helper.to_array(attributes["value"]), device
                )
            elif node.op_type in _OPERATORS:
                self._steps.append(
                    (_OPERATORS[node.op_type], list(node.input), node.output[0], attributes)
                )
            else:
                raise ValueError(
                    f"expected operators that this reference supports, got {node.op_type}"
                )

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        values: Values = {**self._fixed, "crops": crops, "": None}
        for run, inputs, output, attributes in self._steps:
            values[output] = run(attributes, *(values[name] for name in inputs))
        return tuple(values[name] for name in HEADS)


def _constant(array: np.ndarray, device: str) -> Any:
    """A tensor; integers are shapes and stay on the host."""
    if array.dtype.kind == "i":
        return torch.from_numpy(np.atleast_1d(array).copy())
    return torch.from_numpy(np.array(array)).to(device)


def _conv(a: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    top, left, bottom, right = a.get("pads", [0, 0, 0, 0])
    if (top, left) != (bottom, right):
        x, top, left = functional.pad(x, (left, right, top, bottom)), 0, 0
    stride, dilation = tuple(a.get("strides", (1, 1))), tuple(a.get("dilations", (1, 1)))
    return functional.conv2d(x, weight, bias, stride, (top, left), dilation, a.get("group", 1))


def _gemm(a: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    x = x.t() if a.get("transA") else x
    weight = weight.t() if a.get("transB") else weight
    return float(a.get("alpha", 1)) * (x @ weight) + float(a.get("beta", 1)) * bias


def _slice(
    a: dict[str, Any], x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor, *_: Tensor
) -> Tensor:
    """Slice of shapes, and along axes, as the exporter writes it."""
    at: list[Any] = [slice(None)] * x.ndim
    for start, end, axis in zip(starts.tolist(), ends.tolist(), axes.tolist(), strict=True):
        at[axis] = slice(start, end)
    return x[tuple(at)]


def _resize(a: dict[str, Any], x: Tensor, roi: Any, scales: Tensor, *_: Any) -> Tensor:
    factors = tuple(float(f) for f in scales.tolist()[2:])
    if a["mode"] == b"nearest":
        return functional.interpolate(x, scale_factor=factors, mode="nearest")
    aligned = a.get("coordinate_transformation_mode") == b"align_corners"
    return functional.interpolate(x, scale_factor=factors, mode="bilinear", align_corners=aligned)


def _reduce_mean(a: dict[str, Any], x: Tensor, *axes: Tensor) -> Tensor:
    over = axes[0].tolist() if axes else list(a["axes"])
    return x.mean(dim=over, keepdim=bool(a.get("keepdims", 1)))


_OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": lambda a, x, y: x + y,
    "Concat": lambda a, *parts: torch.cat(parts, dim=a["axis"]),
    "Conv": _conv,
    "Flatten": lambda a, x: x.flatten(a.get("axis", 1)),
    "Gemm": _gemm,
    "MatMul": lambda a, x, y: x @ y,
    "Mul": lambda a, x, y: x * y,
    "ReduceMean": _reduce_mean,
    "Relu": lambda a, x: x.relu(),
    "Reshape": lambda a, x, shape: x.reshape(
        [x.shape[i] if n == 0 else n for i, n in enumerate(shape.tolist())]
    ),
    "Resize": _resize,
    "Shape": lambda a, x: torch.tensor(x.shape),
    "Slice": _slice,
    "Softmax": lambda a, x: x.softmax(a.get("axis", -1)),
    "Squeeze": lambda a, x, axes: x.squeeze(tuple(axes.tolist())),
    "Transpose": lambda a, x: x.permute(a["perm"]),
}


class TorchEngine:
    """A `CudaNetwork`: PyTorch runs on the addresses and the stream of a `CudaFrameRunner`."""

    crop_typestr = "<f4"

    def __init__(self, onnx_bytes: bytes, size_px: int) -> None:
        self._network, self._size_px = TorchNetwork(onnx_bytes, "cuda"), size_px
        with torch.no_grad():
            one = self._network(torch.zeros(1, 3, size_px, size_px, device="cuda"))
        self.output_shapes = {
            name: tuple(value.shape[1:]) for name, value in zip(HEADS, one, strict=True)
        }
        self._bound: dict[int, dict[str, Tensor]] = {}
        self._pool = torch.cuda.MemPool()  # memory of a captured run is not reused

    def bind(self, faces: int, addresses: dict[str, int]) -> None:
        shapes = self.output_shapes | {"crops": (3, self._size_px, self._size_px)}
        self._bound[faces] = {
            name: _tensor_at(address, (faces, *shapes[name])) for name, address in addresses.items()
        }

    def enqueue(self, faces: int, stream: int) -> None:
        bound = self._bound[faces]
        with (
            torch.no_grad(),
            torch.cuda.use_mem_pool(self._pool),
            torch.cuda.stream(torch.cuda.ExternalStream(stream)),  # type: ignore[no-untyped-call]
        ):
            for name, value in zip(HEADS, self._network(bound["crops"]), strict=True):
                bound[name].copy_(value)


class _Memory:
    def __init__(self, address: int, shape: tuple[int, ...]) -> None:
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": "<f4",
            "data": (address, False),
            "version": 3,
        }


def _tensor_at(address: int, shape: tuple[int, ...]) -> Tensor:
    return torch.as_tensor(_Memory(address, shape), device="cuda")
