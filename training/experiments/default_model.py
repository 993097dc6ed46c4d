"""The wheel's model on the same frames as the methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faceaffect.bundle import find_bundle
from training.datasets.frame_samples import FrameSamples, SampleConfig
from training.datasets.frame_table import FrameTable
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.cost_figures import cost_figures
from training.experiments.one_run import Places, judged, setting_data
from training.experiments.records import Record, machine_name
from training.experiments.trials import BOARD
from training.methods.method_predictions import MethodPredictions

NAME = "M0-default"
_AT_ONCE = 64


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


def default_record(places: Places, model: Path | None = None) -> Record:
    """The default bundle on the board's validation set, with its cost among the facts."""
    trial = BOARD[0]
    setting = setting_data(trial, 1, places)
    runner = BundleRunner(model or find_bundle())
    scores, headline = judged(trial, bundle_predictions(runner, setting.validation), setting)
    cost = cost_figures(runner)
    facts = {"parameters": cost["parameters"], "mmacs": cost["mmacs"], "frame_ms": cost["network_ms"]["median"]}
    return Record(
        name=NAME, method="default", setting=trial.setting, arm="as shipped", seed=1, judged=trial.judged, headline=headline,
        scores=scores, facts={**facts, "size_px": runner.spec.crop.size_px}, parameters=int(cost["parameters"]),
        machine=machine_name(),
    )  # fmt: skip
