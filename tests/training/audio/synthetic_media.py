"""Small videos and audio files with known times and samples, written with PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

MILLISECOND = Fraction(1, 1000)


def write_video(
    path: Path,
    times_s: Sequence[float],
    audio: np.ndarray | None = None,
    rate_hz: int = 44100,
    audio_start_s: float = 0.0,
    codec: str = "mpeg4",
    audio_codec: str = "pcm_s16le",
    b_frames: int = 0,
) -> Path:
    """Write frames at `times_s` and `audio` [channels, n] that starts at `audio_start_s`."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        if path.suffix != ".avi":
            video.codec_context.time_base = MILLISECOND
        if b_frames:
            video.codec_context.max_b_frames = b_frames
        stream = None
        if audio is not None:
            layout = "stereo" if len(audio) == 2 else "mono"
            stream = container.add_stream(audio_codec, rate=rate_hz, layout=layout)
        for k, time_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(
                np.full((32, 32, 3), (k * 37) % 256, np.uint8), format="rgb24"
            )
            if path.suffix == ".avi":
                frame.pts = k
            else:
                frame.pts, frame.time_base = round(time_s * 1000), MILLISECOND
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            _write_audio(container, stream, audio, rate_hz, audio_start_s)
    return path


def write_audio(path: Path, audio: np.ndarray, rate_hz: int, codec: str = "pcm_s16le") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            codec, rate=rate_hz, layout="stereo" if len(audio) == 2 else "mono"
        )
        _write_audio(container, stream, audio, rate_hz, 0.0)
    return path


def _write_audio(
    container: av.container.OutputContainer, stream, audio: np.ndarray, rate_hz: int, start_s: float
) -> None:
    samples = (np.clip(audio, -1, 1) * 32767).round().astype(np.int16)
    resampler = av.AudioResampler(
        format=stream.codec_context.format, layout=stream.codec_context.layout, rate=rate_hz
    )
    for k in range(0, samples.shape[1], 1024):
        chunk = np.ascontiguousarray(samples[:, k : k + 1024].T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(
            chunk, format="s16", layout="stereo" if len(samples) == 2 else "mono"
        )
        frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
        frame.pts = round(start_s * rate_hz) + k
        for ready in resampler.resample(frame):
            container.mux(stream.encode(ready))
    container.mux(stream.encode())
