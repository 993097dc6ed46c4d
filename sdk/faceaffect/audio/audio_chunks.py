"""The audio of an open container as mono pieces at one rate, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from faceaffect.audio.open_media import require_pyav
from faceaffect.types import FloatArray

_GAP_S: Final = (
    0.05  # packets are stamped to the millisecond at best; a longer hole is one in the audio
)
_LOUDEST: Final = 8.0  # full scale is 1


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Samples [n] in about -1..1; the first is number `at` of an audio whose sample 0 is heard at
    `start_s`.

    `time_s` is the stamp of the first sample itself: of a device that differs where its clock is
    not quite the computer's.
    """

    start: int
    start_s: float
    samples: FloatArray
    time_s: float


class AudioChunks:
    """Pieces in order, none over another; channels are averaged. `broken` says why the audio
    stopped before its end.

    Holes between packets lie between pieces. Time stamps that go back, as where recordings were
    joined, count on.
    """

    def __init__(self, container: Any, rate_hz: int) -> None:
        self.error = ""
        self._container, self._rate_hz = container, rate_hz

    def __iter__(self) -> Iterator[AudioChunk]:
        av = require_pyav()
        at, start_s, begins_s, expected_s, resampler = 0, np.nan, np.nan, -np.inf, None

        def placed(frames: list[Any]) -> Iterator[AudioChunk]:
            nonlocal at
            stamp_s = begins_s
            for frame in frames:
                if frame.samples:
                    piece = AudioChunk(at, start_s, _mono(frame.to_ndarray()), stamp_s)
                    at += len(piece.samples)
                    stamp_s += len(piece.samples) / self._rate_hz
                    yield piece

        try:
            for frame in self._container.decode(self._container.streams.audio[0]):
                begins_s = expected_s if frame.pts is None else float(frame.pts * frame.time_base)
                if not np.isfinite(begins_s):
                    begins_s = 0.0
                if resampler is None or begins_s - expected_s > _GAP_S:
                    if resampler is None:
                        start_s = begins_s
                    else:
                        yield from placed(resampler.resample(None))
                        at = max(at, round((begins_s - start_s) * self._rate_hz))
                    resampler = av.AudioResampler(
                        format="fltp", layout=frame.layout, rate=self._rate_hz
                    )
                    expected_s = begins_s
                expected_s = max(expected_s, begins_s) + frame.samples / frame.sample_rate
                frame.pts = None
                yield from placed(resampler.resample(frame))
        except (
            av.FFmpegError,
            ValueError,
        ) as error:  # ValueError: the audio changes its form half-way
            self.error = str(getattr(error, "strerror", "") or error)
        if resampler is not None:
            yield from placed(resampler.resample(None))


def _mono(channels: FloatArray) -> FloatArray:
    """The mean of the channels by our own hand: a resampler's own mix to mono may weigh them by 0.7
    each.

    Files of floating point may hold anything; what is no audio is silence, so that no NaN stays
    in a model's memory.
    """
    mean = (
        np.nan_to_num(channels, nan=0.0, posinf=0.0, neginf=0.0)
        .clip(-_LOUDEST, _LOUDEST)
        .mean(axis=0, dtype=np.float32)
    )
    return np.asarray(mean, np.float32)
