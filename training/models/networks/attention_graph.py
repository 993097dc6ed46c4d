"""Network of M4: landmarks and AUs; attention selects a region per AU, a graph connects them.

"Action Unit Detection with Joint Adaptive Attention and Graph Relation", 2021 (arXiv 2107.04389),
on top of JAA-Net (Shao et al. 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES
from training.models.backbones.region_trunk import (
    REGION,
    block_copies,
    feature_block,
    region_layers,
)
from training.models.backbones.resnet import init_convolutions
from training.models.encoders.au_attention import POINTS, AuAttention
from training.models.mean_shape import MEAN_SHAPE_PX
from training.models.networks.jaa_weights import from_jaa, is_jaa
from training.models.stages import AU_LOGIT, MethodNet, Stage, TensorForm
from training.models.tasks.graph_relation import GraphRelation

_COUNT = len(AU_NAMES)
MEAN_SHAPE_SIDE_PX = 112  # of the crop that the mean shape is given in
_MARGIN = 8  # cells that four unpadded convolutions take off the attention grid


@dataclass(frozen=True, slots=True)
class AttentionGraphConfig:
    """`unit` scales all channels. Without `attention` every AU sees the whole region map; without
    `graph` no relation.
    """

    size_px: int = 176
    unit: int = 8
    refine_width: int = 64
    local_hidden: int = 64
    head_hidden: int = 512
    node_width: int = 64
    attention: bool = True
    graph: bool = True


def refinement(width: int) -> nn.Sequential:
    """Four unpadded convolutions per AU map, 1 - width - width - width - 1, then a sigmoid."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, width), (width, width), (width, width)):
        layers += [
            nn.Conv2d(_COUNT * inputs, _COUNT * outputs, 3, groups=_COUNT),
            nn.BatchNorm2d(_COUNT * outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.Conv2d(_COUNT * width, _COUNT, 3, groups=_COUNT), nn.Sigmoid())


class AttentionGraph(MethodNet):
    """Returns `au_logit`, the mean of head and graph, and outputs for training.

    These are `au_pair`, `local_pair` and `graph_pair` [N, 12, 2] (inactive, active) and
    `landmarks_49` [N, 49, 2] in crop pixels. Nodes are the local features averaged over their
    cells; the construction used by M4 is not published.
    """

    def __init__(self, config: AttentionGraphConfig) -> None:
        super().__init__()
        if config.size_px % 16:
            raise ValueError(
                "size_px must be divisible by 16 (8 x 8 patches on two resolutions), "
                f"got {config.size_px}"
            )
        self.config, unit = config, config.unit
        self.map_cells = config.size_px // 4
        self.region = region_layers(unit)
        channels, cells = 20 * unit, self.map_cells // 8
        flat = channels * cells**2
        self.align = feature_block(8 * unit, unit)
        self.landmarks = nn.Sequential(
            nn.Linear(flat, config.head_hidden), nn.Linear(config.head_hidden, 2 * len(POINTS))
        )
        self.first_attention = (
            AuAttention(config.size_px, self.map_cells + _MARGIN) if config.attention else None
        )
        self.refine = refinement(config.refine_width) if config.attention else None
        self.local = feature_block(8 * unit, unit, groups=_COUNT)
        # Each AU's two linear layers on its flat features, as one grouped convolution each.
        self.local_hidden = nn.Conv2d(
            _COUNT * channels, _COUNT * config.local_hidden, cells, groups=_COUNT
        )
        self.local_read = nn.Conv2d(_COUNT * config.local_hidden, _COUNT * 2, 1, groups=_COUNT)
        self.whole = feature_block(8 * unit, unit)
        self.head = nn.Sequential(
            nn.Linear(3 * flat, config.head_hidden), nn.Linear(config.head_hidden, 2 * _COUNT)
        )
        self.relation = GraphRelation(channels, config.node_width) if config.graph else None
        init_convolutions(self)
        self._start_at_mean_shape()

    def _start_at_mean_shape(self) -> None:
        """Initialize landmarks to the mean shape, so that attention starts on the face."""
        last = self.landmarks[1]
        assert isinstance(last, nn.Linear)
        mean = torch.from_numpy(MEAN_SHAPE_PX[list(POINTS)]) / MEAN_SHAPE_SIDE_PX - 0.5
        with torch.no_grad():
            last.weight.mul_(0.1)
            if last.bias.device.type != "meta":
                last.bias.copy_(mean.flatten())

    def from_region_trunk(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Initialize all feature blocks, also those of the AUs, from the trunk's block."""
        region = {name: value for name, value in weights.items() if name.startswith(f"{REGION}.")}
        return (
            region
            | block_copies(weights, "align")
            | block_copies(weights, "whole")
            | block_copies(weights, "local", _COUNT)
        )

    def from_public(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Weights of JAA-Net's six files."""
        if not is_jaa(weights):
            return None
        return from_jaa(weights, self.state_dict(), self.config.size_px)

    def _landmarks(self, aligned: Tensor) -> Tensor:
        """Landmarks [N, 49, 2] in pixels; the layer outputs them in crop sides from the center."""
        sides = self.landmarks(aligned.flatten(1)).unflatten(1, (len(POINTS), 2))
        output: Tensor = (sides + 0.5) * self.config.size_px
        return output

    def _local(self, region: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        """Features [N, 12, channels, cells, cells] and attention maps [N, 12, H, W] of the AUs."""
        if self.first_attention is None or self.refine is None:
            attention = torch.ones_like(region[:, :1]).expand(-1, _COUNT, -1, -1)
        else:
            attention = self.refine(self.first_attention(landmarks))
        attended = region.unsqueeze(1) * attention.unsqueeze(2)
        return self.local(attended.flatten(1, 2)).unflatten(1, (_COUNT, -1)), attention

    def _heads(self, crops: Tensor) -> dict[str, Tensor]:
        region = self.region(crops)
        aligned = self.align(region)
        landmarks = self._landmarks(aligned)
        local, attention = self._local(region, landmarks)
        pairs = (
            self.local_read(self.local_hidden(local.flatten(1, 2)))
            .flatten(1)
            .unflatten(1, (_COUNT, 2))
        )
        joined = [aligned, self.whole(region), local.detach().mean(dim=1)]
        head = self.head(torch.cat([features.flatten(1) for features in joined], dim=1)).unflatten(
            1, (_COUNT, 2)
        )
        outputs = {
            "au_pair": head,
            "local_pair": pairs,
            "landmarks_49": landmarks,
            "attention": attention,
        }
        if self.relation is not None:
            outputs["au_nodes"] = self.relation(local.mean(dim=(3, 4)))
        return outputs

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        outputs = self._heads(batch["crops"])
        logit = _active(outputs["au_pair"])
        if self.relation is not None:
            graph = self.relation.graph(outputs["au_nodes"])
            outputs |= {"graph_pair": torch.stack([-graph / 2, graph / 2], dim=2)}
            logit = (logit + graph) / 2
        return {**outputs, "au_logit": logit}

    def input_forms(self) -> tuple[TensorForm, ...]:
        return (TensorForm("crops", (3, self.config.size_px, self.config.size_px)),)

    def stages(self) -> tuple[Stage, ...]:
        """`frame` omits outputs for training only; `graph` combines its nodes and logits."""
        crops, relation = self.input_forms(), self.relation
        if relation is None:
            return (
                self.stage(
                    "frame",
                    lambda images: (_active(self._heads(images)["au_pair"]),),
                    crops,
                    (AU_LOGIT,),
                ),
            )

        def frame(images: Tensor) -> tuple[Tensor, ...]:
            outputs = self._heads(images)
            return outputs["au_nodes"], _active(outputs["au_pair"])

        def graph(nodes: Tensor, head: Tensor) -> tuple[Tensor, ...]:
            return ((head + relation.graph(nodes)) / 2,)

        between = (
            TensorForm("au_nodes", (_COUNT, self.config.node_width)),
            TensorForm("head_logit", (_COUNT,)),
        )
        return (
            self.stage("frame", frame, crops, between),
            self.stage("graph", graph, between, (AU_LOGIT,)),
        )


def _active(pairs: Tensor) -> Tensor:
    """Logit of "active" from (inactive, active) pairs."""
    return pairs[..., 1] - pairs[..., 0]
