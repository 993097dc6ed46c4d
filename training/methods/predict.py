"""What a trained network says of every row of a table: windows, clips and whole videos run as its
recipe runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from training.methods.recipe import Recipe
from training.methods.run_over_videos import run_over_videos
from training.models.stages import MethodNet

_CROPS_AT_ONCE: Final = 128
OUTPUT_HEADS: Final = ("au_logit", "expression_logit", "va")

Put = Callable[[NDArray[np.int64], Mapping[str, Tensor]], None]
"""Takes rows and the network's read-outs for them."""


@dataclass(frozen=True, slots=True, eq=False)
class MethodPredictions:
    """Row for row with a table; None for tasks that the network does not read. Rows that the
    network did not see (no image, or between two of its pace) hold what the row before them in
    their video got (a neutral face before the first).
    """

    known: NDArray[np.bool_]  # [N] rows that the network saw
    au: NDArray[np.float32] | None  # [N, 12] probabilities
    expression: NDArray[np.float32] | None  # [N, 7] probabilities
    va: NDArray[np.float32] | None  # [N, 2] in [-1, 1]


@torch.no_grad()
def method_predictions(
    net: MethodNet, recipe: Recipe, table: FrameTable, data: MethodData, device: str | None = None,
    input_fps: float | None = None,
) -> MethodPredictions:  # fmt: skip
    """Predictions for all rows of a table whose images (and audio) `data` holds, on `device` or
    where the network is.

    Networks without memory see single frames. Causal ones run frame after frame over each video,
    as the SDK runs them; with `input_fps` they are read on so many frames a second at most and
    hold in between, as a bundle of that pace does. Those that look ahead see windows side by
    side, whole videos (M7) or clips about each frame, as published.
    """
    device = device or str(next(net.parameters()).device)
    net.eval().to(device)
    form = InputSpec.of(net, recipe.sampling.form)
    samples = BatchBuilder(recipe, form, data, table)
    logits: dict[str, NDArray[np.float32]] = {}

    def put(rows: NDArray[np.int64], found: Mapping[str, Tensor]) -> None:
        for name in OUTPUT_HEADS:
            if name in found:
                value = found[name].float().cpu().numpy()
                logits.setdefault(name, np.zeros((len(table), value.shape[-1]), np.float32))[
                    rows
                ] = value

    rows = np.flatnonzero(table.has_crop)
    rows = rows[np.lexsort((table.frame[rows], table.video[rows]))]
    if form.form == "frames":
        _frames(net, samples, rows, put, device)
    elif is_causal(net):
        rows = subsample_to_fps(table, rows, input_fps)
        run_over_videos(net, samples, rows, put, device)
    elif form.form == "clips":
        _clips(net, samples, rows, put, device)
    elif recipe.sampler == "pairs":
        _whole_videos(net, samples, rows, put, device)
    else:
        _windows(net, samples, rows, recipe.sampling.drop_gaps, put, device)
    return _held(table, rows, logits)


def is_causal(net: MethodNet) -> bool:
    """Whether a network runs frame after frame with what it remembers, at one frame's pace."""
    try:
        return all(stage.frame_stride == 1 for stage in net.stages())
    except ValueError:
        return False


def run(net: MethodNet, inputs: Mapping[str, Tensor], device: str) -> dict[str, Tensor]:
    found: dict[str, Tensor] = net({name: value.to(device) for name, value in inputs.items()})
    return found


def _frames(
    net: MethodNet, samples: BatchBuilder, rows: NDArray[np.int64], put: Put, device: str
) -> None:
    for k in range(0, len(rows), _CROPS_AT_ONCE):
        part = rows[k : k + _CROPS_AT_ONCE]
        put(part, run(net, samples.inputs(part), device))


def _clips(
    net: MethodNet, samples: BatchBuilder, rows: NDArray[np.int64], put: Put, device: str
) -> None:
    clips = clips_ending_at(
        samples.table, rows, samples.form.length, samples.recipe.net.spacing, count_by="row"
    )
    each = max(1, _CROPS_AT_ONCE // samples.form.length)
    for k in range(0, len(rows), each):
        put(rows[k : k + each], run(net, samples.inputs(clips[k : k + each]), device))


def _windows(
    net: MethodNet,
    samples: BatchBuilder,
    rows: NDArray[np.int64],
    drop_gaps: bool,
    put: Put,
    device: str,
) -> None:
    places = covering_windows(samples.table, rows, samples.form.length, drop_gaps=drop_gaps)
    first = first_occurrences(places)
    each = max(1, _CROPS_AT_ONCE // samples.form.length)
    for k in range(0, len(places), each):
        part, kept = places[k : k + each], first[k : k + each]
        found = run(net, samples.inputs(part), device)
        put(
            part[kept],
            {
                name: found[name][torch.from_numpy(kept).to(device)]
                for name in OUTPUT_HEADS
                if name in found
            },
        )


def _whole_videos(
    net: MethodNet, samples: BatchBuilder, rows: NDArray[np.int64], put: Put, device: str
) -> None:
    """M7 as published: intensities of all frames first, then their mapping over the whole video."""
    for video in np.split(rows, np.flatnonzero(np.diff(samples.table.video[rows])) + 1):
        parts = [
            samples.inputs(video[k : k + _CROPS_AT_ONCE])["crops"]
            for k in range(0, len(video), _CROPS_AT_ONCE)
        ]
        measured = [net.scaled(*net.measure(part.to(device))) for part in parts]  # type: ignore[operator]
        intensity, confidence = (torch.cat(each)[None] for each in zip(*measured, strict=True))
        found = run(net, {"intensity": intensity, "confidence": confidence}, device)
        put(video, {name: found[name][0] for name in OUTPUT_HEADS if name in found})


def _held(
    table: FrameTable, rows: NDArray[np.int64], logits: Mapping[str, NDArray[np.float32]]
) -> MethodPredictions:
    """Probabilities, the rows without an image filled in."""
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
        neutral = np.eye(len(EXPRESSION_NAMES), dtype=np.float32)[EXPRESSION_NAMES.index("neutral")]
        expression = filled(
            torch.from_numpy(logits["expression_logit"]).softmax(dim=1).numpy(), neutral
        )
    if "va" in logits:
        va = filled(logits["va"].clip(-1, 1), np.zeros(2, np.float32))
    return MethodPredictions(known, au, expression, va)
