"""Audio of clips and windows of rows, as inputs of the networks with audio."""

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
"""Mel frames that a causal network gets before a window begins."""


def track_of(
    table: FrameTable, tracks: MelTracks | None, rows: NDArray[np.int64]
) -> MelTrack | None:
    """Audio of the rows' video; None if there is none or the rows' times are unknown."""
    known = rows[rows >= 0]
    if tracks is None or not len(known) or not np.isfinite(table.audio_offset_s[known]).all():
        return None
    path = table.media_of(int(known[-1]))
    return None if path is None else tracks.get(path)


def _tracks_of(
    table: FrameTable, tracks: MelTracks | None, samples: NDArray[np.int64]
) -> tuple[list[MelTrack | None], Tensor]:
    """The audio of each sample's rows, and whether there is any [B]."""
    found = [track_of(table, tracks, rows) for rows in samples]
    return found, torch.tensor([track is not None for track in found], dtype=torch.float32)


def clip_audio(
    table: FrameTable,
    tracks: MelTracks | None,
    clips: NDArray[np.int64],
    columns: int,
    centered: bool,
) -> tuple[Tensor, Tensor]:
    """Mel [B, bands, columns] around (`centered`) or up to the last frame of clips [B, T], and
    whether there is audio [B].
    """
    ends = clips[:, -1]
    found, has_audio = _tracks_of(table, tracks, ends[:, None])
    config = (tracks or MelTracks()).config
    silence = MelTrack(np.zeros((0, config.bands), np.float32), config).silence(columns)
    mel: list[NDArray[np.float32]] = []
    for track, offset_s in zip(found, table.audio_offset_s[ends].tolist(), strict=True):
        if track is None:
            mel.append(silence)
            continue
        if centered:
            hop_s = track.config.hop_s
            after_s = (columns - 1) // 2 * hop_s
            mel.append(track.window_around(offset_s, columns * hop_s - hop_s - after_s, after_s))
        else:
            mel.append(track.latest_frames(offset_s, columns))
    return torch.from_numpy(np.stack(mel)), has_audio


def window_audio(
    table: FrameTable, tracks: MelTracks | None, windows: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """Mel [B, 100, bands] over windows [B, T], for a network over whole windows, and whether there
    is audio [B].
    """
    found, has_audio = _tracks_of(table, tracks, windows)
    silence = np.zeros((MEL_PER_SECOND, (tracks or MelTracks()).config.bands), np.float32)
    mel: list[NDArray[np.float32]] = []
    for track, rows in zip(found, windows, strict=True):
        if track is None:
            mel.append(silence)
            continue
        times = table.audio_offset_s[rows]
        steps = np.diff(times)
        step_s = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.04
        mel.append(
            track.window_between(float(times[0]), float(times[-1]) + step_s, MEL_PER_SECOND).T
        )
    return torch.from_numpy(np.stack(mel)), has_audio


def causal_window_audio(
    table: FrameTable, tracks: MelTracks | None, windows: NDArray[np.int64]
) -> tuple[Tensor, Tensor, Tensor]:
    """Mel [B, L, bands] from a second before windows [B, T], the number of its frames that had
    arrived at each image frame [B, T], and whether there is audio [B].

    Chunks begin at multiples of 100 ms, as in a stream; shorter ones are padded with silence.
    """
    found, has_audio = _tracks_of(table, tracks, windows)
    chunks: dict[int, NDArray[np.float32]] = {}
    arrived = np.zeros(windows.shape, np.float32)
    for k, (track, rows) in enumerate(zip(found, windows, strict=True)):
        if track is None:
            continue
        known = np.array([track.frames_available(float(t)) for t in table.audio_offset_s[rows]])
        first = max(0, known[0] // STEP_FRAMES * STEP_FRAMES - WARM_UP)
        end = max(first, known[-1] // STEP_FRAMES * STEP_FRAMES)
        chunks[k] = track.chunk(int(first), int(end))
        arrived[k] = np.maximum(known - first, 0)
    longest = max([STEP_FRAMES, *map(len, chunks.values())])
    bands = (tracks or MelTracks()).config.bands
    mel = np.zeros((len(windows), longest, bands), np.float32)
    for k, chunk in chunks.items():
        mel[k, : len(chunk)] = chunk
    return torch.from_numpy(mel), torch.from_numpy(arrived), has_audio
