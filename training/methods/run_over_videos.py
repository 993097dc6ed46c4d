"""A causal network frame after frame over videos, many videos side by side: what the SDK would say
of each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceaffect.audio.mel import STEP_FRAMES
from training.methods.audio_inputs import track_of
from training.methods.batch_builder import BatchBuilder
from training.models.audio.ftdnn import Ftdnn
from training.models.stages import MethodNet, Stage

_CROPS_AT_ONCE: Final = 128
_FRAMES_AT_ONCE: Final = 60_000  # videos times the longest of them

Videos = list[NDArray[np.int64]]


def run_over_videos(
    net: MethodNet, samples: BatchBuilder, rows: NDArray[np.int64],
    put: Callable[[NDArray[np.int64], Mapping[str, Tensor]], None], device: str,
) -> None:  # fmt: skip
    """Gives `put` the outputs of all `rows`, which are in order of video and frame. Each video
    starts without memory.

    Images pass the `frame` stage many at a time; the stages with memory take a frame of every
    video at once.
    """
    stages = {stage.name: stage for stage in net.stages()}
    videos = (
        np.split(rows, np.flatnonzero(np.diff(samples.table.video[rows])) + 1) if len(rows) else []
    )
    for group in _groups(sorted(videos, key=len, reverse=True)):
        values = _seen(stages["frame"], samples, group, device) if "frame" in stages else {}
        if "audio" in stages:
            values |= _heard(net, stages["audio"], samples, group, device)
        for name in ("temporal", "graph"):
            if name in stages:
                values |= _over_time(stages[name], values, [len(video) for video in group], device)
        for k, video in enumerate(group):
            put(video, {name: value[k, : len(video)] for name, value in values.items()})


def _groups(videos: Videos) -> Iterator[Videos]:
    """Videos, longest first, in groups that fit into memory."""
    at = 0
    while at < len(videos):
        count = max(1, _FRAMES_AT_ONCE // len(videos[at]))
        yield videos[at : at + count]
        at += count


def _call(stage: Stage, *tensors: Tensor) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = stage.module(*tensors)
    return found


def _seen(stage: Stage, samples: BatchBuilder, videos: Videos, device: str) -> dict[str, Tensor]:
    """Outputs of the frame stage [V, T, ...], zeros behind the end of a video."""
    found = {
        form.name: torch.zeros(len(videos), len(videos[0]), *form.shape, device=device)
        for form in stage.outputs
    }
    for k, video in enumerate(videos):
        for at in range(0, len(video), _CROPS_AT_ONCE):
            part = video[at : at + _CROPS_AT_ONCE]
            outputs = _call(stage, samples.images(part).to(device))
            for form, value in zip(stage.outputs, outputs, strict=True):
                found[form.name][k, at : at + len(part)] = value
    return found


def _heard(
    net: MethodNet, stage: Stage, samples: BatchBuilder, videos: Videos, device: str
) -> dict[str, Tensor]:
    """Audio features [V, T, ...] at each frame; zeros where a video has no audio, or none yet."""
    (form,) = stage.outputs
    found = torch.zeros(len(videos), len(videos[0]), *form.shape, device=device)
    for k, video in enumerate(videos):
        track = track_of(samples.table, samples.data.tracks, video)
        if track is None:
            continue
        times = samples.table.audio_offset_s[video]
        steps = np.array([track.frames_available(float(t)) for t in times]) // STEP_FRAMES
        if stage.states:
            audio = next(part for part in net.modules() if isinstance(part, Ftdnn))
            features = _along_audio(
                audio, torch.from_numpy(track.chunk(0, int(steps[-1]) * STEP_FRAMES)), device
            )
            found[k, : len(video)] = features[torch.from_numpy(steps)]
            continue
        renewed, place = np.unique(steps, return_inverse=True)
        firsts = [int(np.flatnonzero(steps == each)[0]) for each in renewed]
        columns = stage.inputs[0].shape[-1]
        mel = torch.from_numpy(np.stack([track.latest_frames(float(times[at]), columns) for at in firsts]))
        outputs = torch.cat(
            [_call(stage, part.to(device))[0] for part in mel.split(_CROPS_AT_ONCE)]
        )
        found[k, : len(video)] = outputs[torch.from_numpy(place)]
    return {form.name: found}


def _along_audio(audio: Ftdnn, mel: Tensor, device: str) -> Tensor:
    """Features [K + 1, ...] after each whole step of mel frames [10 K, bands]; before the first,
    zeros.

    All at once: a causal network's answer at a step depends on nothing behind it.
    """
    before = torch.zeros(1, audio.outputs, device=device)
    return (
        torch.cat([before, audio(mel[None].to(device))[0, STEP_FRAMES - 1 :: STEP_FRAMES]])
        if len(mel)
        else before
    )


def _over_time(
    stage: Stage, values: Mapping[str, Tensor], lengths: list[int], device: str
) -> dict[str, Tensor]:
    """Outputs [V, T, ...] of a stage that takes one frame of each video at a time; videos are in
    order, longest first.
    """
    found = {
        form.name: torch.zeros(len(lengths), lengths[0], *form.shape, device=device)
        for form in stage.outputs
    }
    states = [torch.zeros(len(lengths), *form.shape, device=device) for form in stage.states]
    for step in range(lengths[0]):
        count = sum(length > step for length in lengths)
        inputs = [values[form.name][:count, step] for form in stage.inputs]
        outputs = _call(stage, *inputs, *[state[:count] for state in states])
        for form, value in zip(stage.outputs, outputs, strict=False):
            found[form.name][:count, step] = value
        states = list(outputs[len(stage.outputs) :])
    return found
