"""M2, multi-modal and multi-task: image and audio, fused and passed through a transformer over 30
frames.
"""

from __future__ import annotations

from training.engine.optimizer import OptimizerConfig
from training.engine.recipe import select_preset
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.methods.sampling_config import SamplingConfig
from training.models.networks.multimodal_transformer import MultimodalConfig

FRAME_AU_WEIGHT = (1, 2, 1, 1, 1, 1, 1, 6, 6, 5, 1, 5)
SEQUENCE_AU_WEIGHT = (1, 2, 1, 1, 1, 1, 1, 3, 3, 3, 1, 2)


def recipe(preset: str = "published") -> MethodRecipe:
    compact = MultimodalConfig(
        "small_resnet",
        "",
        size_px=64,
        embedding=64,
        audio_first=64,
        audio_width=96,
        audio_between=32,
        utterance_tail=False,
        audio_dropout=0.2,
        heads=4,
        head_width=16,
        hidden=256,
        causal=True,
        dropout=0.3,
    )
    published = OptimizerConfig("sgd", 1e-3, 5e-4, schedule="steps", milestones=(8, 10, 12))
    return MethodRecipe(
        name="multimodal transformer",
        paper="M2",
        sentence="Fuses face and audio features over 30 frames by a transformer; tasks alternate.",
        preset=preset,
        net=select_preset(preset, {"published": MultimodalConfig(), "compact": compact}),
        normalization="half",
        losses=(
            LossTerm("focal_sigmoid", "expression_logit", "expression"),
            LossTerm("bce", "frame_au_logit", "au", options={"positive_weight": FRAME_AU_WEIGHT}),
            LossTerm(
                "shifted_bce", "au_logit", "au", options={"positive_weight": SEQUENCE_AU_WEIGHT}
            ),
        ),
        sampler="alternate",
        targets="ignore",
        optimizer=select_preset(
            preset,
            {"published": published, "compact": OptimizerConfig("adam", 2e-3, schedule="cosine")},
        ),
        batch=select_preset(preset, {"published": 64, "compact": 8}),
        epochs=select_preset(preset, {"published": 15, "compact": 10}),
        sampling=SamplingConfig(windows=8),
    )
