"""M4, joint adaptive attention and graph relation: a region for each AU, joined by a graph of what
appears together.
"""

from __future__ import annotations

from training.methods.optimizer import OptimizerConfig
from training.methods.recipe import Recipe, pick
from training.methods.sampling_config import SamplingConfig
from training.methods.total_loss import LossTerm
from training.models.networks.attention_graph import AttentionGraphConfig


def recipe(preset: str = "published") -> Recipe:
    compact = AttentionGraphConfig(
        size_px=96, unit=2, refine_width=8, local_hidden=16, head_hidden=128, node_width=32
    )
    published = OptimizerConfig(
        "sgd", 1e-2, 5e-4, nesterov=True, schedule="steps", milestones=(2, 4, 6, 8, 10), factor=0.3
    )
    return Recipe(
        name="attention and graph relation",
        paper="M4",
        sentence="Draws attention around each AU's landmarks and lets AUs that appear together inform each other.",
        preset=preset,
        net=pick(preset, {"published": AttentionGraphConfig(), "compact": compact}),
        normalization="half",
        losses=(
            LossTerm("pair_ce", "au_pair", "au"),
            LossTerm("pair_dice", "au_pair", "au"),
            LossTerm("pair_ce", "local_pair", "au"),
            LossTerm("pair_dice", "local_pair", "au"),
            LossTerm("bce", "graph_logit", "au"),
            LossTerm("landmark", "landmarks_49", "landmarks_49", weight=0.5),
        ),
        sampler="mixed",
        targets="ignore",
        optimizer=pick(
            preset,
            {
                "published": published,
                "compact": OptimizerConfig("adam", 2e-3, 1e-4, schedule="cosine"),
            },
        ),
        batch=pick(preset, {"published": 8, "compact": 32}),
        epochs=pick(preset, {"published": 12, "compact": 10}),
        sampling=SamplingConfig(every=pick(preset, {"published": 1, "compact": 2})),
    )
