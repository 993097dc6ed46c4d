"""The exported stages against the network in PyTorch, frame after frame with memory."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from faceaffect.backends import BackendOptions
from faceaffect.backends.onnx_multistage import open_stages
from faceaffect.bundle.multistage_bundle import open_multistage_bundle
from training.methods.stage_to_onnx import names_in
from training.methods.stream_runner import run_in_torch
from training.models.stages import MethodNet, Stage

_FRAMES: Final = 8
_FACES: Final = (1, 3)


def check_stage_parity(net: MethodNet, bundle_folder: Path, seed: int = 0) -> dict[str, float]:
    """Largest difference of each output and state, over some frames of one and of several faces:
    absolute, and of a tensor that holds values above 1 as a share of its largest, since float32
    rounds by shares.

    Crops and audio are noise of the scale that normalization gives them; what passes from stage
    to stage is the network's own. Both sides carry their own states.
    """
    torch.manual_seed(seed)
    exported = {
        stage.spec.name: stage
        for stage in open_stages(open_multistage_bundle(bundle_folder), BackendOptions())
    }
    differences: dict[str, float] = {}
    for count in _FACES:
        ours: dict[str, dict[str, Tensor]] = {}
        theirs: dict[str, dict[str, np.ndarray]] = {}
        for _ in range(_FRAMES):
            values: dict[str, Tensor] = {}
            for stage in net.eval().stages():
                given = {
                    f.name: values.get(f.name, torch.randn(count, *f.shape)) for f in stage.inputs
                }
                zeros = {f.name: torch.zeros(count, *f.shape) for f in stage.states}
                found = _run(stage, given | ours.get(stage.name, zeros))
                states = theirs.get(
                    stage.name, {name: zero.numpy() for name, zero in zeros.items()}
                )
                told = exported[stage.name].run(
                    {name: value.numpy() for name, value in given.items()} | states
                )
                for name, value in found.items():
                    size = max(1.0, float(value.abs().max()))
                    gap = float(np.abs(told[name] - value.numpy()).max()) / size
                    differences[name] = max(differences.get(name, 0.0), gap)
                ours[stage.name] = {f.name: found[f.name] for f in stage.states}
                theirs[stage.name] = {f.name: told[f.name] for f in stage.states}
                values |= {f.name: found[f.name] for f in stage.outputs}
    return differences


def _run(stage: Stage, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    found = run_in_torch(stage, tuple(tensors[name] for name in names_in(stage)))
    return dict(zip([f.name for f in (*stage.outputs, *stage.states)], found, strict=True))
