"""Initializes a network with the weights of a bundle, to continue training or to fine-tune.

A bundle holds convolutions with their batch normalization folded in. Training needs them
separate, so the normalization is restored: each filter is divided by the standard deviation of
its output on real batches, and the normalization's scale and offset undo that. In evaluation mode
the network computes the same as the bundle; in training mode the batch statistics match the
restored ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from faceaffect.bundle.bundle import MODEL_FILE, Bundle, open_bundle
from training.models.affect_net import AffectNet

_SCOPE: Final = "net"  # under which `export.to_onnx` writes the network
_MIN_VARIANCE: Final = 1e-6  # filters with less output variance are not rescaled

NEWER_LAYERS: Final = ("affect.va_hidden.", "affect.va_joint.")
"""Layers that earlier bundles lack; their last layer is initialized to zero, so without them the
network computes the same.
"""

Values = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class _Pair:
    """A convolution and its batch normalization, with their names in the network."""

    name: str
    norm_name: str
    conv: nn.Conv2d
    norm: nn.BatchNorm2d


def init_from_bundle_weights(net: AffectNet, model: str | Path, crops: Sequence[Tensor]) -> str:
    """Load the weights of a bundle (a folder or a listed name) into `net`.

    Returns the SHA-256 of the model file.

    Args:
        crops: normalized batches [N, 3, S, S], on which the filters' variance is measured.

    Raises:
        ValueError: the bundle's network has other layers or widths, or cannot be read.
    """
    if not crops:
        raise ValueError("expected at least one batch of crops to measure the filters on, got none")
    bundle = open_bundle(model)
    values = bundle_weights(bundle)
    pairs = list(_pairs(net))
    with torch.no_grad():
        for pair in pairs:
            # Statistics of 0 and 1 make the normalization add its offset and nothing else.
            pair.norm.running_mean.zero_()  # type: ignore[union-attr]
            pair.norm.running_var.fill_(1 - pair.norm.eps)  # type: ignore[union-attr]
            pair.norm.weight.fill_(1)
        normal = {f"{pair.norm_name}.{part}": pair for pair in pairs for part in ("weight", "bias")}
        for name, target in net.named_parameters():
            if name in normal and name.endswith("weight"):
                continue
            source = f"{normal[name].name}.bias" if name in normal else name
            if source not in values and source.startswith(NEWER_LAYERS):
                continue
            if source not in values:
                raise ValueError(
                    f"{bundle.path} has no {source}: its network is another one than the recipe's"
                )
            _copy(target, values[source], source, bundle.path)
        _put_normalization_back(net, pairs, crops)
    return str(bundle.spec.files[MODEL_FILE])


def bundle_weights(bundle: Bundle) -> Values:
    """Weights of the bundle by parameter name; folded biases belong to their convolutions."""
    model = onnx.load_from_string(bundle.onnx)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = {name.removeprefix(f"{_SCOPE}."): value for name, value in tensors.items()}
    for node in model.graph.node:
        if node.op_type == "Conv" and len(node.input) == 3:
            name = _module_name(node.name)
            weights[f"{name}.weight"], weights[f"{name}.bias"] = (
                tensors[node.input[1]],
                tensors[node.input[2]],
            )
    graph = bundle.graph
    weights |= {
        "au_graph.readout_weight": graph.readout_weight,
        "au_graph.readout_bias": graph.readout_bias,
    }
    for i, (weight, bias) in enumerate(zip(graph.layer_weights, graph.layer_biases, strict=True)):
        weights |= {f"au_graph.weights.{i}": weight, f"au_graph.biases.{i}": bias}
    return weights


def _module_name(node_name: str) -> str:
    """`/net/trunk/stem/stem.0/Conv` -> `trunk.stem.0`: a level that holds numbered parts stands
    there once alone, once with the number.
    """
    levels = node_name.strip("/").split("/")[:-1]
    if levels[:1] == [_SCOPE]:
        levels = levels[1:]
    following = [*levels[1:], ""]
    return ".".join(
        level
        for level, after in zip(levels, following, strict=True)
        if not after.startswith(f"{level}.")
    )


def _pairs(net: nn.Module) -> Iterator[_Pair]:
    for name, part in net.named_modules():
        children = list(part.named_children()) if isinstance(part, nn.Sequential) else []
        for (first, conv), (second, norm) in itertools.pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                yield _Pair(f"{name}.{first}", f"{name}.{second}", conv, norm)


def _copy(target: Tensor, value: NDArray[np.float32], name: str, folder: Path) -> None:
    if tuple(target.shape) != value.shape:
        raise ValueError(
            f"{folder}: {name} must have the shape {tuple(target.shape)} of the recipe's network, "
            f"got {value.shape}"
        )
    target.copy_(torch.from_numpy(np.array(value)))


def _put_normalization_back(net: AffectNet, pairs: list[_Pair], crops: Sequence[Tensor]) -> None:
    """Measure what each filter gives, then share it out: unit spread to the filter, the rest to the
    normalization.
    """
    sums = {
        pair.name: torch.zeros(2, pair.norm.num_features, dtype=torch.float64) for pair in pairs
    }
    counts = dict.fromkeys(sums, 0)

    def watch(name: str) -> nn.modules.module.RemovableHandle:  # type: ignore[name-defined]
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            values = inputs[0].double()
            sums[name] += torch.stack([values.sum(dim=(0, 2, 3)), (values**2).sum(dim=(0, 2, 3))])
            counts[name] += values.numel() // values.shape[1]

        return by_name[name].norm.register_forward_pre_hook(note)

    by_name = {pair.name: pair for pair in pairs}
    handles = [watch(name) for name in sums]
    was_training = net.training
    net.eval()
    for batch in crops:
        net(batch)
    for handle in handles:
        handle.remove()
    net.train(was_training)
    for pair in pairs:
        mean, square = sums[pair.name] / counts[pair.name]
        variance = (square - mean**2).clamp(min=0)
        spread = torch.where(variance > _MIN_VARIANCE, variance, torch.ones_like(variance)).sqrt()
        norm = pair.norm
        norm.running_mean.copy_(mean / spread)  # type: ignore[union-attr]
        norm.running_var.copy_(variance / spread**2)  # type: ignore[union-attr]
        scale = spread * (variance / spread**2 + norm.eps).sqrt()
        norm.weight.copy_(scale)
        norm.bias.add_(mean.to(norm.bias.dtype))
        pair.conv.weight.div_(spread.to(pair.conv.weight.dtype)[:, None, None, None])
