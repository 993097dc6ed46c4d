"""Network of M7: AU intensity learned from pairs, its uncertainty, and a mapping over time.

Saito et al., "Action Units Recognition Using Improved Pairwise Deep Architecture", 2021 (arXiv
2107.03143).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES
from training.models.backbones.build_backbone import build_backbone, width_of
from training.models.backbones.vgg import Vgg16
from training.models.stages import AU_LOGIT, MethodNet, Stage, TensorForm
from training.models.tasks.grouped_linear import GroupedLinear
from training.models.temporal.intensity_history import (
    RunningHistory,
    feature_count,
    logit_of,
    soft_clamp,
    whole_video_features,
)


@dataclass(frozen=True, slots=True)
class PairwiseConfig:
    """`shared`: one trunk with 24 outputs in place of two networks for each AU.

    `mapping` false is direct classification: intensities are AU logits. `uncertainty` false
    trusts every frame alike.
    """

    trunk: str = "vgg16"
    size_px: int = 224
    shared: bool = False
    uncertainty: bool = True
    mapping: bool = True
    causal: bool = False
    window: int = 300
    stride: int = 5  # of the causal form's neighbors
    hidden: int = 4096
    hidden_layers: int = 2
    dropout: float = 0.5


def _read_out(trunk: str, outputs: int) -> nn.Module:
    """A network from [N, 3, S, S] to [N, outputs]."""
    if trunk == "vgg16":
        return Vgg16(outputs)
    backbone = build_backbone(trunk)
    return nn.Sequential(backbone, nn.Linear(width_of(backbone), outputs))


class IntensityMapping(nn.Module):
    """[N, 12, features] -> AU values [N, 12] near 0 or 1, a network for each AU."""

    def __init__(self, features: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(layers):
            parts += [
                GroupedLinear(len(AU_NAMES), features, hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
            ]
            features = hidden
        self.layers = nn.Sequential(*parts, GroupedLinear(len(AU_NAMES), features, 1))

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.layers(features).squeeze(2)
        return output


class PairwiseIntensity(MethodNet):
    """`crops` [N, 3, S, S] give `intensity_raw` and `log_sigma` [N, 12] (stages 1 and 2 of
    training).

    Sequences, as `crops` [N, T, 3, S, S] or as `intensity` and `confidence` [N, T, 12]
    computed before, return `au_value` (stage 3, trained with L1) and `au_logit` [N, T, 12].
    """

    low: Tensor
    high: Tensor
    sigma_high: Tensor

    def __init__(self, config: PairwiseConfig) -> None:
        super().__init__()
        self.config, count = config, len(AU_NAMES)
        self._frozen: list[nn.Module] = []
        if config.shared:
            self.joint: nn.Module | None = _read_out(config.trunk, 2 * count)
            self.intensity = self.sigma = None
        else:
            self.joint = None
            self.intensity = nn.ModuleList([_read_out(config.trunk, 1) for _ in range(count)])
            self.sigma = nn.ModuleList([_read_out(config.trunk, 1) for _ in range(count)])
        neighbors = config.window // config.stride if config.causal else 2 * config.window
        self.history = RunningHistory(config.window, config.stride) if config.causal else None
        self.mapping = None
        if config.mapping:
            self.mapping = IntensityMapping(
                feature_count(neighbors), config.hidden, config.hidden_layers, config.dropout
            )
        for name, value in (("low", -1.0), ("high", 1.0), ("sigma_high", 1.0)):
            self.register_buffer(name, torch.full((count,), value))

    def networks(self) -> list[nn.Module]:
        """All intensity and uncertainty networks."""
        networks = (
            [self.joint]
            if self.joint is not None
            else [*(self.intensity or ()), *(self.sigma or ())]
        )
        return [network for network in networks if network is not None]

    def freeze_first_convolutions(self) -> None:
        """Freeze the first two convolutions of every VGG16, as published; other trunks have none to
        freeze.
        """
        for network in self.networks():
            if isinstance(network, Vgg16):
                for part in [p for p in network.modules() if isinstance(p, nn.Conv2d)][:2]:
                    part.requires_grad_(False)

    def freeze_intensity(self) -> None:
        """Freeze all layers but those of uncertainty, for the second stage.

        Of a shared trunk only the last layer is trained: the loss of uncertainty has no gradient
        for the intensity half of it, which stays unchanged.
        """
        frozen = list(self.intensity or ())
        if self.joint is not None:
            last = [part for part in self.joint.modules() if isinstance(part, nn.Linear)][-1]
            frozen = [
                part
                for part in self.joint.modules()
                if part is not last and not list(part.children())
            ]
        self._freeze(frozen)

    def freeze_networks(self) -> None:
        """Freeze everything but the mapping, for the third training stage."""
        self._freeze(self.networks())

    def _freeze(self, parts: list[nn.Module]) -> None:
        self._frozen = parts
        for part in parts:
            part.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> PairwiseIntensity:
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    def fit_ranges(self, intensity_raw: Tensor, log_sigma: Tensor) -> None:
        """Set the scales of intensity and confidence to the range of training outputs [n, 12]."""
        self.low.copy_(intensity_raw.amin(dim=0))
        self.high.copy_(intensity_raw.amax(dim=0))
        self.sigma_high.copy_(log_sigma.exp().amax(dim=0))
        if self.history is not None:
            self.history.fit_population(self.scaled(intensity_raw, log_sigma)[0])

    def measure(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Raw intensity and log sigma [N, 12] of each frame."""
        if self.joint is not None:
            raw, log_sigma = self.joint(crops).chunk(2, dim=1)
        else:
            assert self.intensity is not None
            assert self.sigma is not None
            raw, log_sigma = (
                torch.cat([net(crops) for net in nets], dim=1)
                for nets in (self.intensity, self.sigma)
            )
        return raw, soft_clamp(log_sigma)

    def scaled(self, raw: Tensor, log_sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Intensity in [-1, 1] over the training set, confidence in [0, 1]."""
        intensity = 2 * (raw - self.low) / (self.high - self.low).clamp(min=1e-6) - 1
        if not self.config.uncertainty:
            return intensity, torch.ones_like(intensity)
        return intensity, (1 - log_sigma.exp() / self.sigma_high.clamp(min=1e-6)).clamp(0, 1)

    def mapped(self, features: Tensor) -> dict[str, Tensor]:
        """`au_value` and `au_logit` [N, 12] of features [N, 12, F]."""
        assert self.mapping is not None
        value = self.mapping(features)
        return {"au_value": value, "au_logit": logit_of(value)}

    def features_of(self, intensity: Tensor, confidence: Tensor) -> Tensor:
        """Input of the mapping [N, T, 12, F] from sequences [N, T, 12]."""
        if self.history is not None:
            output: Tensor = self.history(intensity, confidence)
            return output
        videos = [
            whole_video_features(s, c, self.config.window)
            for s, c in zip(intensity, confidence, strict=True)
        ]
        return torch.stack(videos)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = {}
        if "intensity" in batch:
            intensity, confidence = batch["intensity"], batch["confidence"]
        else:
            crops = batch["crops"]
            raw, log_sigma = self.measure(crops.flatten(0, 1) if crops.ndim == 5 else crops)
            if crops.ndim == 5:
                raw, log_sigma = (
                    torch.unflatten(each, 0, crops.shape[:2]) for each in (raw, log_sigma)
                )
            outputs = {"intensity_raw": raw, "log_sigma": log_sigma}
            if self.mapping is None:
                return {**outputs, "au_logit": raw}
            if crops.ndim == 4:
                return outputs
            intensity, confidence = self.scaled(raw, log_sigma)
        mapped = self.mapped(self.features_of(intensity, confidence).flatten(0, 1))
        shape = intensity.shape[:2]
        return outputs | {n: torch.unflatten(value, 0, shape) for n, value in mapped.items()}

    def input_forms(self) -> tuple[TensorForm, ...]:
        size = self.config.size_px
        return (
            TensorForm("crops", (3, size, size) if self.mapping is None else (4, 3, size, size)),
        )

    def stages(self) -> tuple[Stage, ...]:
        size, count = self.config.size_px, len(AU_NAMES)
        crops = TensorForm("crops", (3, size, size))
        if self.mapping is None:
            return (
                self.stage(
                    "frame", lambda images: (self.measure(images)[0],), (crops,), (AU_LOGIT,)
                ),
            )
        if self.history is None:
            raise ValueError(
                "whole-video percentiles look ahead; build the network with causal=true "
                "to run it on video"
            )
        history = self.history
        forms = (TensorForm("intensity", (count,)), TensorForm("confidence", (count,)))

        def temporal(intensity: Tensor, confidence: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
            features, *after = history.step(intensity, confidence, *states)
            return (self.mapped(features)["au_logit"], *after)

        return (
            self.stage("frame", lambda images: self.scaled(*self.measure(images)), (crops,), forms),
            self.stage("temporal", temporal, forms, (AU_LOGIT,), history.state_forms()),
        )
