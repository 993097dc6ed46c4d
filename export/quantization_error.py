"""Measures the error of a quantized network against float32 on the same faces."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnxruntime

from faceaffect import kernels
from faceaffect.bundle.bundle import Bundle
from faceaffect.bundle.model_spec import HEADS
from faceaffect.kernels.activations import sigmoid
from faceaffect.outputs.decode import decode_affect
from faceaffect.types import Affect, FloatArray
from training.metrics import ccc, f1

_BATCH: Final = 32


def run_network(
    onnx_bytes: bytes, crops: FloatArray, unfused: bool = False
) -> dict[str, FloatArray]:
    """Run a network on crops [N, 3, S, S] and return all heads as float32.

    Args:
        onnx_bytes: The network.
        crops: Normalized crops.
        unfused: Disable graph optimizations: integer layers then accumulate without the
            saturation of processors that lack int8 dot products.
    """
    options = onnxruntime.SessionOptions()
    if unfused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
    is_half = session.get_inputs()[0].type == "tensor(float16)"
    inputs = crops.astype(np.float16) if is_half else crops
    batches = [
        session.run(list(HEADS), {"crops": inputs[begin : begin + _BATCH]})
        for begin in range(0, len(inputs), _BATCH)
    ]
    return {
        name: np.concatenate([batch[i] for batch in batches]).astype(np.float32)
        for i, name in enumerate(HEADS)
    }


def quantization_error(
    bundle: Bundle, quantized: bytes, crops: FloatArray, au_truth: FloatArray | None = None
) -> dict[str, float]:
    """Compare a quantized network with the bundle's float32 network.

    Args:
        bundle: The bundle.
        quantized: The quantized ONNX file.
        crops: Normalized crops [N, 3, S, S].
        au_truth: AU labels [N, 12], which add the AU F1 scores.

    Returns:
        Values by metric.
    """
    expected, actual = (
        run_network(network, crops, unfused=True) for network in (bundle.onnx, quantized)
    )
    before, after = _affect(bundle, expected), _affect(bundle, actual)
    affect_before, affect_after = (np.stack([one.valence, one.arousal]) for one in (before, after))
    shift = np.linalg.norm(actual["landmarks_px"] - expected["landmarks_px"], axis=2)
    metrics = {
        "AU probability, mean difference": _mean(after.au_probability - before.au_probability),
        "AU probability, largest difference": float(
            np.abs(after.au_probability - before.au_probability).max()
        ),
        "AU decisions that change": float((after.au_active != before.au_active).mean()),
        "expressions that change": float(
            (
                after.expression_probability.argmax(axis=1)
                != before.expression_probability.argmax(axis=1)
            ).mean()
        ),
        "valence, CCC with float32": ccc(after.valence, before.valence),
        "arousal, CCC with float32": ccc(after.arousal, before.arousal),
        "valence and arousal, mean difference": _mean(affect_after - affect_before),
        "landmarks, mean shift, crop px": float(shift.mean()),
        "landmarks, largest shift, crop px": float(shift.max()),
        "pose, mean difference, degrees": _mean(actual["pose_deg"] - expected["pose_deg"]),
        "face decisions (threshold 0.5) that change": float(
            (
                (sigmoid(actual["face_logit"]) > 0.5) != (sigmoid(expected["face_logit"]) > 0.5)
            ).mean()
        ),
    }
    if au_truth is not None:
        metrics |= {
            "mean AU F1, float32": _mean_f1(before, au_truth),
            "mean AU F1": _mean_f1(after, au_truth),
        }
    return metrics


def _affect(bundle: Bundle, heads: dict[str, Any]) -> Affect:
    au_logit = kernels.au_gcn(np.ascontiguousarray(heads["au_nodes"]), bundle.graph)
    return decode_affect(au_logit, heads["expression_logit"], heads["va_raw"], bundle.spec)


def _mean(values: FloatArray) -> float:
    return float(np.abs(values).mean())


def _mean_f1(affect: Affect, truth: FloatArray) -> float:
    """Mean F1 over the AUs with both positive and negative labels."""
    labels = truth >= 0.5
    known = [k for k in range(labels.shape[1]) if 0 < labels[:, k].sum() < len(labels)]
    return float(np.mean([f1(affect.au_active[:, k], labels[:, k]) for k in known]))
