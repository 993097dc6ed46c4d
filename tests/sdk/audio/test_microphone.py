"""A microphone whose driver stamps samples with the time of day, as ALSA's does, beside a camera's
clock.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from faceaffect.audio.audio_source import AudioError
from faceaffect.audio.microphone import Microphone
from faceaffect.audio.open_audio import open_audio

RATE = 44100
BLOCK = 441


class Device:
    """Counts its samples: sample k is k / 100000. `skew` is how much faster its clock runs than the
    computer's.
    """

    def __init__(self, blocks: int, began_s: float, skew: float = 0.0, fails: bool = False) -> None:
        self.streams = SimpleNamespace(audio=[object()])
        self.is_closed = False
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
        self.is_closed = True


def opened(device: Device, zero_s: float) -> Microphone:
    """With everything that the device has to give already arrived."""
    microphone = Microphone("made", RATE, zero_s, lambda _name: device)
    microphone._thread.join(5)
    assert not microphone._thread.is_alive()
    return microphone


def test_a_frame_hears_what_was_said_before_it_was_taken() -> None:
    zero_s = time.monotonic()
    microphone = opened(
        Device(100, time.time() + 0.25), zero_s
    )  # the first sample a quarter second after the camera's 0
    assert len(microphone.read_until(0.2)) == 0
    first = microphone.read_until(0.75)
    assert len(first) == pytest.approx(0.5 * RATE, abs=0.002 * RATE)
    second = microphone.read_until(1.0)
    assert len(second) == pytest.approx(0.25 * RATE, abs=2)
    heard = np.concatenate([first, second])
    assert heard == pytest.approx(np.arange(len(heard)) / 1e5, abs=1e-4)
    assert len(microphone.read_until(0.9)) == 0
    microphone.close()


def test_a_audio_card_that_runs_fast_does_not_fall_behind() -> None:
    """Five seconds at two per cent too fast: by counting samples alone the last would be heard a
    tenth of a second late.
    """
    zero_s, began_s = time.monotonic(), time.time()
    microphone = opened(Device(500, began_s, skew=0.02), zero_s)
    heard = microphone.read_until(4.0)
    assert len(heard) == pytest.approx(4.0 / 0.98 * RATE, abs=0.02 * RATE)
    microphone.close()


def test_what_nobody_fetched_is_dropped_and_said() -> None:
    microphone = opened(Device(1300, time.time()), time.monotonic())
    heard = microphone.read_until(20.0)
    assert len(heard) == pytest.approx(10 * RATE, abs=2 * BLOCK)
    assert heard[-1] == pytest.approx((1300 * BLOCK - 1) / 1e5, abs=1e-3)
    microphone.close()
    assert [note for note in microphone.notes if "3.0 s were not fetched" in note]


def test_a_device_that_is_pulled_out_is_said_and_costs_nothing() -> None:
    device = Device(10, time.time(), fails=True)
    microphone = opened(device, time.monotonic())
    assert len(microphone.read_until(5.0)) == 10 * BLOCK
    assert len(microphone.read_until(6.0)) == 0
    microphone.close()
    microphone.close()
    assert len(microphone.notes) == 1
    assert "microphone made: it stopped (" in microphone.notes[0]
    assert device.is_closed


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or "alsa" not in av.formats_available,
    reason="needs ALSA in PyAV",
)
def test_alsa_is_opened_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device of ALSA's own that gives silence; there is no audio card here."""
    (tmp_path / "asound.conf").write_text("pcm.made { type null }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    source: Any = SimpleNamespace(name="camera", opened_s=time.monotonic())
    microphone = open_audio("mic:made", source, RATE)
    heard, until = 0, time.monotonic() + 10
    while heard < 100 and time.monotonic() < until:
        heard += len(microphone.read_until(time.monotonic() - source.opened_s))
        time.sleep(0.01)
    microphone.close()
    assert heard >= 100
    with pytest.raises(AudioError, match="microphone nothing_like_it: it cannot be opened"):
        open_audio("mic:nothing_like_it", source, RATE)
