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


def _cost(parts: nn.Module | list[nn.Module], call: Callable[[], object]) -> Cost:
    parts = parts if isinstance(parts, list) else [parts]
    return Cost(sum(parameter_count(part) for part in parts), macs_of(call))


def _network_row(
    paper: str, part: str, expected: tuple[float | None, float | None], *options: str
) -> CostRow:
    net = _net(paper, *options)
    batch = {
        name: value[:, 0] if name == "crops" and value.ndim == 5 else value
        for name, value in net.zeros(device="meta").items()
    }
    return CostRow(paper, part, _cost(net, lambda: net(batch)), expected)


def _multimodal() -> Iterator[CostRow]:
    net = _net("M2")
    assert isinstance(net, MultimodalTransformer)
    frame, audio, trunk = _zeros(1, 3, 112, 112), net.audio, net.sequence_trunk
    assert audio is not None
    assert trunk is not None
    heads = [net.trunk, net.frame_expression, net.frame_au]
    yield CostRow(
        "M2", "frame (iResNet-100)", _cost(heads, lambda: net({"crops": frame})), (65.2, 12.09)
    )
    yield CostRow(
        "M2", "sequence trunk (IR-SE50)", _cost(trunk, lambda: trunk(frame)), (43.8, 6.30)
    )
    yield CostRow(
        "M2",
        "audio, one second (F-TDNN)",
        _cost(audio, lambda: audio(_zeros(1, MEL_PER_SECOND, 64))),
        (14.15, 1.0),
    )
    encoder = net.encoder
    yield CostRow(
        "M2",
        "transformer, 30 frames",
        _cost(encoder, lambda: encoder(_zeros(1, 30, 1024))),
        (6.3, 0.19),
    )


def _clip() -> Iterator[CostRow]:
    net = _net("M5")
    assert isinstance(net, MeanTeacherClip)
    audio = net.audio
    assert audio is not None
    yield CostRow(
        "M5",
        "clip (R(2+1)D-18)",
        _cost(net.video, lambda: net.video(_zeros(1, 4, 8, 112, 112))),
        (31.3, 20.3),
    )
    yield CostRow(
        "M5",
        "audio, ten seconds (ResNet-18)",
        _cost(audio, lambda: audio(_zeros(1, 1, 64, 1001))),
        (11.2, 2.24),
    )


def _pairwise() -> Iterator[CostRow]:
    for part, options, expected in (
        ("24 x VGG16", (), (3200.0, 371.0)),
        ("one VGG16", ("net.shared=true",), (134.4, 15.47)),
    ):
        net = _net("M7", *options)
        assert isinstance(net, PairwiseIntensity)
        crops = _zeros(1, 3, 224, 224)
        yield CostRow(
            "M7",
            part,
            _cost(net.networks(), partial(net.measure, crops)),
            expected,
        )
    mapping = net.get_submodule("mapping")
    total = _cost(mapping, lambda: mapping(_zeros(1, 12, 1221)))
    yield CostRow(
        "M7", "mapping of one AU", Cost(total.parameters // 12, total.macs // 12), (21.8, 0.022)
    )


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
    yield from _recurrent()


def _recurrent() -> Iterator[CostRow]:
    net = _net("M8")
    grus = net.get_submodule("grus")
    head = grus.get_submodule("va")
    yield CostRow(
        "M8",
        "VA head, BiGRU, one frame",
        _cost(head, lambda: head(_zeros(1, 1, 128))),
        (0.079656, None),
    )
