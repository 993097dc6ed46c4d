"""Data-parallel training over the processes that torchrun started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
from torch import Tensor, distributed, nn

COLLECTIVE_TIMEOUT: Final = timedelta(hours=12)
"""The first process evaluates and saves while the others wait; on all of Aff-Wild2 that is longer
than the default timeouts of NCCL (10 minutes) and Gloo (30 minutes).
"""


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """Rank of this process and number of processes; a single process by default.

    Each process works on its own shard of every batch. Gradients are averaged after all of a
    step's batches, and so are running statistics, so that the networks of all processes stay
    equal. A process whose shard was left out adds nothing and does not block the others.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls, device: str) -> ProcessGroup:
        """The group that torchrun describes (NCCL on CUDA, else Gloo), or this process alone."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group(
                "nccl" if device.startswith("cuda") else "gloo", timeout=COLLECTIVE_TIMEOUT
            )
        return cls(
            distributed.get_rank(),
            distributed.get_world_size(),
            int(os.environ.get("LOCAL_RANK", "0")),
        )

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def device(self, device: str) -> str:
        """Device of this process: with several, `cuda` is the GPU of its local rank."""
        return f"cuda:{self.local_rank}" if self.world_size > 1 and device == "cuda" else device

    def average(self, net: nn.Module, has_gradient: bool) -> bool:
        """Average gradients over the processes that have any, and buffers over all processes.

        Returns whether any process has a gradient.
        """
        if self.world_size == 1:
            return has_gradient
        trainable = [parameter for parameter in net.parameters() if parameter.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trainable]
        flags = torch.tensor(
            [float(p.grad is not None) for p in trainable] + [float(has_gradient)]
        ).to(gradients[0].device)
        flat = torch.cat([value.detach().float().flatten() for value in gradients] + [flags])
        distributed.all_reduce(flat)
        count = float(flat[-1])
        has_any = flat[-len(flags) : -1].tolist()
        for parameter, total, flag in zip(
            trainable, _unflatten(flat, gradients), has_any, strict=True
        ):
            parameter.grad = (total / max(count, 1.0)).to(parameter.dtype) if flag else None
        self._average_buffers(net)
        return count > 0

    def _average_buffers(self, net: nn.Module) -> None:
        buffers = [buffer for buffer in net.buffers() if buffer.dtype.is_floating_point]
        if not buffers:
            return
        flat = torch.cat([buffer.detach().float().flatten() for buffer in buffers])
        distributed.all_reduce(flat)
        for buffer, value in zip(buffers, _unflatten(flat / self.world_size, buffers), strict=True):
            buffer.copy_(value)

    def all(self, flag: bool) -> bool:
        """Whether the flag of every process is set."""
        return not self.any(not flag)

    def any(self, flag: bool) -> bool:
        """Whether the flag of any process is set."""
        if self.world_size == 1:
            return flag
        is_nccl = distributed.get_backend() == "nccl"
        count = torch.tensor(float(flag), device="cuda" if is_nccl else "cpu")
        distributed.all_reduce(count)
        return bool(count > 0)

    def wait(self) -> None:
        """Block until all processes have come here."""
        if self.world_size > 1:
            distributed.barrier()


def _unflatten(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    sizes = [each.numel() for each in like]
    parts = torch.split(flat[: sum(sizes)], sizes)
    return [part.reshape(each.shape) for part, each in zip(parts, like, strict=True)]
