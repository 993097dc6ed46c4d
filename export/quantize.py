"""The network in another precision. TensorRT 11 takes precision from the file alone, and so does
every engine of ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.onnx_graph import (
    between,
    head_output_nodes,
    in_order,
    large_linear_layers,
    prepared,
    trunk_convolutions,
)
from faceaffect.bundle.fp16_delta import MIN_FP16, encode_fp16_delta, rounded
from faceaffect.bundle.model_spec import HEADS
from faceaffect.types import FloatArray

LEAST_FACES: Final = 32
_BATCH: Final = 16
_LEAST_NUMBERS: Final = 32  # of a tensor that is worth a part of its own
_WORTH_BORROWING: Final = 256  # bytes of a tensor


def to_fp16(onnx_bytes: bytes) -> bytes:
    """Input `crops` and everything but the ends of the heads in float16; outputs float32 as before.

    A landmark near 100 px has steps of 1/16 px in float16, which would be seen as trembling.
    Numbers are rounded as `decode_fp16` does it, so that `fp16_delta` finds them in the float32
    file.
    """
    model = prepared(onnx.load_from_string(onnx_bytes))
    kept = {
        "keep_io_types": list(HEADS),
        "node_block_list": head_output_nodes(model),
        "min_positive_val": MIN_FP16,
    }
    converted = in_order(convert_float_to_float16(model, **kept))
    onnx.checker.check_model(converted, full_check=True)
    return bytes(converted.SerializeToString())


def large_tensors(network: bytes) -> list[bytes]:
    """Bytes of the initializers that another network may share with this one."""
    model = onnx.load_from_string(network)
    return [
        tensor.raw_data
        for tensor in model.graph.initializer
        if len(tensor.raw_data) >= _WORTH_BORROWING
    ]


def fp16_delta(onnx_bytes: bytes, half: bytes) -> bytes:
    """What a bundle keeps of `to_fp16(onnx_bytes)`: see `decode_fp16`."""
    full_model, half_model = onnx.load_from_string(onnx_bytes), onnx.load_from_string(half)
    numbers = {tensor.name: tensor.raw_data for tensor in prepared(full_model).graph.initializer}
    places = []
    for tensor in half_model.graph.initializer:
        source = numbers.get(tensor.name, b"")
        begin, offset, count = half.find(tensor.raw_data), onnx_bytes.find(source), len(source) // 4
        is_small = count < _LEAST_NUMBERS or tensor.data_type != onnx.TensorProto.FLOAT16
        if (
            not is_small
            and begin >= 0 <= offset
            and rounded(onnx_bytes, offset, count) == tensor.raw_data
        ):
            places.append((begin, offset, count))
    return encode_fp16_delta(onnx_bytes, half, sorted(places))


class _Crops(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, crops: FloatArray) -> None:
        self._batches: Iterator[dict[str, Any]] = iter(
            {"crops": crops[at : at + _BATCH]} for at in range(0, len(crops), _BATCH)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def to_int8(onnx_bytes: bytes, crops: FloatArray) -> bytes:
    """The trunk's convolutions between explicit Q/DQ nodes, calibrated on normalized `crops` [N, 3,
    S, S].

    Weights are symmetric per channel and activations symmetric per tensor, as TensorRT wants
    them; biases stay float32, since it refuses the integer ones. Heads, valence/arousal and
    graph layer are left in float32.
    """
    model = prepared(onnx.load_from_string(onnx_bytes))
    options = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
    return _quantized(model, crops, trunk_convolutions(model), QuantType.QInt8, options)


def to_int8_cpu(onnx_bytes: bytes, crops: FloatArray) -> bytes:
    """The trunk behind its first convolution in int8 as CPUs want it, calibrated on normalized
    `crops` [N, 3, S, S].

    Activations are unsigned, so that what follows a ReLU uses all 256 levels, and sums of
    shortcuts stay in int8. The first convolution, which sees the image itself, costs little and
    stays in float32; so do the heads but for their large dense layers, whose weights would push
    everything else out of the second cache once a frame.
    """
    model = prepared(onnx.load_from_string(onnx_bytes))
    trunk = trunk_convolutions(model)[1:]
    return _quantized(
        model,
        crops,
        trunk + between(model, trunk) + large_linear_layers(model),
        QuantType.QUInt8,
        {},
    )


def _quantized(
    model: onnx.ModelProto,
    crops: FloatArray,
    nodes: list[str],
    activation: QuantType,
    options: dict[str, bool],
) -> bytes:
    if len(crops) < LEAST_FACES:
        raise ValueError(
            f"calibration needs at least {LEAST_FACES} faces, got {len(crops)}; give more images"
        )
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            target,
            _Crops(np.ascontiguousarray(crops, np.float32)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=activation,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=nodes,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options=options,
        )
        quantized = onnx.load(target)
    onnx.checker.check_model(quantized, full_check=True)
    return bytes(quantized.SerializeToString())
