"""All figures of the record of the default model: `python -m training figures BUNDLE`, and part of
every export.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.clip_metrics import clip_figures
from training.evaluation.cost_metrics import cost_figures
from training.evaluation.image_metrics import expression_metrics, place_figures, rendered_figures
from training.evaluation.speech_metrics import speech_figures
from training.evaluation.stability_metrics import steadiness_figures
from training.evaluation.video_metrics import wild_figures


def model_metrics(
    bundle: Path, shared: Path, labels: Path, renders: Path | None = None, wild: Path | None = None
) -> dict[str, Any]:
    """Figures by section; of `renders` and the RenderWild in `wild` only identities count that were
    never trained on.
    """
    runner = BundleRunner(bundle)
    figures = {
        "cost": cost_figures(runner),
        "expression": expression_metrics(runner, shared, labels),
        "place": place_figures(runner, shared, labels),
        "clips": clip_figures(runner, shared),
        "speech": speech_figures(runner, shared),
        "steadiness": steadiness_figures(runner, bundle, shared, labels),
    }
    if renders is not None:
        figures["rendered"] = rendered_figures(runner, renders)
    if wild is not None:
        figures["wild"] = wild_figures(bundle, wild)
    return figures
