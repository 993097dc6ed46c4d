"""Transformer encoder over fused features: over a full window (M2 as published), or causal with a
key-value cache.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.models.stages import TensorForm
from training.models.temporal.rings import present, push

_NEVER = -1e9


def sinusoids(steps: int, width: int) -> Tensor:
    """Sinusoidal positions [steps, width] (Vaswani et al. 2017)."""
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angle = torch.arange(steps)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each with a shortcut and post-normalization.

    A causal layer attends to the last `window` frames, including the current one; a learned bias
    per head and distance replaces absolute positions, so that cached keys stay valid while the
    window slides.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        head_width: int,
        hidden: int,
        window: int,
        causal: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.heads, self.head_width, self.window = heads, head_width, window
        inner = heads * head_width
        self.query, self.key, self.value = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.join = nn.Linear(inner, width, bias=False)
        self.norm_attention, self.norm_hidden = nn.LayerNorm(width), nn.LayerNorm(width)
        self.hidden = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )
        self.dropout = nn.Dropout(dropout)
        self.distance_bias = nn.Parameter(torch.zeros(heads, window)) if causal else None

    def _split(self, values: Tensor) -> Tensor:  # [N, T, inner] -> [N, heads, T, head_width]
        return torch.unflatten(values, 2, (self.heads, self.head_width)).transpose(1, 2)

    def _after(self, frames: Tensor, scores: Tensor, values: Tensor) -> Tensor:
        attended = (
            torch.matmul(self.dropout(scores.softmax(dim=-1)), values).transpose(1, 2).flatten(2)
        )
        frames = self.norm_attention(frames + self.dropout(self.join(attended)))
        output: Tensor = self.norm_hidden(frames + self.dropout(self.hidden(frames)))
        return output

    def forward(self, frames: Tensor) -> Tensor:  # [N, T, width]
        query, key, value = (
            self._split(part(frames)) for part in (self.query, self.key, self.value)
        )
        scores = torch.matmul(query, key.transpose(2, 3)) * self.head_width**-0.5
        if self.distance_bias is not None:
            position = torch.arange(frames.shape[1], device=frames.device)
            distance = position[:, None] - position[None, :]
            outside = (distance < 0) | (distance >= self.window)
            scores = scores + self.distance_bias[:, distance.clamp(0, self.window - 1)]
            scores = scores.masked_fill(outside, _NEVER)
        return self._after(frames, scores, value)

    def step(
        self, frame: Tensor, keys: Tensor, values: Tensor, count: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Process a frame [N, width]; caches [N, window - 1, inner] hold `count` [N, 1] frames."""
        if self.distance_bias is None:
            raise ValueError("a non-causal encoder cannot run frame by frame; build it causal")
        keys, values = push(keys, self.key(frame)), push(values, self.value(frame))
        query = self._split(self.query(frame).unsqueeze(1))
        scores = torch.matmul(query, self._split(keys).transpose(2, 3)) * self.head_width**-0.5
        back = torch.arange(self.window - 1, -1, -1, device=frame.device, dtype=frame.dtype)
        mask = present(count, back)[:, None, None, :]
        scores = (scores + self.distance_bias.flip(1)[:, None, :]) * mask + (1 - mask) * _NEVER
        out = self._after(frame.unsqueeze(1), scores, self._split(values))[:, 0]
        return out, keys[:, 1:], values[:, 1:]


class SequenceEncoder(nn.Module):
    """[N, T, width] -> [N, T, width]; without layers it is only a normalization."""

    def __init__(
        self,
        width: int,
        layers: int = 1,
        heads: int = 8,
        head_width: int = 64,
        hidden: int = 2048,
        window: int = 30,
        causal: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.causal, self.window, self.inner = causal, window, heads * head_width
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(
            [
                EncoderLayer(width, heads, head_width, hidden, window, causal, dropout)
                for _ in range(layers)
            ]
        )

    def forward(self, frames: Tensor) -> Tensor:
        if not self.causal:
            frames = frames + sinusoids(frames.shape[1], frames.shape[2]).to(frames)
        frames = self.norm(frames)
        for layer in self.layers:
            frames = layer(frames)
        return frames

    def state_forms(self) -> tuple[TensorForm, ...]:
        """Keys and values of each layer, then the number of frames so far (up to the window)."""
        cache = (self.window - 1, self.inner)
        forms = [
            TensorForm(f"{kind}_{i}", cache)
            for i in range(len(self.layers))
            for kind in ("keys", "values")
        ]
        return (*forms, TensorForm("frames_seen", (1,)))

    def step(self, frame: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Encode a frame [N, width] with the states of `state_forms`.

        Returns:
            The encoded frame and the new states.
        """
        if not self.causal:
            raise ValueError("a non-causal encoder cannot run frame by frame; build it causal")
        frame, count, after = self.norm(frame), states[-1], []
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, EncoderLayer)
            frame, keys, values = layer.step(frame, states[2 * i], states[2 * i + 1], count)
            after += [keys, values]
        return (frame, *after, (count + 1).clamp(max=self.window - 1))
