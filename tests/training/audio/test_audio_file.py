"""Decoded audio and frame times compared with files of known content and with decoded frames."""

from __future__ import annotations

import builtins

import av
import numpy as np
import pytest

from tests.training.audio.synthetic_media import write_audio, write_video
from training.audio.audio_file import read_audio
from training.audio.frame_times import (
    NoAudioTrackError,
    UnreadableMediaError,
    frame_audio_offsets,
    frame_times,
)

RATE = 44100


def tone(seconds: float, hz: float = 440.0, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def test_read_audio_returns_written_samples(tmp_path):
    audio = tone(0.5)
    read = read_audio(write_audio(tmp_path / "a.wav", audio[None], RATE), RATE)
    assert read.rate_hz == RATE
    assert read.start_s == 0
    assert len(read.samples) == len(audio)
    assert np.abs(read.samples - audio).max() < 1e-4


def test_read_audio_averages_channels(tmp_path):
    left = tone(0.3)
    read = read_audio(write_audio(tmp_path / "a.wav", np.stack([left, 0 * left]), RATE), RATE)
    assert np.abs(read.samples - left / 2).max() < 1e-4


@pytest.mark.parametrize("rate", [16000, 48000])
def test_read_audio_at_other_rate_stays_in_sync(tmp_path, rate):
    read = read_audio(write_audio(tmp_path / "a.wav", tone(1.0, rate=rate)[None], rate), RATE)
    assert abs(len(read.samples) - RATE) <= 2
    expected = tone(1.0)
    middle = slice(2000, RATE - 2000)
    assert np.abs(read.samples[middle] - expected[middle]).max() < 0.01


def test_read_audio_of_video_keeps_start_time(tmp_path):
    audio = tone(1.0)
    path = write_video(tmp_path / "a.mkv", np.arange(25) / 25, audio[None], audio_start_s=0.4)
    read = read_audio(path, RATE)
    assert read.start_s == pytest.approx(0.4, abs=0.002)
    assert np.abs(read.samples[: len(audio)] - audio).max() < 1e-4


def test_read_audio_fills_gap_with_silence(tmp_path):
    path = tmp_path / "a.mkv"
    audio = (tone(0.5) * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for k in range(0, len(audio) - 1024, 1024):
            frame = av.AudioFrame.from_ndarray(
                audio[None, k : k + 1024], format="s16", layout="mono"
            )
            frame.sample_rate = RATE
            frame.pts = k + (RATE if k >= 10240 else 0)  # a gap of one second
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    read = read_audio(path, RATE).samples
    assert np.abs(read[10240 + 100 : RATE + 10240 - 100]).max() == 0
    assert np.abs(read[:10240] - audio[:10240] / 32768).max() < 1e-4
    later = read[RATE + 10240 : RATE + 12000]
    shifts = [
        np.abs(later[50:-50] - audio[10240 + 50 + s : 12000 - 50 + s] / 32768).max()
        for s in range(-50, 51)
    ]
    assert min(shifts) < 1e-3  # the container rounds to a millisecond


UNEVEN = np.cumsum([0, 40, 40, 33, 67, 40, 120, 40, 40, 21, 40, 40]) / 1000


@pytest.mark.parametrize(("name", "b_frames"), [("a.mkv", 0), ("a.mp4", 0), ("a.mp4", 2)])
def test_frame_times_are_container_timestamps(tmp_path, name, b_frames):
    path = write_video(tmp_path / name, UNEVEN, b_frames=b_frames)
    assert frame_times(path) == pytest.approx(UNEVEN, abs=0.0011)


def decoded_times(path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(container.streams.video[0])]


def test_frame_times_of_avi_follow_frame_rate(tmp_path):
    path = write_video(tmp_path / "a.avi", np.arange(30) / 25, tone(1.2)[None])
    assert frame_times(path) == pytest.approx(np.arange(30) / 25, abs=1e-6)
    assert frame_times(path) == pytest.approx(decoded_times(path), abs=1e-6)


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    ["pyfeat_single_face_smile.mp4", "pexels_wolfganglanger_sad_woman.mp4", "grid_bbaf2n.mpg"],
)
def test_frame_times_of_real_clips_match_frame_count(shared, name):
    path = shared / "data/videos" / name
    assert frame_times(path) == pytest.approx(decoded_times(path), abs=1e-6)


def test_frame_audio_offsets_start_at_first_sample(tmp_path):
    late = write_video(tmp_path / "late.mkv", UNEVEN, tone(1)[None], audio_start_s=0.1)
    assert frame_audio_offsets(late) == pytest.approx(UNEVEN - 0.1, abs=0.0011)
    assert frame_audio_offsets(late)[0] < 0
    # The encoder's priming samples do not count as audio: a click stays where it was written.
    click = np.zeros(RATE, np.float32)
    click[RATE // 2] = 1
    coded = write_video(tmp_path / "coded.mp4", np.arange(25) / 25, click[None], audio_codec="aac")
    offsets, audio = frame_audio_offsets(coded), read_audio(coded, RATE)
    click_s = np.abs(audio.samples).argmax() / RATE
    assert click_s == pytest.approx(np.interp(0.5, np.arange(25) / 25, offsets), abs=0.002)


def test_read_audio_without_audio_raises(tmp_path):
    with pytest.raises(NoAudioTrackError, match="no audio track"):
        frame_audio_offsets(write_video(tmp_path / "mute.mp4", UNEVEN))
    with pytest.raises(NoAudioTrackError, match="no audio track"):
        read_audio(tmp_path / "mute.mp4", RATE)
    (tmp_path / "text.mp4").write_text("not a video")
    for read in (frame_times, frame_audio_offsets, lambda path: read_audio(path, RATE)):
        with pytest.raises(UnreadableMediaError, match=r"text\.mp4 cannot be read"):
            read(tmp_path / "text.mp4")
        with pytest.raises(FileNotFoundError, match="no such file"):
            read(tmp_path / "gone.mp4")
    with pytest.raises(UnreadableMediaError, match="no video track"):
        frame_times(write_audio(tmp_path / "a.wav", tone(0.1)[None], RATE))


def test_read_audio_of_truncated_file_returns_readable_part(tmp_path):
    complete = write_video(tmp_path / "a.mkv", UNEVEN, tone(1)[None])
    truncated = tmp_path / "truncated.mkv"
    truncated.write_bytes(complete.read_bytes()[: int(complete.stat().st_size * 0.6)])
    read = read_audio(truncated, RATE)
    assert 0.2 < read.duration_s < 0.9
    assert np.abs(read.samples[:4410] - tone(1)[:4410]).max() < 1e-4


def test_read_audio_without_pyav_names_remedy(tmp_path, monkeypatch):
    real = builtins.__import__

    def import_without_av(name, *args, **kwargs):
        if name == "av":
            raise ImportError("No module named 'av'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", import_without_av)
    with pytest.raises(
        ImportError, match=r"cannot be imported .*; reinstall it: pip install --force-reinstall av"
    ):
        frame_times(tmp_path / "a.mp4")
