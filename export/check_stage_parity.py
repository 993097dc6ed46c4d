"""Compares the exported stages with the PyTorch network over several frames, with states."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from faceaffect.backends import BackendOptions
from faceaffect.backends.onnx_multistage import open_stages
from faceaffect.bundle.multistage_bundle import open_multistage_bundle
from faceaffect.types import FloatArray
from training.methods.stage_to_onnx import names_in
from training.methods.stream_runner import run_in_torch
from training.models.stages import MethodNet, Stage

_FRAMES: Final = 8
_FACES: Final = (1, 3)


def check_stage_parity(net: MethodNet, bundle_folder: Path, seed: int = 0) -> dict[str, float]:
    """Largest difference of each output and state, over some frames of one and of several faces.

    Differences are absolute, or relative to the largest value of a tensor with values above 1.
    Crops and audio are noise of normalized scale; later stages get the network's own
    intermediate tensors. Both sides carry their own states.
    """
    torch.manual_seed(seed)
    exported = {
        stage.spec.name: stage
        for stage in open_stages(open_multistage_bundle(bundle_folder), BackendOptions())
    }
    differences: dict[str, float] = {}
    for count in _FACES:
        torch_states: dict[str, dict[str, Tensor]] = {}
        onnx_states: dict[str, dict[str, FloatArray]] = {}
        for _ in range(_FRAMES):
            values: dict[str, Tensor] = {}
            for stage in net.eval().stages():
                inputs = {
                    f.name: values.get(f.name, torch.randn(count, *f.shape)) for f in stage.inputs
                }
                zeros = {f.name: torch.zeros(count, *f.shape) for f in stage.states}
                expected = _run(stage, inputs | torch_states.get(stage.name, zeros))
                zero_arrays = {name: zero.numpy() for name, zero in zeros.items()}
                arrays = {name: value.numpy() for name, value in inputs.items()}
                outputs = exported[stage.name].run(
                    arrays | onnx_states.get(stage.name, zero_arrays)
                )
                for name, value in expected.items():
                    scale = max(1.0, float(value.abs().max()))
                    difference = float(np.abs(outputs[name] - value.numpy()).max()) / scale
                    differences[name] = max(differences.get(name, 0.0), difference)
                torch_states[stage.name] = {f.name: expected[f.name] for f in stage.states}
                onnx_states[stage.name] = {f.name: outputs[f.name] for f in stage.states}
                values |= {f.name: expected[f.name] for f in stage.outputs}
    return differences


def _run(stage: Stage, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    outputs = run_in_torch(stage, tuple(tensors[name] for name in names_in(stage)))
    return dict(zip([f.name for f in (*stage.outputs, *stage.states)], outputs, strict=True))
