"""Tests of audio-driven mouth AUs."""

import numpy as np

from training.synthesis.videos.lip_sync import speech_aus, voice_brightness, voice_energy
from training.synthesis.videos.video_file import AUDIO_RATE_HZ

FPS = 25.0
TIME_S = (np.arange(300) / FPS).astype(np.float32)


def speech(rng):
    """Returns amplitude-modulated noise at AUDIO_RATE_HZ, and its loudness per frame."""
    seconds = np.arange(len(TIME_S) * AUDIO_RATE_HZ // int(FPS)) / AUDIO_RATE_HZ
    loudness = np.clip(np.sin(2 * np.pi * 1.7 * seconds), 0, 1) * (seconds < 8)
    samples = (0.3 * loudness * rng.normal(size=len(seconds))).astype(np.float32)
    return samples, np.interp(TIME_S, seconds, loudness)


def test_speech_aus_follow_voice_energy():
    rng = np.random.default_rng(2)
    samples, loudness = speech(rng)
    energy = voice_energy(samples, TIME_S)
    units = speech_aus(rng, energy, voice_brightness(samples, TIME_S), FPS)
    assert np.corrcoef(units["AU26"], loudness)[0, 1] > 0.85
    assert units["AU25"][TIME_S > 8.3].max() < 0.02


def test_voice_energy_of_silence_is_zero():
    silent = np.zeros(len(TIME_S) * AUDIO_RATE_HZ // int(FPS), np.float32)
    assert voice_energy(silent, TIME_S).max() == 0
    assert voice_brightness(silent, TIME_S).max() == 0
