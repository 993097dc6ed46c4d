"""Runs a bundle on the aligned crops of a label table with the pipeline of the SDK."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.sources.read_image import read_image
from faceaffect.sources.source import SourceError
from faceaffect.system.cpu_count import cpu_count
from faceaffect.types import Frame
from training.datasets.progress_bar import count_progress
from training.evaluation.label_table import LabelTable
from training.evaluation.prediction_table import PredictionTable, empty_predictions

NOMINAL_FPS: Final = 30.0
"""Frame rate that converts frame numbers to times: crops have no timestamps."""


def default_workers() -> int:
    """Returns one thread per usable core, at most eight."""
    return min(8, cpu_count())


def predict_crops(
    bundle: str | Path, labels: LabelTable, workers: int
) -> tuple[PredictionTable, list[str]]:
    """Returns predictions of all crops, and notes on unreadable files.

    Each video is processed sequentially by one pipeline, with temporal smoothing; `workers` videos
    are processed in parallel.
    """
    predictions = empty_predictions(len(labels))
    notes: list[str] = []
    pipelines: list[Pipeline] = []
    local = threading.local()
    is_stopped = threading.Event()

    def open_local_pipeline() -> None:
        local.pipeline = open_pipeline(bundle, aligned_crops=True, is_video=True)
        pipelines.append(local.pipeline)

    def run(video: int) -> None:
        local.pipeline.reset()
        if local.pipeline.uses_audio:
            local.pipeline.attach_audio(None)
        for row in _rows_with_crop(labels, video):
            if is_stopped.is_set():
                return
            try:
                _predict_row(local.pipeline, labels, row, predictions)
            except SourceError as error:
                notes.append(f"skipped {error}")
            progress.advance(bar)

    open_pipeline(bundle, aligned_crops=True).close()  # fails early for an unusable bundle
    with ExitStack() as stack:
        progress = stack.enter_context(count_progress(to_stderr=True))
        bar = progress.add_task("crops", total=sum(crop is not None for crop in labels.crop))
        pool = stack.enter_context(ThreadPoolExecutor(workers, initializer=open_local_pipeline))
        try:
            for future in as_completed(
                [pool.submit(run, video) for video in range(len(labels.videos))]
            ):
                future.result()
        except BaseException:
            is_stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    for pipeline in pipelines:
        pipeline.close()
    return predictions, sorted(notes)


def _rows_with_crop(labels: LabelTable, video: int) -> Iterator[int]:
    rows = labels.rows_of(video)
    return (row for row in range(rows.start, rows.stop) if labels.crop[row] is not None)


def _predict_row(
    pipeline: Pipeline, labels: LabelTable, row: int, predictions: PredictionTable
) -> None:
    """Predicts one row; raises SourceError for an unreadable crop."""
    path = str(labels.crop[row])
    pixels, pixel_format = read_image(Path(path))
    index = int(labels.frame[row]) - 1
    _, affect = pipeline.analyze(Frame(pixels, pixel_format, index / NOMINAL_FPS, index, path))
    predictions.au_probability[row] = affect.au_probability[0]
    predictions.au_active[row] = affect.au_active[0]
    predictions.expression_probability[row] = affect.expression_probability[0]
    predictions.va[row] = affect.valence[0], affect.arousal[0]
    predictions.known[row] = True
