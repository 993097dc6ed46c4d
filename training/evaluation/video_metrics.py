"""The model on RenderWild's validation videos: people it has never seen, with exact truth, through
the SDK's own crops path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.evaluation.affwild2_labels import load_labels
from training.evaluation.dataset_metrics import FigureOptions, dataset_metrics, plain
from training.evaluation.predict_crops import predict_crops, usual_workers


def wild_figures(bundle: Path, wild: Path) -> dict[str, Any]:
    """The scores of ABAW2 with their intervals over videos, and what a reader needs beside them."""
    labels = load_labels(wild, "validation")
    predictions, notes = predict_crops(str(bundle), labels, usual_workers())
    judged = plain(dataset_metrics(labels, predictions, FigureOptions()))
    au, expression, va = (
        judged[name] for name in ("action_units", "expression", "valence_arousal")
    )
    return {
        "videos": judged["frames"]["videos"],
        "frames": {"AU": au["frames"], "EXPR": expression["frames"], "VA": va["frames"]},
        "au": {
            "f1_mean": au["f1_mean"],
            "f1": {name: row["f1"]["value"] for name, row in au["by_au"].items()},
            "auroc": {name: row["auroc"] for name, row in au["by_au"].items()},
            "calibration_error": {
                name: row["calibration_error"] for name, row in au["by_au"].items()
            },
            "score": au["score"],
        },
        "expression": {
            "accuracy": expression["accuracy"],
            "macro_f1": expression["macro_f1"],
            "score": expression["score"],
            "calibration_error": expression["calibration_error"],
        },
        "ccc": {name: va[name]["ccc"] for name in ("valence", "arousal")},
        "notes": [*judged["notes"], *notes],
    }
