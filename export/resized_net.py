"""A network that shrinks its crops first: a run stopped while it trained on small crops reads those best."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from training.models.affect_net import AffectNet
from training.models.au_graph import AuGraph


class ResizedNet(nn.Module):
    """`net` behind a bilinear resize to `inner_px`; landmarks stay in pixels of the crop that came in."""

    def __init__(self, net: AffectNet, inner_px: int) -> None:
        super().__init__()
        self.net = net
        self.inner_px = inner_px

    @property
    def au_graph(self) -> AuGraph:
        return self.net.au_graph

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        size = (self.inner_px, self.inner_px)
        heads: dict[str, Tensor] = self.net(functional.interpolate(crops, size, mode="bilinear", align_corners=False))
        return heads
