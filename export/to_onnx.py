"""The network as an ONNX file with the outputs that `spec.HEADS` names; the graph layer stays
outside.
"""

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


def to_onnx(net: nn.Module, size_px: int) -> bytes:
    """A checked model: input `crops` [N, 3, S, S], N free; batch normalization folded."""
    buffer = io.BytesIO()
    names = list(HEADS)
    free = {name: {0: "N"} for name in ["crops", *names]}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _NamedHeads(net).eval(), (torch.zeros(2, 3, size_px, size_px),), buffer, input_names=["crops"],
            output_names=names, dynamic_axes=free, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()
