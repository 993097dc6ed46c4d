"""Sound as one mono signal at one rate, in step with the container's clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.audio.open_media import SoundlessVideoError, UnreadableMediaError, open_media, require_pyav

_GAP_S: Final = 0.05  # packets are stamped to the millisecond at best; a longer hole is one in the sound


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples [n] in about -1..1; sample k is heard at `start_s + k / rate_hz` of the container's clock."""

    samples: NDArray[np.float32]
    rate_hz: int
    start_s: float

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz


def read_sound(path: Path, rate_hz: int) -> Sound:
    """All sound of a video or sound file at `rate_hz`; channels are averaged, holes between packets become silence.

    A file whose sound breaks off is read up to there.

    Raises:
        FileNotFoundError, UnreadableMediaError, SoundlessVideoError
    """
    with open_media(path) as container:
        if not container.streams.audio:
            raise SoundlessVideoError(f"{path} has no sound track")
        runs = _runs(container, rate_hz)
    if not runs:
        raise UnreadableMediaError(f"{path} has a sound track without a sample that can be read")
    start_s = runs[0][0]
    ends = [round((start - start_s) * rate_hz) + len(samples) for start, samples in runs]
    total = np.zeros(max(ends), np.float32)
    for start, samples in runs:
        at = round((start - start_s) * rate_hz)
        total[at : at + len(samples)] = samples
    return Sound(total, rate_hz, start_s)


def _runs(container: Any, rate_hz: int) -> list[tuple[float, NDArray[np.float32]]]:
    """Stretches of sound without a hole: time of the first sample, and samples at `rate_hz`."""
    av = require_pyav()
    runs: list[tuple[float, list[NDArray[np.float32]]]] = []
    resampler, expected_s = None, -np.inf
    try:
        for frame in container.decode(container.streams.audio[0]):
            start_s = expected_s if frame.pts is None else float(frame.pts * frame.time_base)
            if not np.isfinite(start_s):
                start_s = 0.0
            if resampler is None or abs(start_s - expected_s) > _GAP_S:
                if resampler is not None:
                    runs[-1][1].extend(_mono(resampler.resample(None)))
                resampler = av.AudioResampler(format="fltp", layout=frame.layout, rate=rate_hz)
                runs.append((start_s, []))
            expected_s = start_s + frame.samples / frame.sample_rate
            frame.pts = None
            runs[-1][1].extend(_mono(resampler.resample(frame)))
    except av.FFmpegError:
        if not runs:
            raise
    if resampler is not None:
        runs[-1][1].extend(_mono(resampler.resample(None)))
    return [(start, np.concatenate(parts)) for start, parts in runs if parts]


def _mono(frames: list[Any]) -> list[NDArray[np.float32]]:
    # The mean of the channels by our own hand: a resampler's own mix to mono may weigh them by 0.7 each.
    return [frame.to_ndarray().mean(axis=0, dtype=np.float32) for frame in frames if frame.samples]
