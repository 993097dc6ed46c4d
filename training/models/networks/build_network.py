"""Builds a network from its configuration."""

from __future__ import annotations

from typing import Any, Final

from training.models.networks.attention_graph import AttentionGraph, AttentionGraphConfig
from training.models.networks.incomplete_labels import IncompleteLabels, IncompleteLabelsConfig
from training.models.networks.mean_teacher_clip import MeanTeacherClip, MeanTeacherClipConfig
from training.models.networks.multi_database import MultiDatabase, MultiDatabaseConfig
from training.models.networks.multimodal_transformer import MultimodalConfig, MultimodalTransformer
from training.models.networks.pairwise_intensity import PairwiseConfig, PairwiseIntensity
from training.models.networks.prior_aided_streaming import (
    PriorAidedStreaming,
    PriorAidedStreamingConfig,
)
from training.models.networks.pyramid_multitask import PyramidConfig, PyramidMultitask
from training.models.stages import MethodNet

NETWORKS: Final[dict[type, Any]] = {
    PriorAidedStreamingConfig: PriorAidedStreaming,
    MultimodalConfig: MultimodalTransformer,
    IncompleteLabelsConfig: IncompleteLabels,
    AttentionGraphConfig: AttentionGraph,
    MeanTeacherClipConfig: MeanTeacherClip,
    PyramidConfig: PyramidMultitask,
    PairwiseConfig: PairwiseIntensity,
    MultiDatabaseConfig: MultiDatabase,
}
"""Network class of each configuration class, M1 to M8."""


def build_network(config: Any) -> MethodNet:
    """Network of a configuration, with random weights."""
    if type(config) not in NETWORKS:
        raise TypeError(
            f"expected one of {[c.__name__ for c in NETWORKS]}, got {type(config).__name__}"
        )
    net = NETWORKS[type(config)](config)
    assert isinstance(net, MethodNet)
    return net
