"""Microphone with a fake device that stamps samples with the time of day, as ALSA does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from faceaffect.audio.microphone import Microphone

RATE = 44100
BLOCK = 441


class FakeDevice:
    """A device whose sample k is k / 100000; its clock is faster than the computer's by `skew`."""

    def __init__(self, blocks: int, began_s: float, skew: float = 0.0, fails: bool = False) -> None:
        self.streams = SimpleNamespace(audio=[object()])
        self.closed = threading.Event()
        self._blocks, self._began_s, self._skew, self._fails = blocks, began_s, skew, fails

    def decode(self, _stream: object) -> Iterator[Any]:
        for block in range(self._blocks):
            values = (np.arange(BLOCK) + block * BLOCK).astype(np.float32) / 1e5
            frame = av.AudioFrame.from_ndarray(values[None], format="fltp", layout="mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, 1_000_000)
            frame.pts = round((self._began_s + block * BLOCK / RATE * (1 - self._skew)) * 1e6)
            yield frame
        if self._fails:
            raise av.FFmpegError(5, "Input/output error")

    def close(self) -> None:
        self.closed.set()


def open_microphone(device: FakeDevice, zero_s: float) -> Microphone:
    """A microphone that has received everything from its device."""
    microphone = Microphone("fake", RATE, zero_s, lambda _name: device)
    assert device.closed.wait(5)
    return microphone


def test_microphone_returns_audio_from_before_each_frame() -> None:
    zero_s = time.monotonic()
    # The first sample is a quarter second after time 0 of the camera.
    microphone = open_microphone(FakeDevice(100, time.time() + 0.25), zero_s)
    assert len(microphone.read_until(0.2)) == 0
    first = microphone.read_until(0.75)
    assert len(first) == pytest.approx(0.5 * RATE, abs=0.002 * RATE)
    second = microphone.read_until(1.0)
    assert len(second) == pytest.approx(0.25 * RATE, abs=2)
    samples = np.concatenate([first, second])
    assert samples == pytest.approx(np.arange(len(samples)) / 1e5, abs=1e-4)
    assert len(microphone.read_until(0.9)) == 0
    microphone.close()


def test_microphone_with_fast_clock_does_not_fall_behind() -> None:
    """The clock is 2 % fast: counting samples alone would delay the end of 5 s by 0.1 s."""
    zero_s, began_s = time.monotonic(), time.time()
    microphone = open_microphone(FakeDevice(500, began_s, skew=0.02), zero_s)
    samples = microphone.read_until(4.0)
    assert len(samples) == pytest.approx(4.0 / 0.98 * RATE, abs=0.02 * RATE)
    microphone.close()


def test_microphone_drops_audio_not_fetched_in_time_and_notes_it() -> None:
    microphone = open_microphone(FakeDevice(1300, time.time()), time.monotonic())
    samples = microphone.read_until(20.0)
    assert len(samples) == pytest.approx(10 * RATE, abs=2 * BLOCK)
    assert samples[-1] == pytest.approx((1300 * BLOCK - 1) / 1e5, abs=1e-3)
    microphone.close()
    assert [note for note in microphone.notes if "3.0 s were not fetched" in note]


def test_microphone_whose_device_fails_keeps_samples_and_notes_it() -> None:
    device = FakeDevice(10, time.time(), fails=True)
    microphone = open_microphone(device, time.monotonic())
    assert len(microphone.read_until(5.0)) == 10 * BLOCK
    assert len(microphone.read_until(6.0)) == 0
    microphone.close()
    microphone.close()
    assert len(microphone.notes) == 1
    assert "microphone fake: it stopped (" in microphone.notes[0]
    assert device.closed.is_set()
