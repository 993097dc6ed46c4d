"""Default model on the validation frames of the leaderboard."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faceaffect.bundle.bundle import find_bundle
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.pipeline import open_pipeline
from faceaffect.sources.read_image import read_image
from faceaffect.types import Frame
from training.ablations.leaderboard_costs import median_cpu_ms
from training.ablations.one_run import RunPaths, scenario_data, scored_record
from training.ablations.records import Record
from training.ablations.variants import LEADERBOARD
from training.datasets.frame_table import FrameTable, absolute_paths
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.cost_metrics import network_size
from training.methods.predict import MethodPredictions

NAME = "M0-default"


def pipeline_predictions(table: FrameTable, model: Path | None = None) -> MethodPredictions:
    """Predictions of the SDK for all rows, read as aligned crops.

    AUs are decisions (0 or 1) at the thresholds of the bundle.
    """
    count = len(table)
    au = np.zeros((count, len(AU_NAMES)), np.float32)
    expression = np.zeros((count, len(EXPRESSION_NAMES)), np.float32)
    va = np.zeros((count, 2), np.float32)
    with open_pipeline(model, aligned_crops=True) as pipeline:
        for row, path in enumerate(absolute_paths(table)):
            pixels, pixel_format = read_image(Path(str(path)))
            _, affect = pipeline.analyze(Frame(pixels, pixel_format, 0.0, row, str(path)))
            au[row], expression[row] = affect.au_active[0], affect.expression_probability[0]
            va[row] = affect.valence[0], affect.arousal[0]
    return MethodPredictions(np.ones(count, bool), au, expression, va)


def bundle_cost(runner: BundleRunner, runs: int = 200) -> dict[str, float]:
    """Cost of a bundle, measured as that of the leaderboard's networks.

    Time is CPU time of ONNX Runtime and the graph layer on one thread.
    """
    size = runner.spec.crop.size_px
    crop = np.random.default_rng(0).standard_normal((3, size, size)).astype(np.float32)
    frame_ms = median_cpu_ms(lambda: runner.heads([crop]), runs)
    return {**network_size(runner), "frame_ms": frame_ms, "size_px": size}


def default_record(paths: RunPaths, model: Path | None = None) -> Record:
    """Evaluate the default bundle on the leaderboard's validation set; `details` holds its cost."""
    ablation = LEADERBOARD[0]
    scenario = scenario_data(ablation, 1, paths)
    runner = BundleRunner(model or find_bundle())
    return scored_record(
        ablation,
        pipeline_predictions(scenario.validation, model),
        scenario,
        name=NAME,
        method="default",
        variant="released",
        seed=1,
        details=bundle_cost(runner),
    )
