"""The wheel's model on the same frames as the methods."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx

from faceaffect.bundle.bundle import find_bundle
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.pipeline import open_pipeline
from faceaffect.sources.read_image import read_image
from faceaffect.types import Frame
from training.ablations.one_run import RunPaths, judged, setting_data
from training.ablations.records import Record, machine_name
from training.ablations.variants import BOARD
from training.datasets.frame_table import FrameTable
from training.datasets.image_store import absolute_paths
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.cost_metrics import multiply_accumulates
from training.methods.predict import MethodPredictions

NAME = "M0-default"
_WARM_UP = 20


def pipeline_predictions(table: FrameTable, model: Path | None = None) -> MethodPredictions:
    """Of every row, as the SDK takes images that are crops; AUs are its decisions (0 or 1) by the
    thresholds of the spec.
    """
    count = len(table)
    au, expression = (
        np.zeros((count, len(AU_NAMES)), np.float32),
        np.zeros((count, len(EXPRESSION_NAMES)), np.float32),
    )
    va = np.zeros((count, 2), np.float32)
    with open_pipeline(model, aligned_crops=True) as pipeline:
        for row, path in enumerate(absolute_paths(table)):
            pixels, pixel_format = read_image(Path(str(path)))
            _, affect = pipeline.analyze(Frame(pixels, pixel_format, 0.0, row, str(path)))
            au[row], expression[row] = affect.au_active[0], affect.expression_probability[0]
            va[row] = affect.valence[0], affect.arousal[0]
    return MethodPredictions(np.ones(count, bool), au, expression, va)


def bundle_cost(runner: BundleRunner, runs: int = 200) -> dict[str, float]:
    """As the board's networks are measured: CPU time of ONNX Runtime and of the graph layer, on one
    thread.
    """
    size = runner.spec.crop.size_px
    crop = np.random.default_rng(0).standard_normal((3, size, size)).astype(np.float32)
    times = []
    for _ in range(_WARM_UP + runs):
        started = time.process_time()
        runner.heads([crop])
        times.append(time.process_time() - started)
    model, graph = onnx.load_from_string(runner.bundle.onnx), runner.bundle.graph
    arrays = [graph.readout_weight, graph.readout_bias, *graph.layer_weights, *graph.layer_biases]
    parameters = sum(int(np.prod(w.dims)) for w in model.graph.initializer) + sum(
        each.size for each in arrays
    )
    return {
        "parameters": parameters,
        "mmacs": multiply_accumulates(model, size) / 1e6,
        "frame_ms": 1e3 * float(np.median(times[_WARM_UP:])),
        "size_px": size,
    }


def default_record(places: RunPaths, model: Path | None = None) -> Record:
    """The default bundle on the board's validation set, with its cost among the facts."""
    trial = BOARD[0]
    setting = setting_data(trial, 1, places)
    runner = BundleRunner(model or find_bundle())
    scores, headline = judged(trial, pipeline_predictions(setting.validation, model), setting)
    return Record(
        name=NAME, method="default", setting=trial.setting, arm="as shipped", seed=1, judged=trial.judged, headline=headline,
        scores=scores, facts=bundle_cost(runner), machine=machine_name(),
    )  # fmt: skip
