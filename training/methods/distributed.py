"""Data-parallel training: what one process of several does (torchrun starts them)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
from torch import Tensor, distributed, nn

LONGEST_WAIT: Final = timedelta(hours=12)
"""For another process. The first one judges and saves while the others wait, on all of Aff-Wild2
for longer than the ten minutes (NCCL) or thirty (Gloo) after which they would give up.
"""


@dataclass(frozen=True, slots=True)
class Processes:
    """Which of how many processes this is; alone by default.

    Each process works on its own share of every batch. Gradients are averaged after all of a
    step's batches, and so are running statistics, so that the networks of all processes stay
    equal. A process whose share was left out adds nothing and does not hold the others up.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def joined(cls, device: str) -> Processes:
        """The processes that torchrun started, their group opened (NCCL on CUDA, Gloo else); or
        this one alone.
        """
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group(
                "nccl" if device.startswith("cuda") else "gloo", timeout=LONGEST_WAIT
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
        """This process's own device: with several, `cuda` is the GPU of its number."""
        return f"cuda:{self.local_rank}" if self.world > 1 and device == "cuda" else device

    def average(self, net: nn.Module, has_gradient: bool) -> bool:
        """Average gradients over the processes that have any, and buffers over all; whether any
        process has a gradient.
        """
        if self.world == 1:
            return has_gradient
        trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        given = torch.tensor(
            [float(p.grad is not None) for p in trained] + [float(has_gradient)]
        ).to(parts[0].device)
        flat = torch.cat([part.detach().float().flatten() for part in parts] + [given])
        distributed.all_reduce(flat)
        count = float(flat[-1])
        places = flat[-len(given) : -1].tolist()
        for parameter, value, there in zip(trained, _split(flat, parts), places, strict=True):
            parameter.grad = (value / max(count, 1.0)).to(parameter.dtype) if there else None
        self._average_buffers(net)
        return count > 0

    def _average_buffers(self, net: nn.Module) -> None:
        buffers = [buffer for buffer in net.buffers() if buffer.dtype.is_floating_point]
        if not buffers:
            return
        flat = torch.cat([buffer.detach().float().flatten() for buffer in buffers])
        distributed.all_reduce(flat)
        for buffer, value in zip(buffers, _split(flat / self.world, buffers), strict=True):
            buffer.copy_(value)

    def any(self, flag: bool, device: str) -> bool:
        """Whether `flag` is set in any process."""
        if self.world == 1:
            return flag
        found = torch.tensor(float(flag), device=device)
        distributed.all_reduce(found, op=distributed.ReduceOp.MAX)
        return bool(found > 0)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            distributed.barrier()


def _split(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    found, at = [], 0
    for each in like:
        found.append(flat[at : at + each.numel()].reshape(each.shape))
        at += each.numel()
    return found
