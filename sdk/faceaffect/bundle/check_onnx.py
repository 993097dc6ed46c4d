"""Checks that an ONNX file is data: a plain graph of known operators, with all weights inside.

Runtimes do what a file says: they read weights from any path (external data), run loops without
end, and call operators of other libraries. Files with any of that are refused before a runtime sees
them. `docs/security.md` says what remains possible.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from faceaffect.bundle.model_spec import BundleError
from faceaffect.bundle.protobuf_reader import BYTES, FIXED32, FIXED64, VARINT, read_fields

MAX_ONNX_BYTES: Final[int] = (2 << 30) - 1
"""Largest protobuf message."""
MAX_NODES: Final[int] = 20_000
"""Operators in a file; the largest export of this project has some hundreds."""

_NAMES: Final = """
Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Celu Clip Concat Constant
ConstantOfShape Conv ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div Dropout Einsum
Elu Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm
GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid
HardSwish Identity InstanceNormalization IsInf IsNaN LSTM LayerNormalization LeakyRelu Less
LessOrEqual Log LogSoftmax LpNormalization MatMul Max MaxPool Mean Min Mish Mod Mul Neg Not
OneHot Or PRelu Pad Pow QuantizeLinear RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp
ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round
ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign
SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh Tile TopK Transpose Trilu Unsqueeze Upsample
Where Xor
"""
OPERATORS: Final[frozenset[str]] = frozenset(_NAMES.split())
"""Operators of the default domain that a network may use: no control flow, text, sequences, random
numbers or operators that name files. Each takes memory of the runtime's limited arena only."""

_STANDARD_DOMAINS: Final = (b"", b"ai.onnx")
_INTEGERS: Final = (VARINT, BYTES)  # one by one, or packed
_DOUBLES: Final = (FIXED64, BYTES)
_FLOATS: Final = (FIXED32, BYTES)
_TEXT: Final = (BYTES,)
_MESSAGE: Final = (BYTES,)
_NUMBER: Final = (VARINT,)

# Fields of ONNX's messages (onnx.proto). Those of training, functions, sparse tensors, subgraphs,
# types as attributes, references to attributes, segments and external data are left out, so that
# they are refused: 20, 25, 26 of a model; 15 of a graph; 8, 10 of a node; 6, 11, 14, 15, 21, 22, 23
# of an attribute; 3, 13 of a tensor.
_MODEL: Final = {
    **dict.fromkeys((1, 5), _NUMBER),
    **dict.fromkeys((2, 3, 4, 6), _TEXT),
    **dict.fromkeys((7, 8, 14), _MESSAGE),
}
_GRAPH: Final = dict.fromkeys((1, 2, 5, 10, 11, 12, 13, 14, 16), _MESSAGE)
_NODE: Final = dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 9), _MESSAGE)
_ATTRIBUTE: Final = {
    2: (FIXED32,),
    7: _FLOATS,
    8: _INTEGERS,
    **dict.fromkeys((3, 20), _NUMBER),
    **dict.fromkeys((1, 4, 5, 9, 10, 13), _MESSAGE),
}
_TENSOR: Final = {
    4: _FLOATS,
    10: _DOUBLES,
    **dict.fromkeys((2, 14), _NUMBER),
    **dict.fromkeys((1, 5, 7, 11), _INTEGERS),
    **dict.fromkeys((6, 8, 9, 12, 16), _TEXT),
}

# Field numbers that are looked into.
_MODEL_GRAPH: Final = 7
_GRAPH_NODE: Final = 1
_GRAPH_INITIALIZER: Final = 5
_NODE_OPERATOR: Final = 4
_NODE_ATTRIBUTE: Final = 5
_NODE_DOMAIN: Final = 7
_ATTRIBUTE_TENSORS: Final = (5, 10)
_TENSOR_LOCATION: Final = 14


def check_onnx(content: bytes, file: str | Path) -> None:
    """Refuse a network that does more than compute outputs from inputs and its own weights.

    Args:
        content: The ONNX file.
        file: Its name for the error.

    Raises:
        BundleError: The file is no ONNX, holds external data, subgraphs, functions, sparse tensors,
            training steps or operators outside `OPERATORS`, or too many operators.
    """
    try:
        if len(content) > MAX_ONNX_BYTES:
            raise ValueError(f"expected at most {MAX_ONNX_BYTES} bytes, got {len(content)}")
        _Checker(content).check_model()
    except ValueError as error:
        raise BundleError(
            f"{file}: {error}; a network must be one graph of standard operators with all weights "
            "in the file: export it again, and do not use it if you do not know its author"
        ) from None


class _Checker:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._nodes = 0

    def check_model(self) -> None:
        graphs = 0
        for number, begin, end in read_fields(self._content, 0, len(self._content), _MODEL):
            if number == _MODEL_GRAPH:
                graphs += 1
                self._check_graph(begin, end)
        if graphs != 1:
            raise ValueError(f"expected one ONNX graph, got {graphs}")

    def _check_graph(self, begin: int, end: int) -> None:
        checks: dict[int, Callable[[int, int], None]] = {
            _GRAPH_NODE: self._check_node,
            _GRAPH_INITIALIZER: self._check_tensor,
        }
        for number, first, last in read_fields(self._content, begin, end, _GRAPH):
            check = checks.get(number)
            if check is not None:
                check(first, last)

    def _check_node(self, begin: int, end: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ValueError(f"expected at most {MAX_NODES} operators, got more")
        for number, first, last in read_fields(self._content, begin, end, _NODE):
            if number == _NODE_ATTRIBUTE:
                self._check_attribute(first, last)
            elif number == _NODE_OPERATOR:
                name = self._content[first:last].decode("utf-8", "replace")
                if name not in OPERATORS:
                    raise ValueError(f"expected operators of a plain network, got {name[:60]!r}")
            elif number == _NODE_DOMAIN and self._content[first:last] not in _STANDARD_DOMAINS:
                domain = self._content[first:last].decode("utf-8", "replace")
                raise ValueError(
                    f"expected standard operators, got one of the domain {domain[:60]!r}"
                )

    def _check_attribute(self, begin: int, end: int) -> None:
        for number, first, last in read_fields(self._content, begin, end, _ATTRIBUTE):
            if number in _ATTRIBUTE_TENSORS:
                self._check_tensor(first, last)

    def _check_tensor(self, begin: int, end: int) -> None:
        for number, value, _ in read_fields(self._content, begin, end, _TENSOR):
            if number == _TENSOR_LOCATION and value != 0:
                raise ValueError("expected weights inside the file, got a tensor in another file")
