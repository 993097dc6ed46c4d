"""F-TDNN over log-mel frames (Povey et al. 2018), in the speaker recognition layout of M2."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.stages import TensorForm

MEL_BANDS: Final = 64
# Kernel, dilations of the three convolutions, and earlier layers concatenated to the input (besides
# the previous one).
_LAYERS: Final[tuple[tuple[int, tuple[int, int, int], tuple[int, ...]], ...]] = (
    (2, (2, 2, 2), ()),  # 02
    (1, (1, 1, 1), ()),  # 03
    (2, (3, 3, 2), ()),  # 04
    (1, (1, 1, 1), (3,)),  # 05
    (2, (3, 3, 2), ()),  # 06
    (2, (3, 3, 2), (4, 2)),  # 07
    (2, (3, 3, 2), ()),  # 08
    (1, (1, 1, 1), (6, 4)),  # 09
)


class TimeConv(nn.Module):
    """Convolution along time, [N, C, L] -> [N, C', L].

    `before` columns of its context precede a frame (default: all).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        dilation: int,
        before: int | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, dilation=dilation, bias=bias)
        self.context = (kernel - 1) * dilation
        self.before = self.context if before is None else before

    def forward(self, audio: Tensor) -> Tensor:
        output: Tensor = self.conv(functional.pad(audio, (self.before, self.context - self.before)))
        return output

    def step(self, audio: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """Process the next columns; `cache` holds the `context` columns before (zeros first)."""
        joined = torch.cat([cache, audio], dim=2)
        return self.conv(joined), joined[:, :, joined.shape[2] - self.context :]

    def constrain(self) -> None:
        """Step towards orthogonal rows of equal length (Kaldi's semi-orthogonal update)."""
        with torch.no_grad():
            weight = self.conv.weight.flatten(1)
            if weight.shape[0] > weight.shape[1]:
                weight = weight.T
            product = weight @ weight.T
            trace = product.diagonal().sum()
            scale = (product * product).sum() / trace
            product.diagonal().sub_(scale)
            weight.sub_(product @ weight, alpha=0.5 / float(scale))


class FactorizedLayer(nn.Module):
    """Two bottleneck convolutions without bias and one out of the bottleneck, then ReLU and batch
    normalization.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        between: int,
        kernel: int,
        dilations: tuple[int, int, int],
        causal: bool,
    ):
        super().__init__()
        widths = (inputs, between, between, outputs)
        before: list[int | None] = [None] * 3
        if not causal:  # the three together are as symmetric around a frame as possible
            halves = [math.ceil((kernel - 1) * sum(dilations[:i]) / 2) for i in range(4)]
            before = [halves[i + 1] - halves[i] for i in range(3)]
        self.factors = nn.ModuleList(
            [
                TimeConv(widths[i], widths[i + 1], kernel, dilations[i], before[i], bias=i == 2)
                for i in range(3)
            ]
        )
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, audio: Tensor) -> Tensor:
        for factor in self.factors:
            audio = factor(audio)
        output: Tensor = self.norm(torch.relu(audio))
        return output


class Ftdnn(nn.Module):
    """Log-mel [N, L, 64] -> [N, L, outputs].

    `causal` puts all context before a frame. `utterance` adds the speaker recognizer's tail,
    which describes a recording by statistics over time; it is for pretraining on recordings
    with one label and does not run per frame.
    """

    def __init__(
        self,
        outputs: int = 512,
        first: int = 512,
        width: int = 1024,
        between: int = 256,
        causal: bool = False,
        utterance: bool = False,
    ) -> None:
        super().__init__()
        self.causal, self.outputs = causal, outputs
        self.first = TimeConv(MEL_BANDS, first, 5, 1, None if causal else 2)
        self.first_norm = nn.BatchNorm1d(first)
        layers, inputs = [], first
        for kernel, dilations, joined in _LAYERS:
            layers.append(
                FactorizedLayer(
                    inputs + width * len(joined), width, between, kernel, dilations, causal
                )
            )
            inputs = width
        self.layers = nn.ModuleList(layers)
        self.read = nn.Linear(width, outputs)
        self.utterance = None
        if utterance:
            self.utterance = nn.ModuleList(
                [nn.Linear(width, 2 * width), nn.Linear(4 * width, outputs)]
            )

    def _convolutions(self) -> list[TimeConv]:
        return [part for part in self.modules() if isinstance(part, TimeConv)]

    def constrain(self) -> None:
        """Keep the bottlenecks semi-orthogonal; call this every few optimizer steps."""
        for layer in self.layers:
            assert isinstance(layer, FactorizedLayer)
            for factor in list(layer.factors)[:2]:
                assert isinstance(factor, TimeConv)
                factor.constrain()

    def _hidden(
        self, mel: Tensor, caches: dict[TimeConv, Tensor] | None
    ) -> tuple[Tensor, dict[TimeConv, Tensor]]:
        after: dict[TimeConv, Tensor] = {}

        def run(part: TimeConv, audio: Tensor) -> Tensor:
            if caches is None or not part.context:
                output: Tensor = part(audio)
                return output
            audio, after[part] = part.step(audio, caches[part])
            return audio

        audio = self.first_norm(torch.relu(run(self.first, mel.transpose(1, 2))))
        outputs: dict[int, Tensor] = {}
        for number, (layer, (_, _, joined)) in enumerate(
            zip(self.layers, _LAYERS, strict=True), start=2
        ):
            assert isinstance(layer, FactorizedLayer)
            audio = torch.cat([audio, *[outputs[earlier] for earlier in joined]], dim=1)
            for factor in layer.factors:
                assert isinstance(factor, TimeConv)
                audio = run(factor, audio)
            audio = outputs[number] = layer.norm(torch.relu(audio))
        return audio.transpose(1, 2), after

    def forward(self, mel: Tensor) -> Tensor:
        return torch.relu(self.read(self._hidden(mel, None)[0]))

    def state_forms(self) -> tuple[TensorForm, ...]:
        """Cached columns of each convolution with context."""
        held = [part for part in self._convolutions() if part.context]
        return tuple(
            TensorForm(f"audio_{i}", (part.conv.in_channels, part.context))
            for i, part in enumerate(held)
        )

    def step(self, mel: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Process the next mel frames.

        Args:
            mel: [N, L, 64].
            states: those of `state_forms`.

        Returns:
            [N, L, outputs] and the new states.
        """
        if not self.causal:
            raise ValueError("a non-causal F-TDNN cannot run on streamed audio; build it causal")
        held = [part for part in self._convolutions() if part.context]
        hidden, after = self._hidden(mel, dict(zip(held, states, strict=True)))
        return (torch.relu(self.read(hidden)), *[after[part] for part in held])
