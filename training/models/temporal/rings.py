"""Rings: the last values of a sequence, newest at the end, and how many of them are real."""

from __future__ import annotations

import torch
from torch import Tensor


def push(ring: Tensor, value: Tensor) -> Tensor:
    """[N, L, ...] and [N, ...] -> [N, L + 1, ...], the value at the end; the new ring is all but
    the first.
    """
    return torch.cat([ring, value.unsqueeze(1)], dim=1)


def present(count: Tensor, distances: Tensor) -> Tensor:
    """1 where an entry `distances` [L] frames back was seen, given `count` [N, 1] frames before
    this one; [N, L].
    """
    return (distances <= count).to(count.dtype)


def windows(frames: Tensor, length: int, spacing: int = 1) -> tuple[Tensor, Tensor]:
    """For each of [N, T, ...] the frames t - (length - 1) spacing ... t, zeros before the start.

    Gives [N, T, length, ...] and which are real [N, T, length].
    """
    steps = frames.shape[1]
    back = torch.arange(length - 1, -1, -1, device=frames.device) * spacing
    places = torch.arange(steps, device=frames.device)[:, None] - back
    real = (places >= 0).to(frames.dtype).expand(frames.shape[0], -1, -1)
    picked = frames[:, places.clamp(min=0)]
    return picked * real.reshape(*real.shape, *[1] * (frames.ndim - 2)), real
