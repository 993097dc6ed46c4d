"""What a precision costs: its read-outs against those of float32 on the same faces, by metric,
through ONNX Runtime.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnxruntime

from faceaffect import kernels
from faceaffect.bundle.bundle import Bundle
from faceaffect.bundle.model_spec import HEADS
from faceaffect.outputs.decode import decode_affect, sigmoid
from faceaffect.types import Affect, FloatArray
from training.metrics import ccc, f1

_BATCH: Final = 32


def run_network(
    onnx_bytes: bytes, crops: FloatArray, as_written: bool = False
) -> dict[str, FloatArray]:
    """All heads of crops [N, 3, S, S], float32. `as_written` runs every node by itself: integer
    layers then sum without the saturation of processors that have no dot products of bytes.
    """
    options = onnxruntime.SessionOptions()
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
    is_half = session.get_inputs()[0].type == "tensor(float16)"
    fed = crops.astype(np.float16) if is_half else crops
    parts = [
        session.run(list(HEADS), {"crops": fed[at : at + _BATCH]})
        for at in range(0, len(fed), _BATCH)
    ]
    return {
        name: np.concatenate([part[i] for part in parts]).astype(np.float32)
        for i, name in enumerate(HEADS)
    }


def quantization_error(
    bundle: Bundle, changed: bytes, crops: FloatArray, au_truth: FloatArray | None = None
) -> dict[str, float]:
    """Figures by name; those that start with `F1` need the truth [N, 12] and are of faces whose AUs
    are known.
    """
    wanted, got = (
        run_network(network, crops, as_written=True) for network in (bundle.onnx, changed)
    )
    before, after = _affect(bundle, wanted), _affect(bundle, got)
    affect_before, affect_after = (np.stack([one.valence, one.arousal]) for one in (before, after))
    shift = np.linalg.norm(got["landmarks_px"] - wanted["landmarks_px"], axis=2)
    figures = {
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
        "pose, mean difference, degrees": _mean(got["pose_deg"] - wanted["pose_deg"]),
        "faces above 0.5 that change sides": float(
            ((sigmoid(got["face_logit"]) > 0.5) != (sigmoid(wanted["face_logit"]) > 0.5)).mean()
        ),
    }
    if au_truth is not None:
        figures |= {
            "F1 of the AUs, float32": _mean_f1(before, au_truth),
            "F1 of the AUs, here": _mean_f1(after, au_truth),
        }
    return figures


def _affect(bundle: Bundle, heads: dict[str, Any]) -> Affect:
    au_logit = kernels.au_gcn(np.ascontiguousarray(heads["au_nodes"]), bundle.graph)
    return decode_affect(au_logit, heads["expression_logit"], heads["va_raw"], bundle.spec)


def _mean(values: FloatArray) -> float:
    return float(np.abs(values).mean())


def _mean_f1(affect: Affect, truth: FloatArray) -> float:
    """Over the AUs that the truth knows both ways."""
    shown = truth >= 0.5
    known = [k for k in range(shown.shape[1]) if 0 < shown[:, k].sum() < len(shown)]
    return float(np.mean([f1(affect.au_active[:, k], shown[:, k]) for k in known]))
