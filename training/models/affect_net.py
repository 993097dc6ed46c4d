"""The default network: trunk, heads and AU graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.models.au_graph import AuGraph
from training.models.heads import AffectHead, AuNodes, GeometryHead
from training.models.trunk import Trunk, TrunkConfig, initialize


@dataclass(frozen=True, slots=True)
class NetConfig:
    """Layer widths of the network."""

    trunk: TrunkConfig
    node_width: int = 64
    graph_layers: int = 2
    embed_width: int = 256
    place_channels: int = 32
    place_width: int = 192
    dropout: float = 0.3
    va_hidden: int = 128


class AffectNet(nn.Module):
    """Network with the outputs of `spec.HEADS`; `au_graph` maps `au_nodes` to AU logits."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        # Trains the trunk in bfloat16; never the heads, since landmarks need more than 8 bits.
        self.uses_bfloat16 = False
        self.trunk = Trunk(config.trunk)
        fine, coarse = self.trunk.fine_channels, self.trunk.coarse_channels
        self.au_nodes = AuNodes(fine, coarse, config.node_width)
        self.affect = AffectHead(
            coarse, config.node_width, config.embed_width, config.dropout, config.va_hidden
        )
        self.geometry = GeometryHead(coarse, config.place_channels, config.place_width)
        self.au_graph = AuGraph(config.node_width, config.graph_layers)
        initialize(self)

    def forward(self, crops: Tensor) -> dict[str, Tensor]:  # normalized [N, 3, S, S]
        if self.uses_bfloat16 and self.training:
            with torch.autocast(crops.device.type, torch.bfloat16):
                fine, coarse = self.trunk(crops)
            fine, coarse = fine.float(), coarse.float()
        else:
            fine, coarse = self.trunk(crops)
        nodes = self.au_nodes(fine, coarse)
        expression, va = self.affect(coarse, nodes)
        return {
            "au_nodes": nodes,
            "expression_logit": expression,
            "va_raw": va,
            **self.geometry(coarse),
        }
