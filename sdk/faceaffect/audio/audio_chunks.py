"""Decodes the audio of an open container to mono chunks at one sample rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from faceaffect.sources.import_pyav import import_pyav
from faceaffect.types import FloatArray

# Packets are stamped to the millisecond at best; a longer gap is a gap in the audio.
_MAX_STAMP_ERROR_S: Final = 0.05
_MAX_AMPLITUDE: Final = 8.0  # full scale is 1


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Consecutive samples of an audio track.

    Attributes:
        start: index of the first sample in the track.
        start_s: time of sample 0 of the track.
        samples: samples [n], about -1..1.
        time_s: time stamp of the first sample; it differs from start / rate if the clock of the
            device drifts against the computer's.
    """

    start: int
    start_s: float
    samples: FloatArray
    time_s: float


class AudioChunks:
    """Iterates over the chunks of a container's first audio track, in order and without overlap.

    Channels are averaged. Gaps between packets become gaps between chunks. Time stamps that go
    back, as in joined recordings, are counted on. `error` tells why the audio stopped early.
    """

    def __init__(self, container: Any, rate_hz: int) -> None:
        """Read `container` (of PyAV), resampled to `rate_hz`."""
        self.error = ""
        self._container = container
        self._rate_hz = rate_hz

    def __iter__(self) -> Iterator[AudioChunk]:
        av = import_pyav()
        position, start_s, frame_s, expected_s, resampler = 0, np.nan, np.nan, -np.inf, None

        def to_chunks(frames: list[Any]) -> Iterator[AudioChunk]:
            nonlocal position
            time_s = frame_s
            for frame in frames:
                if frame.samples:
                    chunk = AudioChunk(position, start_s, _to_mono(frame.to_ndarray()), time_s)
                    position += len(chunk.samples)
                    time_s += len(chunk.samples) / self._rate_hz
                    yield chunk

        try:
            for frame in self._container.decode(self._container.streams.audio[0]):
                frame_s = expected_s if frame.pts is None else float(frame.pts * frame.time_base)
                if not np.isfinite(frame_s):
                    frame_s = 0.0
                if resampler is None or frame_s - expected_s > _MAX_STAMP_ERROR_S:
                    if resampler is None:
                        start_s = frame_s
                    else:
                        yield from to_chunks(resampler.resample(None))
                        position = max(position, round((frame_s - start_s) * self._rate_hz))
                    resampler = av.AudioResampler(
                        format="fltp", layout=frame.layout, rate=self._rate_hz
                    )
                    expected_s = frame_s
                expected_s = max(expected_s, frame_s) + frame.samples / frame.sample_rate
                frame.pts = None
                yield from to_chunks(resampler.resample(frame))
        except (av.FFmpegError, ValueError) as error:  # ValueError: the format changes midway
            self.error = str(getattr(error, "strerror", "") or error)
        if resampler is not None:
            yield from to_chunks(resampler.resample(None))


def _to_mono(channels: FloatArray) -> FloatArray:
    """Average the channels: the resampler's own mix to mono may weight them by 0.7 each.

    Files of floating point may hold any value; NaN and infinity become silence, so that they
    never reach a model's state.
    """
    mean = (
        np.nan_to_num(channels, nan=0.0, posinf=0.0, neginf=0.0)
        .clip(-_MAX_AMPLITUDE, _MAX_AMPLITUDE)
        .mean(axis=0, dtype=np.float32)
    )
    return np.asarray(mean, np.float32)
