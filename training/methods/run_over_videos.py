"""Runs a causal network frame by frame over many videos at once, with the results of the SDK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

_BATCH: Final = 128
_MAX_FRAMES: Final = 60_000  # number of videos times the length of the longest

Videos = list[NDArray[np.int64]]


def run_over_videos(
    net: MethodNet, builder: BatchBuilder, rows: NDArray[np.int64], device: str
) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
    """The rows of each video and their outputs; `rows` are in order of video and frame, and each
    video starts with empty memory.

    The `frame` stage runs on batches of images, the stages with memory on one frame of every video
    at once.
    """
    stages = {stage.name: stage for stage in net.stages()}
    videos = (
        np.split(rows, np.flatnonzero(np.diff(builder.table.video[rows])) + 1) if len(rows) else []
    )
    for group in _groups(sorted(videos, key=len, reverse=True)):
        values: dict[str, Tensor] = {}
        if "frame" in stages:
            values |= _frame_outputs(stages["frame"], builder, group, device)
        if "audio" in stages:
            values |= _audio_outputs(net, stages["audio"], builder, group, device)
        for name in ("temporal", "graph"):
            if name in stages:
                lengths = [len(video) for video in group]
                values |= _temporal_outputs(stages[name], values, lengths, device)
        for k, video in enumerate(group):
            yield video, {name: value[k, : len(video)] for name, value in values.items()}


def _groups(videos: Videos) -> Iterator[Videos]:
    """Groups of videos, longest first, that fit into memory."""
    start = 0
    while start < len(videos):
        count = max(1, _MAX_FRAMES // len(videos[start]))
        yield videos[start : start + count]
        start += count


def _call(stage: Stage, *tensors: Tensor) -> tuple[Tensor, ...]:
    outputs: tuple[Tensor, ...] = stage.module(*tensors)
    return outputs


def _frame_outputs(
    stage: Stage, builder: BatchBuilder, videos: Videos, device: str
) -> dict[str, Tensor]:
    """Outputs of the frame stage [V, T, ...], zeros after the end of a video."""
    results = {
        form.name: torch.zeros(len(videos), len(videos[0]), *form.shape, device=device)
        for form in stage.outputs
    }
    for k, video in enumerate(videos):
        for at in range(0, len(video), _BATCH):
            part = video[at : at + _BATCH]
            outputs = _call(stage, builder.images(part).to(device))
            for form, value in zip(stage.outputs, outputs, strict=True):
                results[form.name][k, at : at + len(part)] = value
    return results


def _audio_outputs(
    net: MethodNet, stage: Stage, builder: BatchBuilder, videos: Videos, device: str
) -> dict[str, Tensor]:
    """Audio features [V, T, ...] at each frame; zeros if a video has no audio, or none yet."""
    (form,) = stage.outputs
    results = torch.zeros(len(videos), len(videos[0]), *form.shape, device=device)
    for k, video in enumerate(videos):
        track = track_of(builder.table, builder.data.tracks, video)
        if track is None:
            continue
        times = builder.table.audio_offset_s[video]
        steps = np.array([track.frames_available(float(t)) for t in times]) // STEP_FRAMES
        if stage.states:
            audio = next(part for part in net.modules() if isinstance(part, Ftdnn))
            features = _along_audio(
                audio, torch.from_numpy(track.chunk(0, int(steps[-1]) * STEP_FRAMES)), device
            )
            results[k, : len(video)] = features[torch.from_numpy(steps)]
            continue
        unique_steps, index = np.unique(steps, return_inverse=True)
        firsts = [int(np.flatnonzero(steps == step)[0]) for step in unique_steps]
        columns = stage.inputs[0].shape[-1]
        mel = torch.from_numpy(
            np.stack([track.latest_frames(float(times[at]), columns) for at in firsts])
        )
        outputs = torch.cat([_call(stage, part.to(device))[0] for part in torch.split(mel, _BATCH)])
        results[k, : len(video)] = outputs[torch.from_numpy(index)]
    return {form.name: results}


def _along_audio(audio: Ftdnn, mel: Tensor, device: str) -> Tensor:
    """Features [K + 1, ...] after each step of 10 mel frames [10 K, bands], zeros before the first.

    Computed at once, since the output of a causal network at a step depends on no later frame.
    """
    before = torch.zeros(1, audio.outputs, device=device)
    return (
        torch.cat([before, audio(mel[None].to(device))[0, STEP_FRAMES - 1 :: STEP_FRAMES]])
        if len(mel)
        else before
    )


def _temporal_outputs(
    stage: Stage, values: Mapping[str, Tensor], lengths: list[int], device: str
) -> dict[str, Tensor]:
    """Outputs [V, T, ...] of a stage with memory, run on one frame of each video at a time; videos
    are ordered longest first.
    """
    results = {
        form.name: torch.zeros(len(lengths), lengths[0], *form.shape, device=device)
        for form in stage.outputs
    }
    states = [torch.zeros(len(lengths), *form.shape, device=device) for form in stage.states]
    for step in range(lengths[0]):
        count = sum(length > step for length in lengths)
        inputs = [values[form.name][:count, step] for form in stage.inputs]
        outputs = _call(stage, *inputs, *[state[:count] for state in states])
        for form, value in zip(stage.outputs, outputs, strict=False):
            results[form.name][:count, step] = value
        states = list(outputs[len(stage.outputs) :])
    return results
