"""Ring buffers of the last values of a sequence, newest last."""

from __future__ import annotations

import torch
from torch import Tensor


def push(ring: Tensor, value: Tensor) -> Tensor:
    """Append [N, ...] to [N, L, ...] -> [N, L + 1, ...]; the new ring omits the first entry."""
    return torch.cat([ring, value.unsqueeze(1)], dim=1)


def present(count: Tensor, distances: Tensor) -> Tensor:
    """Mask [N, L] of entries `distances` [L] frames back that exist after `count` [N, 1] frames."""
    return (distances <= count).to(count.dtype)


def windows(frames: Tensor, length: int, spacing: int = 1) -> tuple[Tensor, Tensor]:
    """Windows of the frames t - (length - 1) spacing ... t for each t, zeros before the start.

    Returns:
        [N, T, length, ...] for frames [N, T, ...], and the mask of existing ones [N, T, length].
    """
    steps = frames.shape[1]
    back = torch.arange(length - 1, -1, -1, device=frames.device) * spacing
    indices = torch.arange(steps, device=frames.device)[:, None] - back
    real = (indices >= 0).to(frames.dtype).expand(frames.shape[0], -1, -1)
    picked = frames[:, indices.clamp(min=0)]
    return picked * real.reshape(*real.shape, *[1] * (frames.ndim - 2)), real
