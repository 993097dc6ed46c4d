"""When each frame of a video is shown, and where that is in its audio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceaffect.audio.open_media import NoAudioTrackError, UnreadableMediaError, open_media

__all__ = ["NoAudioTrackError", "UnreadableMediaError", "frame_audio_offsets", "frame_times"]


def frame_times(path: Path) -> NDArray[np.float64]:
    """Times [n] of a video's frames in the order they are shown, seconds of the container's clock.

    The packets' own time stamps: frame rates vary, and a rate out of the header drifts. Nothing
    is decoded.
    """
    with open_media(path) as container:
        return _times(container, path)


def frame_audio_offsets(path: Path) -> NDArray[np.float64]:
    """Times [n] of a video's frames in its audio: 0 is the audio's first sample.

    Below 0 the audio has not begun yet. Both start times are the container's own, so audio that
    starts late or early is put right by the difference.

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
    shown, sent = [], []
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            shown.append(packet.pts)
            sent.append(packet.dts)
    # .avi has no presentation times, only the order of sending, which is that of showing but for
    # reordered frames.
    stamps = shown if all(s is not None for s in shown) else sent
    if not stamps:
        raise UnreadableMediaError(f"{path} has no frame that can be read")
    if any(s is None for s in stamps):
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise UnreadableMediaError(f"{path} has neither time stamps nor a frame rate")
        return np.arange(len(stamps)) / float(rate)
    return np.sort(np.array(stamps, np.float64)) * float(stream.time_base)


def _audio_start_s(container: Any, path: Path) -> float:
    """Time of the first sample: the decoder's word, since a track's header counts the encoder's
    lead-in as audio.
    """
    stream = container.streams.audio[0]
    for frame in container.decode(stream):
        if frame.pts is not None:
            return float(frame.pts * frame.time_base)
        return float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0
    raise UnreadableMediaError(f"{path} has an audio track without a sample that can be read")
