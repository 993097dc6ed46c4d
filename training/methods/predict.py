"""Predictions of a trained network for every row of a table, over frames, windows, clips or whole
videos as its recipe runs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.datasets.frame_table import FrameTable
from training.datasets.sampling.windows import clips_ending_at, covering_windows, first_occurrences
from training.methods.batch_builder import BatchBuilder, InputSpec
from training.methods.data import MethodData
from training.methods.frame_rate import subsample_to_fps
from training.methods.recipe import MethodRecipe
from training.methods.run_over_videos import run_over_videos
from training.models.stages import MethodNet

_BATCH: Final = 128
OUTPUT_HEADS: Final = frozenset(("au_logit", "expression_logit", "va"))

Outputs = Iterator[tuple[NDArray[np.int64], Mapping[str, Tensor]]]
"""Rows and the network's outputs for them."""


@dataclass(frozen=True, slots=True, eq=False)
class MethodPredictions:
    """Predictions for each row of a table; None for tasks without output.

    Rows that the network did not run on (no image, or skipped at its frame rate) repeat the
    previous row of their video (a neutral face before the first).
    """

    known: NDArray[np.bool_]  # [N] rows that the network ran on
    au: NDArray[np.float32] | None  # [N, 12] probabilities
    expression: NDArray[np.float32] | None  # [N, 7] probabilities, or [N, 8] with "other"
    va: NDArray[np.float32] | None  # [N, 2] in [-1, 1]


@torch.no_grad()
def method_predictions(
    net: MethodNet,
    recipe: MethodRecipe,
    table: FrameTable,
    data: MethodData,
    device: str | None = None,
    input_fps: float | None = None,
) -> MethodPredictions:
    """Predict all rows of a table whose images (and audio) are in `data`.

    `device` None is that of the network.

    Networks without memory get single frames. Causal ones run frame by frame over each video as
    in the SDK, on at most `input_fps` frames per second. Those that look ahead get adjacent
    windows, whole videos (M7) or clips around each frame, as published.
    """
    device = device or str(next(net.parameters()).device)
    net.eval().to(device)
    form = InputSpec.of(net, recipe.sampling.form)
    builder = BatchBuilder(recipe, form, data, table)
    rows = np.flatnonzero(table.has_crop)
    rows = rows[np.lexsort((table.frame[rows], table.video[rows]))]
    if form.form == "frames":
        outputs = _over_frames(net, builder, rows, device)
    elif is_causal(net):
        rows = subsample_to_fps(table, rows, input_fps)
        outputs = run_over_videos(net, builder, rows, device)
    elif form.form == "clips":
        outputs = _over_clips(net, builder, rows, device)
    elif recipe.sampler == "pairs":
        outputs = _over_videos(net, builder, rows, device)
    else:
        outputs = _over_windows(net, builder, rows, device)
    logits: dict[str, NDArray[np.float32]] = {}
    for part, values in outputs:
        for name in OUTPUT_HEADS & values.keys():
            value = values[name].float().cpu().numpy()
            empty = np.zeros((len(table), value.shape[-1]), np.float32)
            logits.setdefault(name, empty)[part] = value
    return _to_predictions(table, rows, logits)


def is_causal(net: MethodNet) -> bool:
    """Whether all stages of a network run on every frame, with memory of earlier ones."""
    try:
        return all(stage.frame_stride == 1 for stage in net.stages())
    except ValueError:
        return False


def run(net: MethodNet, inputs: Mapping[str, Tensor], device: str) -> dict[str, Tensor]:
    outputs: dict[str, Tensor] = net({name: value.to(device) for name, value in inputs.items()})
    return outputs


def _over_frames(
    net: MethodNet, builder: BatchBuilder, rows: NDArray[np.int64], device: str
) -> Outputs:
    for k in range(0, len(rows), _BATCH):
        part = rows[k : k + _BATCH]
        yield part, run(net, builder.inputs(part, device), device)


def _over_clips(
    net: MethodNet, builder: BatchBuilder, rows: NDArray[np.int64], device: str
) -> Outputs:
    clips = clips_ending_at(builder.table, rows, builder.form.length, builder.recipe.net.spacing)
    each = max(1, _BATCH // builder.form.length)
    for k in range(0, len(rows), each):
        yield rows[k : k + each], run(net, builder.inputs(clips[k : k + each], device), device)


def _over_windows(
    net: MethodNet, builder: BatchBuilder, rows: NDArray[np.int64], device: str
) -> Outputs:
    length, drop_gaps = builder.form.length, builder.recipe.sampling.drop_gaps
    windows = covering_windows(builder.table, rows, length, drop_gaps=drop_gaps)
    first = first_occurrences(windows)
    each = max(1, _BATCH // length)
    for k in range(0, len(windows), each):
        part, kept = windows[k : k + each], first[k : k + each]
        outputs = run(net, builder.inputs(part, device), device)
        mask = torch.from_numpy(kept).to(device)
        yield part[kept], {name: outputs[name][mask] for name in OUTPUT_HEADS & outputs.keys()}


def _over_videos(
    net: MethodNet, builder: BatchBuilder, rows: NDArray[np.int64], device: str
) -> Outputs:
    """Predict as published for M7: intensities of all frames, then their mapping per video."""
    for video in np.split(rows, np.flatnonzero(np.diff(builder.table.video[rows])) + 1):
        parts = [
            builder.inputs(video[k : k + _BATCH])["crops"] for k in range(0, len(video), _BATCH)
        ]
        measured = [net.scaled(*net.measure(part.to(device))) for part in parts]  # type: ignore[operator]
        intensity, confidence = (torch.cat(each)[None] for each in zip(*measured, strict=True))
        outputs = run(net, {"intensity": intensity, "confidence": confidence}, device)
        yield video, {name: outputs[name][0] for name in OUTPUT_HEADS & outputs.keys()}


def _to_predictions(
    table: FrameTable, rows: NDArray[np.int64], logits: Mapping[str, NDArray[np.float32]]
) -> MethodPredictions:
    """Probabilities of all rows; those without an image repeat the previous one."""
    known = np.zeros(len(table), bool)
    known[rows] = True
    order = np.lexsort((table.frame, table.video))
    last = np.where(known[order], np.arange(len(order)), -1)
    last = np.maximum.accumulate(last)
    starts = np.searchsorted(table.video[order], table.video[order], side="left")
    source = np.where(last >= starts, order[np.maximum(last, 0)], -1)
    origin = np.empty(len(table), np.int64)
    origin[order] = source

    def filled(values: NDArray[np.float32], neutral: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.where((origin >= 0)[:, None], values[np.maximum(origin, 0)], neutral).astype(
            np.float32
        )

    au = expression = va = None
    if "au_logit" in logits:
        au = filled(
            torch.sigmoid(torch.from_numpy(logits["au_logit"])).numpy(),
            np.zeros(len(AU_NAMES), np.float32),
        )
    if "expression_logit" in logits:
        classes = logits["expression_logit"].shape[1]
        neutral = np.eye(classes, dtype=np.float32)[EXPRESSION_NAMES.index("neutral")]
        expression = filled(
            torch.from_numpy(logits["expression_logit"]).softmax(dim=1).numpy(), neutral
        )
    if "va" in logits:
        va = filled(logits["va"].clip(-1, 1), np.zeros(2, np.float32))
    return MethodPredictions(known, au, expression, va)
