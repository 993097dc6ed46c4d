"""Measures all metrics of the record of the default model, as part of every export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.clip_metrics import clip_metrics
from training.evaluation.cost_metrics import cost_metrics
from training.evaluation.image_metrics import (
    expression_metrics,
    synthetic_image_metrics,
    web_face_metrics,
)
from training.evaluation.speech_metrics import speech_metrics
from training.evaluation.stability_metrics import stability_metrics
from training.evaluation.video_metrics import renderwild_metrics


def model_metrics(
    bundle: Path,
    shared: Path,
    labels: Path,
    synthetic_images: Path | None = None,
    synthetic_videos: Path | None = None,
) -> dict[str, Any]:
    """Returns metrics by section.

    Only identities that were not trained on count in `synthetic_images` and `synthetic_videos` (a
    RenderWild folder in the layout of Aff-Wild2).
    """
    runner = BundleRunner(bundle)
    results = {
        "cost": cost_metrics(runner),
        "expression": expression_metrics(runner, shared, labels),
        "web_faces": web_face_metrics(runner, shared, labels),
        "clips": clip_metrics(runner, shared),
        "speech": speech_metrics(runner, shared),
        "stability": stability_metrics(runner, bundle, shared, labels),
    }
    if synthetic_images is not None:
        results["synthetic_images"] = synthetic_image_metrics(runner, synthetic_images)
    if synthetic_videos is not None:
        results["renderwild"] = renderwild_metrics(bundle, synthetic_videos)
    return results
