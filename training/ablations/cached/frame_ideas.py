"""Ideas of M1, M3 and M4 on cached features: each function trains all arms of one idea on
one split, the full method first.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.ablations.cached.data import CachedData, Labels, Rows, Split
from training.ablations.cached.fit import (
    ArmScores,
    Draw,
    FitConfig,
    Outputs,
    Predict,
    fit,
    judge,
    scorer,
    uniform,
)
from training.datasets.frame_table import TASKS
from training.losses.action_units import inverse_rate_weights
from training.losses.ranking import triplet
from training.losses.total_loss import LossTerm, total_loss
from training.methods.multi_stage.expression_triplets import TripletRows
from training.methods.multi_stage.identity_prior import MARGIN, SCALE
from training.models.au_graph import adjacency_from_prototypes
from training.models.tasks.graph_relation import GraphRelation
from training.models.tasks.self_cure import SelfCureHeads
from training.models.tasks.streaming_heads import StreamingHeads

Arms = dict[str, ArmScores]

ALL_TASKS: Final = ("AU", "EXPR", "VA")
TERMS: Final = (
    LossTerm("bce", "au_logit", "au"),
    LossTerm("ce_smooth", "expression_logit", "expression"),
    LossTerm("ccc", "va", "va"),
)
LABELED_PEOPLE: Final = 1 / 3  # of M1's training people
BOTH_LABELS: Final = 0.1  # of M3's frames


class Heads(nn.Module):
    """[N, D] -> a hidden layer, dropout and M5's heads; alpha is one without `cure`."""

    def __init__(
        self, inputs: int, hidden: int = 128, dropout: float = 0.5, cure: bool = False
    ) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.heads = SelfCureHeads(hidden, cure)

    def forward(self, features: Tensor) -> Outputs:
        au, expression, va, alpha = self.heads(self.hidden(features))
        logit = expression[:, : len(EXPRESSION_NAMES)]
        return {"au_logit": au, "expression_logit": logit, "va": va, "alpha": alpha}


def frame_predict(net: nn.Module, data: CachedData) -> Predict:
    return lambda rows: net(data.features[rows])


def fit_heads(
    net: nn.Module,
    data: CachedData,
    split: Split,
    labels: Labels,
    tasks: tuple[str, ...],
    draw: Draw,
    stream: int,
    config: FitConfig | None = None,
) -> ArmScores:
    """Train heads on labels and judge them."""
    terms = tuple(term for task, term in zip(TASKS, TERMS, strict=True) if task in tasks)

    def loss(rows: Tensor, step: int) -> Tensor:
        return total_loss(terms, net(data.features[rows]), labels.batch(rows))["loss"]

    predict = frame_predict(net, data)
    steps = fit(
        net,
        loss,
        draw,
        scorer(predict, data, split, tasks),
        split.random(stream),
        config or FitConfig(),
    )
    return judge(predict, data, split, tasks, steps)


