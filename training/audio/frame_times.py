"""Presentation times of the frames of a video, and their positions in its audio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceaffect.audio.open_media import NoAudioTrackError, UnreadableMediaError, open_media

__all__ = ["NoAudioTrackError", "UnreadableMediaError", "frame_audio_offsets", "frame_times"]


def frame_times(path: Path) -> NDArray[np.float64]:
    """Presentation times [n] of a video's frames in seconds of the container's clock, ascending.

    Taken from the packets' timestamps without decoding: frame rates vary, and times computed from
    the rate in the header drift.
    """
    with open_media(path) as container:
        return _times(container, path)


def frame_audio_offsets(path: Path) -> NDArray[np.float64]:
    """Times [n] of a video's frames relative to the first audio sample; negative before it.

    Both start times come from the container, so audio that starts late or early stays in sync.

    Raises:
        NoAudioTrackError: there is no audio track.
        UnreadableMediaError: no frame or no sample can be read.
    """
    with open_media(path) as container:
        times = _times(container, path)
        if not container.streams.audio:
            raise NoAudioTrackError(f"{path} has no audio track")
    with open_media(path) as container:
        return times - _audio_start_s(container, path)


def _times(container: Any, path: Path) -> NDArray[np.float64]:
    if not container.streams.video:
        raise UnreadableMediaError(f"{path} has no video track")
    stream = container.streams.video[0]
    presentation, decoding = [], []
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            presentation.append(packet.pts)
            decoding.append(packet.dts)
    # .avi has no presentation timestamps; its decoding order is the presentation order except for
    # B-frames.
    timestamps = presentation if all(pts is not None for pts in presentation) else decoding
    if not timestamps:
        raise UnreadableMediaError(f"{path} has no frame that can be read")
    if any(timestamp is None for timestamp in timestamps):
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise UnreadableMediaError(f"{path} has neither timestamps nor a frame rate")
        return np.arange(len(timestamps)) / float(rate)
    return np.sort(np.array(timestamps, np.float64)) * float(stream.time_base)


def _audio_start_s(container: Any, path: Path) -> float:
    """Time of the first decoded sample; the track header includes the encoder's priming samples."""
    stream = container.streams.audio[0]
    for frame in container.decode(stream):
        if frame.pts is not None:
            return float(frame.pts * frame.time_base)
        return float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0
    raise UnreadableMediaError(f"{path} has an audio track, but no sample can be decoded")
