"""Exports a stage as an ONNX model: inputs and states to outputs and new states, by name."""

from __future__ import annotations

import io
import warnings
from typing import Final

import onnx
import torch
from torch import Tensor, nn

from faceaffect.bundle.check_onnx import check_onnx
from faceaffect.bundle.stage_spec import STATE_SUFFIX
from training.models.stages import Stage

OPSET: Final = 17
BATCH: Final = "N"


class _Positional(nn.Module):
    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.module = stage.module

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = self.module(*tensors)
        return outputs


def names_in(stage: Stage) -> list[str]:
    return [form.name for form in (*stage.inputs, *stage.states)]


def names_out(stage: Stage) -> list[str]:
    return [form.name for form in stage.outputs] + [
        form.name + STATE_SUFFIX for form in stage.states
    ]


def stage_to_onnx(stage: Stage) -> bytes:
    """A checked model with a dynamic batch axis N; the network is put into evaluation mode.

    Raises:
        BundleError: The network needs operators that bundles may not have, such as control flow.
    """
    example = tuple(torch.zeros(2, *form.shape) for form in (*stage.inputs, *stage.states))
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Positional(stage).eval(),
            example,
            buffer,  # type: ignore[arg-type]
            input_names=names_in(stage),
            output_names=names_out(stage),
            dynamic_axes={name: {0: BATCH} for name in names_in(stage) + names_out(stage)},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    onnx.checker.check_model(model, full_check=True)
    content = bytes(model.SerializeToString())
    check_onnx(content, f"stage {stage.name}")
    return content
