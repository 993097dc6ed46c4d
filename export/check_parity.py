"""Compares the exported files with the PyTorch network."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from faceaffect import kernels
from faceaffect.bundle.bundle import open_bundle
from training.models.affect_net import AffectNet

TOLERANCE: Final = 1e-4


def check_parity(
    net: AffectNet, bundle_folder: Path, crops: NDArray[np.float32]
) -> dict[str, float]:
    """Largest absolute difference of each head and `au_logit` on normalized crops [N, 3, S, S]."""
    bundle = open_bundle(bundle_folder)
    session = onnxruntime.InferenceSession(bundle.onnx, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    exported = dict(zip(names, session.run(names, {"crops": crops}), strict=True))
    exported["au_logit"] = kernels.au_gcn(exported["au_nodes"], bundle.graph)
    with torch.no_grad():
        heads = net.eval()(torch.from_numpy(crops))
        heads["au_logit"] = net.au_graph(heads["au_nodes"])
    return {name: float(np.abs(exported[name] - heads[name].numpy()).max()) for name in exported}


def exceeding_tolerance(differences: dict[str, float]) -> dict[str, float]:
    """Outputs that differ by more than `TOLERANCE`, or by NaN."""
    return {name: value for name, value in differences.items() if not value <= TOLERANCE}
