"""Log-mel features compared with loop implementations and with SciPy, and windows of a track."""

from __future__ import annotations

import math

import numpy as np
import pytest

from faceaffect.audio.mel import (
    MelConfig,
    fixed_floor_db,
    hz_to_mel,
    log_mel,
    mel_bank,
    mel_power,
    mel_to_hz,
    normalized_db,
)
from training.audio.audio_file import Audio
from training.audio.mel_track import MelTrack, MelTracks, nearest_indices

SMALL = MelConfig(rate_hz=1600, window_s=0.02, hop_s=0.01, fft=64, bands=6, high_hz=800)
RANDOM = np.random.default_rng(3)


def slow_bank(config: MelConfig) -> np.ndarray:
    def mel(f: float) -> float:
        return 2595 * math.log10(1 + f / 700)

    def hz(m: float) -> float:
        return 700 * (10 ** (m / 2595) - 1)

    step = (mel(config.high_hz) - mel(config.low_hz)) / (config.bands + 1)
    corner = [hz(mel(config.low_hz) + k * step) for k in range(config.bands + 2)]
    bank = np.zeros((config.fft // 2 + 1, config.bands))
    for b in range(config.bands):
        for f in range(config.fft // 2 + 1):
            at = f * config.rate_hz / config.fft
            if corner[b] < at <= corner[b + 1]:
                bank[f, b] = (at - corner[b]) / (corner[b + 1] - corner[b])
            elif corner[b + 1] < at < corner[b + 2]:
                bank[f, b] = (corner[b + 2] - at) / (corner[b + 2] - corner[b + 1])
    return bank


def slow_log_mel(x: np.ndarray, config: MelConfig) -> np.ndarray:
    width, bank = round(config.window_s * config.rate_hz), slow_bank(config)
    hop = round(config.hop_s * config.rate_hz)
    db = np.zeros((config.bands, len(x) // hop + 1))
    for j in range(db.shape[1]):
        power = np.zeros(config.fft // 2 + 1)
        for f in range(config.fft // 2 + 1):
            total = 0j
            for n in range(width):
                k = j * hop - width // 2 + n
                w = 0.5 - 0.5 * math.cos(2 * math.pi * n / width)
                turn = -2 * math.pi * f * n / config.fft
                total += (
                    (x[k] if 0 <= k < len(x) else 0.0) * w * complex(math.cos(turn), math.sin(turn))
                )
            power[f] = abs(total) ** 2
        for b in range(config.bands):
            db[b, j] = 10 * math.log10(max(float(power @ bank[:, b]), 1e-10))
    db = np.maximum(db, db.max() - config.top_db)
    return (db + 14.8) / 19.895


def test_log_mel_matches_loop_implementation():
    x = (RANDOM.standard_normal(200) * np.linspace(0, 0.5, 200)).astype(np.float32)
    x[:60] = 0  # silence, so that the floor of top_db applies
    assert log_mel(x, SMALL) == pytest.approx(slow_log_mel(x, SMALL), abs=2e-4)


def test_mel_bank_matches_loop_implementation():
    config = MelConfig()
    assert mel_bank(config) == pytest.approx(slow_bank(config), abs=1e-5)
    assert mel_bank(config).shape == (513, 64)
    assert hz_to_mel(1000) == pytest.approx(1000, abs=0.1)  # where the scale is tied to Hz
    hz = np.array([0, 50, 999.0, 22050])
    assert mel_to_hz(hz_to_mel(hz)) == pytest.approx(hz)


def test_stft_matches_scipy():
    signal = pytest.importorskip("scipy.signal")
    config, x = MelConfig(), RANDOM.standard_normal(44100).astype(np.float32)
    window = np.zeros(1024)
    window[71 : 71 + 882] = signal.get_window("hann", 882, fftbins=True)
    stft = signal.ShortTimeFFT(window, 441, 44100, fft_mode="onesided", scale_to=None)
    frames = np.abs(stft.stft(x, p0=0, p1=101)) ** 2
    assert mel_power(x, config) == pytest.approx(frames.T @ slow_bank(config), rel=1e-3, abs=1e-3)


def test_log_mel_of_ten_seconds_has_1001_frames_of_64_bands():
    mel = log_mel(np.zeros(441000, np.float32))
    assert mel.shape == (64, 1001)
    assert mel == pytest.approx((-100 + 14.8) / 19.895, abs=1e-5)


def test_log_mel_of_tone_peaks_in_its_band():
    for hz in (300.0, 1000.0, 8000.0):
        x = (0.5 * np.sin(2 * np.pi * hz * np.arange(44100) / 44100)).astype(np.float32)
        middle = log_mel(x)[:, 50]
        centers = mel_to_hz(np.linspace(0, hz_to_mel(22050), 66))[1:-1]
        assert abs(centers[middle.argmax()] - hz) / hz < 0.1


def test_mel_power_is_independent_of_block_size():
    x = RANDOM.standard_normal(44100).astype(np.float32)
    assert mel_power(x, MelConfig(), block=7) == pytest.approx(mel_power(x, MelConfig()), rel=1e-5)


def test_mel_config_with_invalid_values_raises():
    with pytest.raises(ValueError, match="mono"):
        mel_power(np.zeros((2, 100), np.float32), SMALL)
    with pytest.raises(ValueError, match="NaN"):
        mel_power(np.full(100, np.nan, np.float32), SMALL)
    with pytest.raises(ValueError, match="window of at most 512 samples"):
        MelConfig(fft=512)
    with pytest.raises(ValueError, match=r"expected bands within 0 to 8000\.0 Hz"):
        MelConfig(rate_hz=16000, fft=1024)
    with pytest.raises(ValueError, match="hop of an integer number of samples"):
        MelConfig(rate_hz=22050, high_hz=11025, hop_s=0.0101)


@pytest.fixture(scope="module")
def track() -> MelTrack:
    x = (RANDOM.standard_normal(44100 * 3) * 0.1).astype(np.float32)
    return MelTrack.from_audio(Audio(x, 44100, 0.0))


def test_window_around_is_centered_on_frame(track):
    window = track.window_around(1.5, 0.5, 0.5)
    assert window.shape == (64, 101)
    assert window == pytest.approx(normalized_db(track.power[100:201], track.config))
    assert track.window_around(1.5).shape == (64, 1001)


@pytest.mark.parametrize(
    ("offset", "silent"), [(0.2, slice(0, 30)), (-0.1, slice(0, 60)), (2.8, slice(71, 101))]
)
def test_window_around_beyond_audio_is_padded_with_silence(track, offset, silent):
    window = track.window_around(offset, 0.5, 0.5)
    assert window.shape == (64, 101)
    floor = window.max() - 80 / 19.895
    quiet = np.zeros(101, bool)
    quiet[silent] = True
    assert (window[:, quiet] <= floor + 1e-5).all()
    assert (window[:, ~quiet] > floor + 0.5).all()


def test_window_around_far_outside_is_silence(track):
    assert track.window_around(-100, 0.5, 0.5) == pytest.approx(track.silence(101))
    assert track.window_around(100, 0.5, 0.5) == pytest.approx(track.silence(101))
    with pytest.raises(ValueError, match="expected a finite time"):
        track.window_around(float("nan"))


def test_window_between_covers_interval(track):
    window = track.window_between(0.5, 1.5, 100)
    assert window == pytest.approx(normalized_db(track.power[50:150], track.config))
    longer = track.window_between(0.5, 1.5, 200)
    assert longer[:, ::2] == pytest.approx(window)
    with pytest.raises(ValueError, match="expected start_s < end_s"):
        track.window_between(1, 1, 10)


def test_nearest_indices_matches_nearest_resize():
    assert nearest_indices(4, 4).tolist() == [0, 1, 2, 3]
    assert nearest_indices(4, 8).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert nearest_indices(9, 3).tolist() == [1, 4, 7]
    torch = pytest.importorskip("torch")
    for count, size in ((30, 100), (100, 30), (7, 64)):
        resized = torch.nn.functional.interpolate(
            torch.arange(count)[None, None].double(), size=size, mode="nearest-exact"
        )
        assert nearest_indices(count, size).tolist() == resized[0, 0].long().tolist()


def test_from_audio_with_other_sample_rate_raises():
    with pytest.raises(ValueError, match="expected audio at 44100 Hz, got 16000 Hz"):
        MelTrack.from_audio(Audio(np.zeros(100, np.float32), 16000, 0))


def test_mel_tracks_cache_tracks_and_silent_files(tmp_path, monkeypatch):
    from faceaffect.audio.open_media import NoAudioTrackError
    from training.audio import mel_track

    calls = []

    def read(path, rate_hz):
        calls.append(path.name)
        if path.name == "mute":
            raise NoAudioTrackError("no audio track")
        return Audio(np.zeros(1600, np.float32), rate_hz, 0.0)

    monkeypatch.setattr(mel_track, "read_audio", read)
    for name in ("mute", "a"):
        (tmp_path / name).write_text(name)
    for _ in range(2):
        on_disk = MelTracks(SMALL, folder=tmp_path / "mel")
        assert on_disk.get(tmp_path / "mute") is None
        np.testing.assert_array_equal(
            on_disk.get(tmp_path / "a").power, mel_power(np.zeros(1600, np.float32), SMALL)
        )
    assert calls == ["mute", "a"]  # the second time nothing is decoded
    (tmp_path / "a").write_text("another audio")
    MelTracks(SMALL, folder=tmp_path / "mel").get(tmp_path / "a")
    assert calls == ["mute", "a", "a"]
    calls.clear()
    tracks = MelTracks(SMALL, max_cached=2)
    assert tracks.get(tmp_path / "mute") is None
    first = tracks.get(tmp_path / "a")
    assert tracks.get(tmp_path / "a") is first
    tracks.get(tmp_path / "b")
    tracks.get(tmp_path / "mute")
    assert calls == ["mute", "a", "b", "mute"]


@pytest.mark.shared
def test_mel_track_of_real_voice_is_louder_during_speech(shared):
    pytest.importorskip("av")
    from training.audio.audio_file import read_audio

    audio = read_audio(shared / "data/emodb/03a01Fa.flac", 44100)
    assert 1 < audio.duration_s < 10
    mel = log_mel(audio.samples)
    energy = np.sqrt(np.convolve(audio.samples**2, np.ones(441) / 441, "same"))[::441][
        : mel.shape[1]
    ]
    loudness = mel.mean(axis=0)[: len(energy)]
    assert np.corrcoef(np.log(energy + 1e-4), loudness)[0, 1] > 0.9


def test_latest_frames_end_at_last_complete_step(track):
    times_s = (-1.0, 0.0, 0.005, 0.1, 0.1999, 0.2)
    assert [track.frames_available(t) for t in times_s] == [0, 0, 0, 10, 19, 20]
    assert track.latest_frames(0.57, 30) == pytest.approx(
        normalized_db(track.power[20:50], track.config)
    )
    early = track.latest_frames(0.1, 30)
    assert early == pytest.approx(
        normalized_db(
            np.concatenate([np.zeros((20, 64), np.float32), track.power[:10]]), track.config
        )
    )
    assert track.chunk(10, 20) == pytest.approx(fixed_floor_db(track.power[10:20], track.config))
