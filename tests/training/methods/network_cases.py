"""Small compact networks of all eight methods with random weights and statistics."""

from __future__ import annotations

import torch

from training.methods.recipe_lookup import RECIPES, find_recipe
from training.models.networks.build_network import build_network
from training.models.stages import MethodNet

SMALL: dict[str, list[str]] = {
    "prior_aided_streaming": ["net.size_px=48", "net.embedding=32"],
    "multimodal_transformer": ["net.size_px=48", "net.window=6", "net.layers=2"],
    "incomplete_labels": ["net.size_px=48"],
    "attention_graph": ["net.size_px=48"],
    "mean_teacher": ["net.size_px=32", "net.mel_columns=101"],
    "feature_pyramid": ["net.size_px=64", "net.width=16"],
    "pairwise_intensity": ["net.size_px=32", "net.window=20", "net.hidden=8"],
    "multi_database": ["net.size_px=32"],
}
VARIANTS: dict[str, tuple[str, list[str]]] = {
    **{name: (name, []) for name in RECIPES},
    "prior_aided_streaming, parallel": ("prior_aided_streaming", ["net.order=parallel"]),
    "prior_aided_streaming, with identity": (
        "prior_aided_streaming",
        ["net.subtract_identity=false"],
    ),
    "prior_aided_streaming, student": ("prior_aided_streaming", ["net.student=true"]),
    "multimodal_transformer, vision only": ("multimodal_transformer", ["net.audio=false"]),
    "multimodal_transformer, no transformer": ("multimodal_transformer", ["net.layers=0"]),
    "attention_graph, no graph": ("attention_graph", ["net.graph=false"]),
    "attention_graph, no attention": ("attention_graph", ["net.attention=false"]),
    "mean_teacher, 3d": ("mean_teacher", ["net.clip=3d", "net.base=8"]),
    "mean_teacher, no cure": ("mean_teacher", ["net.cure=false", "net.audio=false"]),
    "feature_pyramid, per level": ("feature_pyramid", ["net.levels=per_level"]),
    "feature_pyramid, last level": ("feature_pyramid", ["net.levels=last"]),
    "pairwise_intensity, direct": ("pairwise_intensity", ["net.mapping=false"]),
    "pairwise_intensity, no uncertainty": ("pairwise_intensity", ["net.uncertainty=false"]),
    "multi_database, no GRU": ("multi_database", ["net.recurrence=none"]),
}
"""Recipes and their variants for ablations."""


def small_net(name: str, *options: str, seed: int = 0) -> MethodNet:
    """Compact network in evaluation mode with random batch statistics."""
    recipe = find_recipe(name, "compact", [*SMALL[name], *options])
    torch.manual_seed(seed)
    net = build_network(recipe.net)
    for key, value in net.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif key.endswith("distance_bias"):
            value.normal_(0, 1)
    return net.eval()


def variant(name: str) -> MethodNet:
    recipe, options = VARIANTS[name]
    return small_net(recipe, *options)