class _Projection(nn.Module):
    """[N, D] -> unit vectors [N, width]."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, width, bias=False), nn.BatchNorm1d(width))

    def forward(self, features: Tensor) -> Tensor:
        return functional.normalize(self.layers(features), dim=1)


class _Deviation(nn.Module):
    """M1 on features: sigmoid(face) minus sigmoid(identity) or 1/2, and streaming heads."""

    def __init__(self, face: nn.Module, identity: nn.Module | None, order: str) -> None:
        super().__init__()
        self.face = copy.deepcopy(face)
        self.identity = None if identity is None else copy.deepcopy(identity).requires_grad_(False)
        self.heads = StreamingHeads(64, order=order)

    def train(self, mode: bool = True) -> _Deviation:
        super().train(mode)
        if self.identity is not None:
            self.identity.eval()
        return self

    def embed(self, features: Tensor) -> Tensor:
        face = torch.sigmoid(self.face(features))
        return face - (0.5 if self.identity is None else torch.sigmoid(self.identity(features)))

    def forward(self, features: Tensor) -> Outputs:
        pairs, expression, va = self.heads(self.embed(features))
        return {"au_logit": pairs[..., 1], "expression_logit": expression, "va": va}


def _identity_branch(data: CachedData, split: Split) -> nn.Module:
    """A projection that tells the training people apart (CosFace)."""
    net = _Projection(data.features.shape[1], 64)
    people = nn.Parameter(torch.randn(data.people, 64))
    net.register_parameter("people", people)
    person = torch.from_numpy(data.person)

    def loss(rows: Tensor, step: int) -> Tensor:
        cosine = net(data.features[rows]) @ functional.normalize(people, dim=1).T
        is_person = functional.one_hot(person[rows], data.people).float()
        return functional.cross_entropy(SCALE * (cosine - MARGIN * is_person), person[rows])

    config = FitConfig(max_steps=200, check_every=200)
    fit(net, loss, uniform(split.train), lambda: 0.0, split.random(11), config)
    return net


def _learn_triplets(net: _Deviation, data: CachedData, rows: TripletRows, split: Split) -> None:
    code = nn.Linear(64, 16, bias=False)
    both = nn.ModuleList([net, code])

    def loss(chosen: Tensor, step: int) -> Tensor:
        drawn, margin = rows.draw(split.random(1000 + step))
        flat = data.features[torch.from_numpy(drawn).flatten()]
        codes = functional.normalize(code(net.embed(flat)), dim=1)
        anchor, positive, negative = torch.unflatten(codes, 0, (-1, 3)).unbind(dim=1)
        return triplet(anchor, positive, negative, torch.from_numpy(margin))

    config = FitConfig(max_steps=200, check_every=200)
    fit(both, loss, lambda random, step: torch.zeros(1), lambda: 0.0, split.random(12), config)


def streaming_prior(data: CachedData, split: Split) -> Arms:
    """M1. A third of the training people are labeled; of the others only the person is known."""
    people = np.unique(data.person[split.train])
    chosen = split.random(1).permutation(people)[: max(3, round(LABELED_PEOPLE * len(people)))]
    labeled = split.train[np.isin(data.person[split.train], chosen)]
    shown = np.zeros(len(data.person), bool)
    shown[labeled] = True
    table = data.table.keep_labels(np.repeat(shown[:, None], 3, axis=1))
    triplets = TripletRows(table, 24)
    identity = _identity_branch(data, split)
    arms: Arms = {}
    for name, subtracts, learns, order in (
        ("full", True, True, "au_expression_va"),
        ("no identity subtraction", False, True, "au_expression_va"),
        ("no triplets", True, False, "au_expression_va"),
        ("parallel heads", True, True, "parallel"),
    ):
        torch.manual_seed(split.seed)
        net = _Deviation(identity, identity if subtracts else None, order)
        if learns:
            _learn_triplets(net, data, triplets, split)
        arms[name] = fit_heads(net, data, split, data.labels, ALL_TASKS, uniform(labeled), 13)
    return arms


def label_phases(data: CachedData, split: Split) -> Arms:
    """M3. Each training frame has AU labels or an expression; a tenth has both."""
    kind = split.random(2).random(len(data.person))
    both = kind < BOTH_LABELS
    first = kind < BOTH_LABELS + (1 - BOTH_LABELS) / 2
    labels = data.labels.masked(first | both, ~first | both, np.zeros(len(kind), bool))
    train = split.train[data.labels.expression_mask[split.train].numpy() > 0]
    groups = [train[~(first | both)[train]], train[(first & ~both)[train]], train[both[train]]]
    arms: Arms = {}
    for name, draw in (
        ("full", _phases(groups)),
        ("no curriculum", uniform(train)),
        ("fully labeled only", uniform(groups[2])),
    ):
        torch.manual_seed(split.seed)
        net = Heads(data.features.shape[1])
        arms[name] = fit_heads(net, data, split, labels, ("AU", "EXPR"), draw, 14)
    return arms


def _phases(groups: Sequence[Rows], batch: int = 64) -> Draw:
    """Expressions, then AUs, then both, each for its share of an epoch's steps."""
    counts = [max(1, -(-len(group) // batch)) for group in groups]
    ends = np.cumsum(counts)
    draws = [uniform(group, batch) for group in groups]

    def draw(random: np.random.Generator, step: int) -> Tensor:
        phase = int(np.searchsorted(ends, (step - 1) % ends[-1], side="right"))
        return draws[phase](random, step)

    return draw


class _GraphNet(nn.Module):
    """M4's relation over nodes [N, 12, W]; `adjacency` replaces the graph of the labels."""

    def __init__(self, inputs: int, adjacency: Tensor | None, labels: Labels, rows: Rows) -> None:
        super().__init__()
        self.relation = GraphRelation(inputs, 32)
        if adjacency is None:
            self.relation.fit_adjacency(labels.au[rows], labels.au_mask[rows])
        else:
            self.relation.graph.adjacency.copy_(adjacency)

    def forward(self, nodes: Tensor) -> Outputs:
        logit = self.relation.graph(self.relation(nodes))
        return {"au_logit": logit, "graph_pair": torch.stack([-logit / 2, logit / 2], dim=2)}


def au_graph(data: CachedData, split: Split) -> Arms:
    """M4. AU logits of a graph over nodes; the controls have no edges, all edges, or those of the
    default network (expression prototypes).
    """
    labels = data.labels
    nodes = data.nodes
    if nodes is None:
        nodes = data.features[:, None].expand(-1, len(AU_NAMES), -1)
    weight = inverse_rate_weights(labels.au[split.train], labels.au_mask[split.train])
    terms = (LossTerm("pair_ce", "graph_pair", "au"), LossTerm("pair_dice", "graph_pair", "au"))
    arms: Arms = {}
    count = len(AU_NAMES)
    # All edges, but a node itself counts as much as all others, or the nodes would become one.
    joined = torch.eye(count) / 2 + torch.full((count, count), 0.5 / count)
    for name, adjacency in (
        ("full", None),
        ("no graph", torch.eye(count)),
        ("all units connected", joined),
        ("prototypes", torch.from_numpy(adjacency_from_prototypes())),
    ):
        torch.manual_seed(split.seed)
        net = _GraphNet(nodes.shape[2], adjacency, labels, split.train)

        def loss(rows: Tensor, step: int, net: nn.Module = net) -> Tensor:
            return total_loss(terms, net(nodes[rows]), labels.batch(rows), weight)["loss"]

        def predict(rows: Rows, net: nn.Module = net) -> Outputs:
            outputs: Outputs = net(nodes[rows])
            return {"au_logit": outputs["au_logit"]}

        steps = fit(
            net,
            loss,
            uniform(split.train),
            scorer(predict, data, split, ("AU",)),
            split.random(15),
        )
        arms[name] = judge(predict, data, split, ("AU",), steps)
    return arms
