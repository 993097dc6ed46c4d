"""A bundle over the aligned crops of a label table, along the path on which the SDK takes images
that are crops.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.sources.read_image import read_image
from faceaffect.sources.source import SourceError
from faceaffect.system.cpu_count import cpu_count
from faceaffect.types import Frame
from training.evaluation.label_table import LabelTable
from training.evaluation.prediction_table import PredictionTable, no_predictions

NOMINAL_FPS: Final = 30.0
"""Crops carry no times; the frame's number over this stands for it."""


def usual_workers() -> int:
    """One thread a usable core, eight at most."""
    return min(8, cpu_count())


def predict_crops(
    bundle: str | Path, labels: LabelTable, workers: int
) -> tuple[PredictionTable, list[str]]:
    """Predictions of all crops, and what was skipped because its file cannot be read.

    Each video runs through one pipeline, frame after frame, smoothed over time as any video is;
    `workers` run at a time.
    """
    predictions, notes = no_predictions(len(labels)), list[str]()
    pipelines: list[Pipeline] = []
    own = threading.local()
    is_stopped = threading.Event()

    def open_own() -> None:
        own.pipeline = open_pipeline(bundle, aligned_crops=True, is_video=True)
        pipelines.append(own.pipeline)

    def run(video: int) -> None:
        own.pipeline.reset()
        if own.pipeline.uses_audio:
            own.pipeline.attach_audio(None)
        for row in _rows_with_crop(labels, video):
            if is_stopped.is_set():
                return
            try:
                _predict_row(own.pipeline, labels, row, predictions)
            except SourceError as error:
                notes.append(f"skipped {error}")
            progress.advance(bar)

    open_pipeline(bundle, aligned_crops=True).close()  # an unusable bundle is told before any thread starts
    with ExitStack() as stack:
        progress = stack.enter_context(_progress())
        bar = progress.add_task("crops", total=sum(crop is not None for crop in labels.crop))
        pool = stack.enter_context(ThreadPoolExecutor(workers, initializer=open_own))
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
    """Fill one row in; raises SourceError for a crop that cannot be read."""
    path = str(labels.crop[row])
    pixels, layout = read_image(Path(path))
    index = int(labels.frame[row]) - 1
    _, affect = pipeline.analyze(Frame(pixels, layout, index / NOMINAL_FPS, index, path))
    predictions.au_probability[row] = affect.au_probability[0]
    predictions.au_active[row] = affect.au_active[0]
    predictions.expression_probability[row] = affect.expression_probability[0]
    predictions.va[row] = affect.valence[0], affect.arousal[0]
    predictions.known[row] = True


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))
