"""Metrics on the validation videos of RenderWild, synthetic videos of unseen identities with exact
ground truth, through the aligned-crop path of the SDK.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.evaluation.affwild2_labels import load_labels
from training.evaluation.dataset_metrics import MetricOptions, dataset_metrics, plain
from training.evaluation.predict_crops import default_workers, predict_crops


def renderwild_metrics(bundle: Path, folder: Path) -> dict[str, Any]:
    """Returns the ABAW2 scores with intervals over videos, and further metrics."""
    labels = load_labels(folder, "validation")
    predictions, notes = predict_crops(str(bundle), labels, default_workers())
    evaluated = plain(dataset_metrics(labels, predictions, MetricOptions()))
    au, expression, va = (
        evaluated[name] for name in ("action_units", "expression", "valence_arousal")
    )
    return {
        "videos": evaluated["frames"]["videos"],
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
        "notes": [*evaluated["notes"], *notes],
    }
