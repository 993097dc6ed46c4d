"""Converts a network to fp16 or int8.

The precision of every engine comes from the ONNX file: TensorRT 11 supports nothing else.
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
    head_output_nodes,
    large_linear_layers,
    nodes_between,
    normalize_graph,
    toposort,
    trunk_convolutions,
)
from faceaffect.bundle.fp16_delta import MIN_FP16, encode_fp16_delta, round_to_fp16
from faceaffect.bundle.model_spec import HEADS
from faceaffect.types import FloatArray

MIN_FACES: Final = 32
_BATCH: Final = 16
_MIN_FP16_VALUES: Final = 32  # smaller tensors are stored literally in the fp16 delta
_MIN_SHARED_BYTES: Final = 256  # smaller tensors are stored literally in the int8 delta


def to_fp16(onnx_bytes: bytes) -> bytes:
    """Convert the input `crops` and all nodes but the last of each head to float16.

    Outputs stay float32: float16 has steps of 1/16 px near 100 px, which is visible as jitter of
    landmarks. Weights are rounded as in `round_to_fp16`, so that `fp16_delta` finds them in the
    fp32 file.
    """
    model = normalize_graph(onnx.load_from_string(onnx_bytes))
    options = {
        "keep_io_types": list(HEADS),
        "node_block_list": head_output_nodes(model),
        "min_positive_val": MIN_FP16,
    }
    converted = toposort(convert_float_to_float16(model, **options))
    onnx.checker.check_model(converted, full_check=True)
    return bytes(converted.SerializeToString())


def large_tensors(network: bytes) -> list[bytes]:
    """Contents of the initializers that are large enough to be shared in an int8 delta."""
    model = onnx.load_from_string(network)
    return [
        tensor.raw_data
        for tensor in model.graph.initializer
        if len(tensor.raw_data) >= _MIN_SHARED_BYTES
    ]


def fp16_delta(onnx_bytes: bytes, half: bytes) -> bytes:
    """Encode `half`, the result of `to_fp16(onnx_bytes)`, as a delta file."""
    base = normalize_graph(onnx.load_from_string(onnx_bytes))
    weights = {tensor.name: tensor.raw_data for tensor in base.graph.initializer}
    ranges = []
    for tensor in onnx.load_from_string(half).graph.initializer:
        source = weights.get(tensor.name, b"")
        begin = half.find(tensor.raw_data)
        offset = onnx_bytes.find(source)
        count = len(source) // 4
        is_small = count < _MIN_FP16_VALUES or tensor.data_type != onnx.TensorProto.FLOAT16
        if (
            not is_small
            and begin >= 0 <= offset
            and round_to_fp16(onnx_bytes, offset, count) == tensor.raw_data
        ):
            ranges.append((begin, offset, count))
    return encode_fp16_delta(onnx_bytes, half, sorted(ranges))


class _CropReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, crops: FloatArray) -> None:
        self._batches: Iterator[dict[str, Any]] = iter(
            {"crops": crops[at : at + _BATCH]} for at in range(0, len(crops), _BATCH)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def to_int8(onnx_bytes: bytes, crops: FloatArray) -> bytes:
    """Quantize the trunk's convolutions for TensorRT with explicit Q/DQ nodes.

    Weights are symmetric per channel and activations symmetric per tensor, as TensorRT requires;
    biases stay float32, since it rejects integer ones. Heads and graph layer stay float32.

    Args:
        onnx_bytes: The fp32 model.
        crops: Normalized crops [N, 3, S, S] for calibration.
    """
    model = normalize_graph(onnx.load_from_string(onnx_bytes))
    options = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
    return _quantize(model, crops, trunk_convolutions(model), QuantType.QInt8, options)


def to_int8_cpu(onnx_bytes: bytes, crops: FloatArray) -> bytes:
    """Quantize the trunk after its first convolution for CPUs.

    Activations are unsigned, so that the output of a ReLU uses all 256 levels, and sums of
    shortcuts stay in int8. The first convolution, whose input is the image, costs little and stays
    float32, as do the heads except their large linear layers: reading those weights would evict
    everything else from the L2 cache once per frame.

    Args:
        onnx_bytes: The fp32 model.
        crops: Normalized crops [N, 3, S, S] for calibration.
    """
    model = normalize_graph(onnx.load_from_string(onnx_bytes))
    trunk = trunk_convolutions(model)[1:]
    return _quantize(
        model,
        crops,
        trunk + nodes_between(model, trunk) + large_linear_layers(model),
        QuantType.QUInt8,
        {},
    )


def _quantize(
    model: onnx.ModelProto,
    crops: FloatArray,
    nodes: list[str],
    activation: QuantType,
    options: dict[str, bool],
) -> bytes:
    if len(crops) < MIN_FACES:
        raise ValueError(
            f"calibration: expected at least {MIN_FACES} faces, got {len(crops)}; give more images"
        )
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            target,
            _CropReader(np.ascontiguousarray(crops, np.float32)),
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
