"""The audio that belongs to clips and windows of rows, as the networks with audio take it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceaffect.audio.mel import STEP_FRAMES
from training.audio.mel_track import MelTrack, MelTracks
from training.datasets.frame_table import FrameTable
from training.models.networks.multimodal_transformer import MEL_PER_SECOND

WARM_UP: int = MEL_PER_SECOND
"""Mel frames that a causal network hears before a window begins."""


def track_of(
    table: FrameTable, tracks: MelTracks | None, rows: NDArray[np.int64]
) -> MelTrack | None:
    """The audio of the rows' video, None where there is none or the rows' times in it are not
    known.
    """
    known = rows[rows >= 0]
    if tracks is None or not len(known) or not np.isfinite(table.audio_offset_s[known]).all():
        return None
    path = table.media_of(int(known[-1]))
    return None if path is None else tracks.get(path)


def clip_audio(
    table: FrameTable, tracks: MelTracks | None, clips: NDArray[np.int64], columns: int, ahead: bool
) -> tuple[Tensor, Tensor]:
    """Mel [B, bands, columns] about (`ahead`) or up to the last frame of clips [B, T]; and where
    there is audio [B].
    """
    found, has = [], []
    silence: NDArray[np.float32] | None = None
    for clip in clips:
        track = track_of(table, tracks, clip[-1:])
        has.append(track is not None)
        if track is None:
            if silence is None:
                config = (tracks or MelTracks()).config
                silence = MelTrack(np.zeros((0, config.bands), np.float32), config).silence(columns)
            found.append(silence)
            continue
        offset_s = float(table.audio_offset_s[clip[-1]])
        if ahead:
            half = (columns - 1) // 2 * track.config.hop_s
            found.append(
                track.window_around(
                    offset_s, columns * track.config.hop_s - track.config.hop_s - half, half
                )
            )
        else:
            found.append(track.latest_frames(offset_s, columns))
    return torch.from_numpy(np.stack(found)), torch.tensor(has, dtype=torch.float32)


def window_audio(
    table: FrameTable, tracks: MelTracks | None, windows: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """Mel [B, 100, bands] of the stretch of windows [B, T], for a network that sees whole windows;
    where there is audio [B].
    """
    found, has = [], []
    for rows in windows:
        track = track_of(table, tracks, rows)
        has.append(track is not None)
        if track is None:
            found.append(
                np.zeros((MEL_PER_SECOND, (tracks or MelTracks()).config.bands), np.float32)
            )
            continue
        times = table.audio_offset_s[rows]
        steps = np.diff(times)
        step_s = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.04
        found.append(track.window_between(float(times[0]), float(times[-1]) + step_s, MEL_PER_SECOND).T)
    return torch.from_numpy(np.stack(found)), torch.tensor(has, dtype=torch.float32)


def causal_window_audio(
    table: FrameTable, tracks: MelTracks | None, windows: NDArray[np.int64]
) -> tuple[Tensor, Tensor, Tensor]:
    """Mel [B, L, bands] from a second before windows [B, T] on, how many of its frames had arrived
    at each frame [B, T], and where there is audio [B]. Stretches begin at whole steps of 100 ms,
    as a stream's do; shorter ones end in silence.
    """
    stretches, arrived, has = [], np.zeros(windows.shape, np.int64), []
    bands = (tracks or MelTracks()).config.bands
    for k, rows in enumerate(windows):
        track = track_of(table, tracks, rows)
        has.append(track is not None)
        if track is None:
            stretches.append(np.zeros((0, bands), np.float32))
            continue
        known = np.array([track.frames_available(float(t)) for t in table.audio_offset_s[rows]])
        first = max(0, known[0] // STEP_FRAMES * STEP_FRAMES - WARM_UP)
        end = max(first, known[-1] // STEP_FRAMES * STEP_FRAMES)
        stretches.append(track.chunk(int(first), int(end)))
        arrived[k] = np.maximum(known - first, 0)
    longest = max(STEP_FRAMES, max(len(stretch) for stretch in stretches))
    mel = np.zeros((len(windows), longest, bands), np.float32)
    for k, stretch in enumerate(stretches):
        mel[k, : len(stretch)] = stretch
    return (
        torch.from_numpy(mel),
        torch.from_numpy(arrived.astype(np.float32)),
        torch.tensor(has, dtype=torch.float32),
    )
