"""Parameters and costs of the published networks, compared with the literature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from training.methods.recipe_lookup import find_recipe
from training.models.cost import Cost, macs_of, on_meta, parameter_count
from training.models.networks.build_network import build_network
from training.models.networks.mean_teacher_clip import MeanTeacherClip
from training.models.networks.multimodal_transformer import MEL_PER_SECOND, MultimodalTransformer
from training.models.networks.pairwise_intensity import PairwiseIntensity
from training.models.stages import MethodNet


@dataclass(frozen=True, slots=True)
class CostRow:
    """A network or a part of one; `expected` are parameters in millions and GMACs, each None where
    none is given.
    """

    paper: str
    part: str
    cost: Cost
    expected: tuple[float | None, float | None]

    def differences(self) -> tuple[float | None, float | None]:
        """Relative differences of parameters and multiply-accumulates from what was expected."""
        ours = (self.cost.parameters / 1e6, self.cost.macs / 1e9)
        first, second = (
            None if expected is None else value / expected - 1
            for value, expected in zip(ours, self.expected, strict=True)
        )
        return first, second


def _net(name: str, *options: str) -> MethodNet:
    recipe = find_recipe(name, "published", list(options))
    net = on_meta(lambda: build_network(recipe.net))
    assert isinstance(net, MethodNet)
    return net


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, device="meta")


def _cost(parts: list[nn.Module], call: Callable[[], object]) -> Cost:
    return Cost(sum(parameter_count(part) for part in parts), macs_of(call))


def _network_row(
    paper: str, part: str, expected: tuple[float | None, float | None], *options: str
) -> CostRow:
    net = _net(paper, *options)
    batch = {
        name: value[:, 0] if name == "crops" and value.ndim == 5 else value
        for name, value in net.zeros(device="meta").items()
    }
    return CostRow(paper, part, _cost([net], lambda: net(batch)), expected)


def _part_row(
    paper: str,
    part: str,
    expected: tuple[float | None, float | None],
    module: nn.Module,
    shape: tuple[int, ...],
) -> CostRow:
    """Row of a module that takes one input of the given shape."""
    return CostRow(paper, part, _cost([module], lambda: module(_zeros(*shape))), expected)


def _multimodal() -> Iterator[CostRow]:
    net = _net("M2")
    assert isinstance(net, MultimodalTransformer)
    audio, trunk = net.audio, net.sequence_trunk
    assert audio is not None
    assert trunk is not None
    parts = [net.trunk, net.frame_expression]
    crop, second = (1, 3, 112, 112), (1, MEL_PER_SECOND, 64)
    frame_cost = _cost(parts, lambda: net.frame_expression(net.trunk(_zeros(*crop))))
    yield CostRow("M2", "frame (iResNet-100)", frame_cost, (65.2, 12.09))
    yield _part_row("M2", "sequence trunk (IR-SE50)", (43.8, 6.30), trunk, crop)
    yield _part_row("M2", "audio, one second (F-TDNN)", (14.15, 1.0), audio, second)
    yield _part_row("M2", "transformer, 30 frames", (6.3, 0.19), net.encoder, (1, 30, 1024))


def _clip() -> Iterator[CostRow]:
    net = _net("M5")
    assert isinstance(net, MeanTeacherClip)
    assert net.audio is not None
    yield _part_row("M5", "clip (R(2+1)D-18)", (31.3, 20.3), net.video, (1, 4, 8, 112, 112))
    yield _part_row(
        "M5", "audio, ten seconds (ResNet-18)", (11.2, 2.24), net.audio, (1, 1, 64, 1001)
    )


def _pairwise() -> Iterator[CostRow]:
    for part, options, expected in (
        ("24 x VGG16", (), (3200.0, 371.0)),
        ("one VGG16", ("net.shared=true",), (134.4, 15.47)),
    ):
        net = _net("M7", *options)
        assert isinstance(net, PairwiseIntensity)
        cost = _cost(net.networks(), partial(net.measure, _zeros(1, 3, 224, 224)))
        yield CostRow("M7", part, cost, expected)
    mapping = net.get_submodule("mapping")
    total = _cost([mapping], lambda: mapping(_zeros(1, 12, 1221)))
    per_au = Cost(total.parameters // 12, total.macs // 12)
    yield CostRow("M7", "mapping of one AU", per_au, (21.8, 0.022))


def cost_rows() -> Iterator[CostRow]:
    """All rows, M1 to M8, each at its published input size unless the part says another."""
    yield _network_row("M1", "pair @224", (47.0, 6.28))
    yield _network_row("M1", "pair @112", (47.0, 1.19), "net.size_px=112")
    yield _network_row("M1", "student @224", (23.5, 3.14), "net.student=true")
    yield from _multimodal()
    yield _network_row("M3", "@112", (25.6, 1.08))
    yield _network_row("M4", "@176", (25.2, 8.76))
    yield from _clip()
    yield _network_row("M6", "@128", (26.8, 2.26))
    yield from _pairwise()
    yield _network_row("M8", "CNN @112", (24.0, 1.08), "net.recurrence=none")
    head = _net("M8").get_submodule("grus").get_submodule("va")
    yield _part_row("M8", "VA head, BiGRU, one frame", (0.079656, None), head, (1, 1, 128))
