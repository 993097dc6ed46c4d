"""M4, joint adaptive attention and graph relation: a region for each AU, joined by a graph of what
appears together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from training.engine.optimizer import OptimizerConfig
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.methods.sampling_config import SamplingConfig
from training.models.networks.attention_graph import AttentionGraphConfig

PUBLISHED: Final = MethodRecipe(
    name="attention and graph relation",
    paper="M4",
    sentence="Attends to the landmarks of each AU and relates AUs by a co-occurrence graph.",
    preset="published",
    net=AttentionGraphConfig(),
    normalization="half",
    losses=(
        LossTerm("pair_ce", "au_pair", "au"),
        LossTerm("pair_dice", "au_pair", "au"),
        LossTerm("pair_ce", "local_pair", "au"),
        LossTerm("pair_dice", "local_pair", "au"),
        LossTerm("pair_ce", "graph_pair", "au"),
        LossTerm("pair_dice", "graph_pair", "au"),
        LossTerm("landmark", "landmarks_49", "landmarks_49", weight=0.5),
    ),
    sampler="mixed",
    targets="ignore",
    optimizer=OptimizerConfig(
        "sgd", 1e-2, 5e-4, nesterov=True, schedule="steps", milestones=(2, 4, 6, 8, 10), factor=0.3
    ),
    batch=8,
    epochs=12,
)
COMPACT: Final = replace(
    PUBLISHED,
    preset="compact",
    net=AttentionGraphConfig(
        size_px=96, unit=2, refine_width=8, local_hidden=16, head_hidden=128, node_width=32
    ),
    optimizer=OptimizerConfig("adam", 2e-3, 1e-4, schedule="cosine", max_gradient_norm=5.0),
    batch=32,
    epochs=10,
    sampling=SamplingConfig(every=2),
)
