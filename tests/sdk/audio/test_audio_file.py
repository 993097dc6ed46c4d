"""Audio files read in step with frames, compared with a decode of the complete track."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from faceaffect.audio.audio_file import AudioFile
from faceaffect.audio.audio_source import AudioError
from faceaffect.sources import open_source
from tests.training.audio.synthetic_media import write_audio, write_video

RATE = 44100
TIMES = np.arange(30) / 25


def noise(seconds: float, channels: int = 1, seed: int = 0) -> np.ndarray:
    return (
        np.random.default_rng(seed).standard_normal((channels, round(seconds * RATE))) * 0.1
    ).clip(-1, 1)


def read_all(audio: AudioFile, times: np.ndarray) -> list[np.ndarray]:
    return [audio.read_until(float(time_s)) for time_s in times]


def decoded(path: Path) -> np.ndarray:
    """Mono samples of a file without gaps, decoded directly."""
    with av.open(str(path)) as container:
        parts = [frame.to_ndarray() for frame in container.decode(container.streams.audio[0])]
        channels = container.streams.audio[0].channels
    samples = np.concatenate(
        [part.reshape(-1, channels).T if len(part) == 1 else part for part in parts], axis=1
    )
    scale = 32768 if samples.dtype == np.int16 else 1
    return (samples.astype(np.float64) / scale).mean(axis=0)


@pytest.mark.parametrize("channels", [1, 2])
def test_audio_file_read_in_steps_equals_complete_track_and_is_never_ahead(
    tmp_path: Path, channels: int
) -> None:
    path = write_video(tmp_path / "a.mkv", TIMES, noise(1.3, channels))
    audio = AudioFile(path, RATE)
    parts = read_all(audio, TIMES)
    ends = np.cumsum([len(part) for part in parts])
    assert np.abs(ends - TIMES * RATE).max() <= 1
    samples = np.concatenate(parts)
    assert samples == pytest.approx(decoded(path)[: len(samples)], abs=1e-4)
    audio.close()
    assert audio.notes == []


@pytest.mark.parametrize(("video_s", "audio_s"), [(0.0, 0.4), (0.4, 0.0), (0.2, 0.2)])
def test_audio_file_with_start_times_returns_click_at_container_time(
    tmp_path: Path, video_s: float, audio_s: float
) -> None:
    """Start times differ from 0 and from each other; frame times count from the container's."""
    click = np.zeros((1, 2 * RATE), np.float32)
    at_s = 0.9 - audio_s  # at 0.9 s of the container's clock
    click[0, round(at_s * RATE)] = 1
    path = write_video(tmp_path / "a.mkv", TIMES + video_s, click, audio_start_s=audio_s)
    with open_source(path) as source:
        times = [frame.time_s for frame in source]
    assert times[0] == pytest.approx(video_s - min(video_s, audio_s), abs=1e-6)
    audio = AudioFile(path, RATE)
    has_click = [
        np.abs(part).max() > 0.5 if len(part) else False
        for part in read_all(audio, np.array(times))
    ]
    expected = int(np.flatnonzero(TIMES + video_s > 0.9)[0])
    is_on_boundary = abs(TIMES[expected] + video_s - 0.9) < 0.002
    assert has_click.index(True) in (expected, expected + is_on_boundary)
    assert sum(has_click) == 1


def test_audio_file_that_ends_early_is_padded_with_silence_and_noted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", np.arange(75) / 25, noise(1.0))
    audio = AudioFile(path, RATE)
    samples = np.concatenate(read_all(audio, np.arange(75) / 25))
    assert len(samples) == pytest.approx(74 / 25 * RATE, abs=1)
    assert np.abs(samples[round(1.01 * RATE) :]).max() == 0
    assert np.abs(samples[: round(0.99 * RATE)]).max() > 0.1
    audio.close()
    audio.close()
    assert audio.notes == [f"{path}: the audio ends at 1.0 s; silence from there on"]


def test_audio_file_that_breaks_off_is_padded_with_silence_and_noted(tmp_path: Path) -> None:
    """The file is truncated in the middle, and its last bytes are overwritten."""
    path = write_audio(tmp_path / "a.flac", noise(4.0), RATE, codec="flac")
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 4000] = b"\xff" * 4000
    path.write_bytes(content[: half + 4000])
    audio = AudioFile(path, RATE)
    samples = np.concatenate(read_all(audio, np.arange(100) / 25))
    assert len(samples) == pytest.approx(99 / 25 * RATE, abs=1)
    assert np.isfinite(samples).all()
    assert np.abs(samples[:RATE]).max() > 0.1
    assert np.abs(samples[-RATE:]).max() == 0
    audio.close()
    assert len(audio.notes) == 1
    assert "silence from there on" in audio.notes[0]


def test_audio_file_with_non_finite_samples_returns_finite_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = np.full(8000, 0.5, np.float32)
    samples[100], samples[200], samples[300] = np.nan, np.inf, 1e30
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    read = AudioFile(path, 8000).read_until(0.9)
    assert np.isfinite(read).all()
    assert np.abs(read).max() <= 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"RIFF" + b"\0" * 100, "no sample|no audio|cannot be read"),
        (None, "no such file"),
    ],
)
def test_audio_file_without_audio_raises_audio_error(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=message):
        AudioFile(path, RATE)
