"""Times kernels against their common alternatives, in pairs on one pinned thread.

Both sides of a pair run one after the other, so that other load slows both. The result is the
median of the ratios of all pairs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import thread_time_ns
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.kernel_cases import MEAN, STD, TIMED_CROPS, TIMED_GRAPH, KernelCase
from faceaffect import kernels
from faceaffect.bench.machine import describe_machine
from faceaffect.kernels import GcnWeights

Call = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Times of a kernel and of an alternative."""

    name: str
    baseline: str
    target_ratio: float
    kernel_us: float
    baseline_us: float
    ratio: float  # median of the pairs' ratios


def time_call(call: Call, repeats: int) -> float:
    """Return the mean time of a call in microseconds."""
    start = thread_time_ns()
    for _ in range(repeats):
        call()
    return (thread_time_ns() - start) / repeats / 1e3


def compare(
    name: str, baseline_name: str, target_ratio: float, calls: tuple[Call, Call], pairs: int
) -> Comparison:
    """Time a kernel and an alternative in interleaved pairs."""
    kernel, baseline = calls
    for call in calls:
        time_call(call, 20)
    times = np.array([(time_call(kernel, 8), time_call(baseline, 4)) for _ in range(pairs)])
    kernel_us, baseline_us = np.median(times, axis=0)
    return Comparison(
        name,
        baseline_name,
        target_ratio,
        kernel_us,
        baseline_us,
        float(np.median(times[:, 1] / times[:, 0])),
    )


def kernel_call(case: KernelCase) -> Call:
    """Return a call of the public function with a preallocated output."""
    arguments = case.make()
    function = getattr(kernels, case.op)
    out = np.empty_like(function(**arguments))
    return lambda: function(**arguments, out=out)


def warp_chain(case: KernelCase) -> Call:
    """Return a call of warpAffine, cvtColor, and scaling and transposing in NumPy."""
    arguments = case.make()
    pixels, maps, side = (
        arguments["frame"].pixels,
        arguments["crop_to_frame"][0],
        arguments["size_px"],
    )
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)

    def run() -> np.ndarray:
        crop = cv2.warpAffine(
            pixels, maps, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        rgb = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB).astype(np.float32)
        return np.ascontiguousarray(((rgb / np.float32(255) - mean) / std).transpose(2, 0, 1)[None])

    return run


def blob_chain(case: KernelCase) -> Call:
    """Return a call of warpAffine and blobFromImage, which has one scale for all channels."""
    arguments = case.make()
    pixels, maps, side = (
        arguments["frame"].pixels,
        arguments["crop_to_frame"][0],
        arguments["size_px"],
    )
    mean = tuple(255 * value for value in MEAN)
    scale = 1 / (255 * float(np.mean(STD)))

    def run() -> np.ndarray:
        crop = cv2.warpAffine(
            pixels, maps, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        return cv2.dnn.blobFromImage(crop, scale, (side, side), mean, swapRB=True)

    return run


def onnx_graph(weights: GcnWeights) -> bytes:
    """Return the graph network as ONNX operators."""
    constants = {
        "adjacency": weights.adjacency,
        "r": weights.readout_weight,
        "c": weights.readout_bias,
    }
    nodes, hidden = [], "nodes"
    for i, (weight, bias) in enumerate(
        zip(weights.layer_weights, weights.layer_biases, strict=True)
    ):
        constants |= {f"w{i}": weight, f"b{i}": bias}
        nodes += [
            helper.make_node("MatMul", ["adjacency", hidden], [f"mixed{i}"]),
            helper.make_node("MatMul", [f"mixed{i}", f"w{i}"], [f"product{i}"]),
            helper.make_node("Add", [f"product{i}", f"b{i}"], [f"sum{i}"]),
            helper.make_node("Relu", [f"sum{i}"], [f"h{i}"]),
        ]
        hidden = f"h{i}"
    constants["last"] = np.array([2], np.int64)
    nodes += [
        helper.make_node("Mul", [hidden, "r"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "last"], ["total"], keepdims=0),
        helper.make_node("Add", ["total", "c"], ["logit"]),
    ]
    graph = helper.make_graph(
        nodes,
        "au_gcn",
        [helper.make_tensor_value_info("nodes", TensorProto.FLOAT, ["N", 12, weights.width])],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["N", 12])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def onnx_call(case: KernelCase) -> Call:
    """Return a call of the graph network in ONNX Runtime."""
    arguments = case.make()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = onnx_graph(arguments["weights"])
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    feed = {"nodes": arguments["nodes"]}
    logits = kernels.au_gcn(**arguments)
    onnx_logits = session.run(None, feed)[0]
    if not np.allclose(logits, onnx_logits, atol=1e-4):
        raise RuntimeError(
            "expected au_gcn to equal ONNX Runtime, "
            f"got a difference of {np.abs(logits - onnx_logits).max()}"
        )
    return lambda: session.run(None, feed)


def run_all(pairs: int) -> list[Comparison]:
    """Run all comparisons."""
    rows = []
    for case in TIMED_CROPS:
        call = kernel_call(case)
        rows.append(
            compare(case.name, "warpAffine, cvtColor, NumPy", 6, (call, warp_chain(case)), pairs)
        )
        rows.append(
            compare(case.name, "warpAffine, blobFromImage", 2.5, (call, blob_chain(case)), pairs)
        )
    calls = (kernel_call(TIMED_GRAPH), onnx_call(TIMED_GRAPH))
    rows.append(compare("au_gcn, one face, 64 features, 2 layers", "ONNX Runtime", 5, calls, pairs))
    return rows


def as_markdown(rows: list[Comparison], pairs: int) -> str:
    """Format the record."""
    info = kernels.build_info()
    facts = describe_machine() | {
        "kernels": f"{info.isa} (native: {info.native})",
        "threads": "1, pinned",
    }
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += [
        "",
        f"Median of {pairs} interleaved pairs; CPU time of the Python call.",
        "",
        "| case | baseline | kernel, us | baseline, us | speedup | target |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row.name} | {row.baseline} | {row.kernel_us:.1f} | {row.baseline_us:.1f} "
        f"| {row.ratio:.1f} | {row.target_ratio:g} |"
        for row in rows
    ]
    return "\n".join(["# Kernels", "", *lines, ""])


def main() -> None:
    """Run `python -m benchmarks kernels`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200, help="interleaved pairs per comparison")
    parser.add_argument("--record", type=Path, help="write the table to this Markdown file as well")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    text = as_markdown(run_all(options.pairs), options.pairs)
    print(text)
    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        options.record.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
