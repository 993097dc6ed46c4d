"""Exports a PyTorch network as ONNX; the graph layer of the default model is stored separately."""

from __future__ import annotations

import io
import warnings
from typing import Final

import onnx
import torch
from torch import Tensor, nn

from faceaffect.bundle.model_spec import HEADS

OPSET: Final = 17


class _NamedHeads(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        heads = self.net(crops)
        return tuple(heads[name] for name in HEADS)


def export_onnx(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    input_names: list[str],
    output_names: list[str],
    dynamic_axes: dict[str, dict[int, str]],
) -> bytes:
    """Export a module in evaluation mode and check the ONNX model."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            inputs,
            buffer,  # type: ignore[arg-type]  # the TorchScript exporter accepts a buffer
            input_names=input_names,
            output_names=output_names,
            dynamic_axes=dynamic_axes,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def to_onnx(net: nn.Module, size_px: int) -> bytes:
    """Export the default model: input `crops` [N, 3, S, S], outputs `HEADS`, dynamic N.

    Batch normalization is folded.
    """
    names = list(HEADS)
    axes = {name: {0: "N"} for name in ["crops", *names]}
    crops = torch.zeros(2, 3, size_px, size_px)
    return export_onnx(_NamedHeads(net), (crops,), ["crops"], names, axes)
