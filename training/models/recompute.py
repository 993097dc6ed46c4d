"""Activation checkpointing: blocks of trunks keep their inputs alone and are computed again for the
backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from training.models.backbones.inception_resnet_v1 import Branches
from training.models.backbones.ir_se50 import IrSeBlock
from training.models.backbones.iresnet import ImprovedBlock
from training.models.backbones.mobilefacenet import DepthWise
from training.models.backbones.r2plus1d import ClipBlock
from training.models.backbones.resnet import BasicBlock, Bottleneck
from training.models.backbones.vgg import Vgg16
from training.models.encoders.patch_conv import RegionLayer

BLOCKS: Final = (
    BasicBlock,
    Bottleneck,
    Branches,
    ClipBlock,
    DepthWise,
    ImprovedBlock,
    IrSeBlock,
    RegionLayer,
    Vgg16,
)
_Norm = nn.modules.batchnorm._BatchNorm


def recompute_blocks(net: nn.Module) -> int:
    """Let all blocks of `BLOCKS` in a network recompute their activations; returns their number.

    Names of parameters, outputs, gradients and running statistics stay the same.
    """
    blocks: list[Any] = [part for part in net.modules() if isinstance(part, BLOCKS)]
    for block in blocks:
        # Another class, since a copied network must call its own blocks.
        block.__class__ = _recomputed(type(block))  # type: ignore[arg-type]
    return len(blocks)


@cache
def _recomputed(block_class: Any) -> Any:
    """The subclass of a block that recomputes its forward pass."""

    def forward(self: nn.Module, *inputs: Any) -> Any:
        plain = block_class.forward.__get__(self)
        if not torch.is_grad_enabled() or not _needs_gradient(self, inputs):
            return plain(*inputs)
        return checkpoint(
            plain,
            *inputs,
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), _kept_statistics(self)),
        )

    return type(f"Recomputed{block_class.__name__}", (block_class,), {"forward": forward})


def _needs_gradient(block: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether forward would keep anything; a frozen block on images keeps nothing."""
    values = [*block.parameters(), *inputs]
    return any(isinstance(value, Tensor) and value.requires_grad for value in values)


def _kept_statistics(block: nn.Module) -> AbstractContextManager[None]:
    return _without_update([part for part in block.modules() if isinstance(part, _Norm)])


@contextmanager
def _without_update(norms: list[Any]) -> Iterator[None]:
    """Batch statistics are used, but running ones are not updated a second time."""
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
