"""The wheel's model on the same frames as the methods."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx

from faceaffect.bundle import find_bundle
from training.datasets.frame_samples import FrameSamples, SampleConfig
from training.datasets.frame_table import FrameTable
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.cost_figures import multiply_accumulates
from training.experiments.one_run import Places, judged, setting_data
from training.experiments.records import Record, machine_name
from training.experiments.trials import BOARD
from training.methods.method_predictions import MethodPredictions

NAME = "M0-default"
_AT_ONCE = 64
_WARM_UP = 20


def bundle_predictions(runner: BundleRunner, table: FrameTable) -> MethodPredictions:
    """Of every row, without smoothing; AUs are the decisions (0 or 1) by the thresholds of the spec."""
    crop = runner.spec.crop
    samples = FrameSamples(table, SampleConfig(size_px=crop.size_px))
    mean, std = (np.array(each, np.float32)[:, None, None] for each in (crop.mean, crop.std))

    def crops():  # type: ignore[no-untyped-def]
        for row in range(0, len(table), _AT_ONCE):
            rows = np.arange(row, min(row + _AT_ONCE, len(table)))
            yield from (samples.batch(rows)["image"].numpy() - mean) / std

    affect = runner.affect(runner.heads(crops()))
    va = np.stack([affect.valence, affect.arousal], axis=1)
    return MethodPredictions(np.ones(len(table), bool), affect.au_on.astype(np.float32), affect.expression_probability, va)


def bundle_cost(runner: BundleRunner, runs: int = 200) -> dict[str, float]:
    """As the board's networks are measured: CPU time of ONNX Runtime and of the graph layer, on one thread."""
    size = runner.spec.crop.size_px
    crop = np.random.default_rng(0).standard_normal((3, size, size)).astype(np.float32)
    times = []
    for _ in range(_WARM_UP + runs):
        started = time.process_time()
        runner.heads([crop])
        times.append(time.process_time() - started)
    model, graph = onnx.load_from_string(runner.bundle.onnx), runner.bundle.graph
    arrays = [graph.readout_weight, graph.readout_bias, *graph.layer_weights, *graph.layer_biases]
    parameters = sum(int(np.prod(w.dims)) for w in model.graph.initializer) + sum(each.size for each in arrays)
    return {
        "parameters": parameters,
        "mmacs": multiply_accumulates(model, size) / 1e6,
        "frame_ms": 1e3 * float(np.median(times[_WARM_UP:])),
        "size_px": size,
    }


def default_record(places: Places, model: Path | None = None) -> Record:
    """The default bundle on the board's validation set, with its cost among the facts."""
    trial = BOARD[0]
    setting = setting_data(trial, 1, places)
    runner = BundleRunner(model or find_bundle())
    scores, headline = judged(trial, bundle_predictions(runner, setting.validation), setting)
    return Record(
        name=NAME, method="default", setting=trial.setting, arm="as shipped", seed=1, judged=trial.judged, headline=headline,
        scores=scores, facts=bundle_cost(runner), machine=machine_name(),
    )  # fmt: skip
