"""Cost of a bundle: parameters, multiply-accumulates, bytes, time per face on one thread."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import onnx

from training.evaluation.bundle_runner import BundleRunner


def cost_metrics(runner: BundleRunner, runs: int = 400) -> dict[str, Any]:
    """Measures the cost; times are of ONNX Runtime alone, for one crop."""
    size = runner.spec.crop.size_px
    crops = np.random.default_rng(0).standard_normal((1, 3, size, size)).astype(np.float32)
    times = []
    for _ in range(runs):
        start_s = time.perf_counter()
        runner.session.run(None, {"crops": crops})
        times.append(time.perf_counter() - start_s)
    return {
        **network_size(runner),
        "onnx_bytes": len(runner.bundle.onnx),
        "network_ms": {"min": 1e3 * min(times), "median": 1e3 * float(np.median(times))},
    }


def network_size(runner: BundleRunner) -> dict[str, Any]:
    """Returns the number of parameters, and millions of multiply-accumulates for one crop."""
    model, graph = onnx.load_from_string(runner.bundle.onnx), runner.bundle.graph
    arrays = [graph.readout_weight, graph.readout_bias, *graph.layer_weights, *graph.layer_biases]
    parameters = sum(int(np.prod(each.dims)) for each in model.graph.initializer)
    return {
        "parameters": parameters + sum(array.size for array in arrays),
        "mmacs": multiply_accumulates(model, runner.spec.crop.size_px) / 1e6,
    }


def multiply_accumulates(model: onnx.ModelProto, size_px: int) -> int:
    """Counts multiply-accumulates of convolutions and matrix products for one crop."""
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    for dim, value in zip(sizes, (1, 3, size_px, size_px), strict=True):
        dim.ClearField("dim_param")
        dim.dim_value = value
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[0].ClearField("dim_param")
        output.type.tensor_type.shape.dim[0].dim_value = 1
    inferred = onnx.shape_inference.infer_shapes(model)
    values = [*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input]
    shapes = {v.name: [max(1, d.dim_value) for d in v.type.tensor_type.shape.dim] for v in values}
    shapes |= {w.name: list(w.dims) for w in inferred.graph.initializer}
    total = 0
    for node in inferred.graph.node:
        if node.op_type == "Conv":
            total += int(np.prod(shapes[node.output[0]])) * int(np.prod(shapes[node.input[1]][1:]))
        elif node.op_type == "Gemm":
            total += int(np.prod(shapes[node.input[1]]))
        elif node.op_type == "MatMul" and node.input[0] in shapes:
            total += int(np.prod(shapes[node.output[0]])) * shapes[node.input[0]][-1]
    return total
