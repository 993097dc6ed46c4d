"""Batch normalization over the shards of all processes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

_Norm = nn.modules.batchnorm._BatchNorm


class _Synced(_Norm):
    """A batch normalization whose training statistics are those of the shards together.

    `torch.nn.SyncBatchNorm` computes the same on GPUs only.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Any shape [N, C, ...]."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            output: Tensor = super().forward(input)
            return output
        axes = [0, *range(2, input.ndim)]
        values = input.float()
        count = values.new_full((1,), values.numel() / values.shape[1])
        sums = torch.cat([values.sum(axes), (values * values).sum(axes), count])
        total, squares, number = all_reduce(sums).split([self.num_features] * 2 + [1])  # type: ignore[no-untyped-call]
        mean = total / number
        variance = (squares / number - mean * mean).clamp(min=0)
        self._update(mean.detach(), variance.detach() * number.detach() / (number.detach() - 1))
        shape = [1, -1, *[1] * (input.ndim - 2)]
        scale = torch.rsqrt(variance + self.eps)
        normal: Tensor = (values - mean.view(shape)) * scale.view(shape)
        if self.weight is not None:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        result: Tensor = normal.to(input.dtype)
        return result

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


def sync_batch_norms(net: nn.Module) -> int:
    """Let all batch normalizations of a network share their statistics; returns their number.

    Processes must run them on as many batches each, or they wait for each other.
    """
    norms = [part for part in net.modules() if isinstance(part, _Norm)]
    for norm in norms:
        norm.__class__ = _Synced
    return len(norms)
