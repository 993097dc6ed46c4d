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
    bundle: Path, shared: Path, labels: Path, renders: Path | None = None, wild: Path | None = None
) -> dict[str, Any]:
    """Returns metrics by section.

    Only identities that were not trained on count in `renders` (synthetic images) and `wild` (a
    RenderWild folder, synthetic videos in the layout of Aff-Wild2).
    """
    runner = BundleRunner(bundle)
    results = {
        "cost": cost_metrics(runner),
        "expression": expression_metrics(runner, shared, labels),
        "place": web_face_metrics(runner, shared, labels),
        "clips": clip_metrics(runner, shared),
        "speech": speech_metrics(runner, shared),
        "steadiness": stability_metrics(runner, bundle, shared, labels),
    }
    if renders is not None:
        results["rendered"] = synthetic_image_metrics(runner, renders)
    if wild is not None:
        results["wild"] = renderwild_metrics(bundle, wild)
    return results
