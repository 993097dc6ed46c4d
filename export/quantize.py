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

from export.fuse_heads import fuse_heads
from export.onnx_graph import (
    head_output_nodes,
    large_linear_layers,
    nodes_between,
    normalize_graph,
    remove_cast_pairs,
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

    The heads are fused (`fuse_heads`). Outputs stay float32, and so do the last layers: float16 has
    steps of 1/16 px near 100 px, which is visible as jitter of landmarks. `au_nodes` is rounded,
    since the graph layer sums it up. Weights are rounded as in `round_to_fp16`, so that
    `fp16_delta` finds them in the fp32 file.
    """
    model = normalize_graph(onnx.load_from_string(fuse_heads(onnx_bytes)))
    final_heads = [name for name in HEADS if name != "au_nodes"]
    last_nodes = head_output_nodes(model, final_heads)
    options = {
        "keep_io_types": list(HEADS),
        "node_block_list": last_nodes,
        "min_positive_val": MIN_FP16,
    }
    converted = convert_float_to_float16(model, **options)
    converted = toposort(remove_cast_pairs(toposort(converted), last_nodes))
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
    sources = []  # (rounded values, offset in the fp32 file, count), the largest first
    for tensor in base.graph.initializer:
        offset = onnx_bytes.find(tensor.raw_data)
        count = len(tensor.raw_data) // 4
        is_float = tensor.data_type == onnx.TensorProto.FLOAT
        if is_float and count >= _MIN_FP16_VALUES and offset >= 0:
            sources.append((round_to_fp16(onnx_bytes, offset, count), offset, count))
    sources.sort(key=lambda source: -source[2])
    ranges: list[tuple[int, int, int]] = []
    for tensor in onnx.load_from_string(half).graph.initializer:
        begin = half.find(tensor.raw_data)
        if tensor.data_type == onnx.TensorProto.FLOAT16 and begin >= 0:
            # The weights of a fused layer begin with those of one of its parts.
            match = next((one for one in sources if tensor.raw_data.startswith(one[0])), None)
            if match is not None:
                ranges.append((begin, *match[1:]))
    return encode_fp16_delta(onnx_bytes, half, sorted(ranges))


class _CropReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, crops: FloatArray) -> None:
        self._batches: Iterator[dict[str, Any]] = iter(
            {"crops": crops[at : at + _BATCH]} for at in range(0, len(crops), _BATCH)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def to_int8(onnx_bytes: bytes, crops: FloatArray) -> bytes:
    """Quantize the trunk's convolutions after the first for TensorRT with explicit Q/DQ nodes.

    Weights are symmetric per channel and activations symmetric per tensor, as TensorRT requires;
    biases stay float32, since it rejects integer ones. Only inputs are quantized: between a
    convolution and its ReLU or sum, quantization wastes half of the levels on negative values and
    costs a kernel. The first convolution, whose input is the image, and the heads stay float32.

    Args:
        onnx_bytes: The fp32 model.
        crops: Normalized crops [N, 3, S, S] for calibration.
    """
    model = normalize_graph(onnx.load_from_string(fuse_heads(onnx_bytes)))
    options = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": ["Conv"],
    }
    return _quantize(model, crops, trunk_convolutions(model)[1:], QuantType.QInt8, options)


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
    options: dict[str, Any],
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
