"""Selection of the audio that goes with a source."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest

from faceaffect.audio.audio_source import AudioError
from faceaffect.audio.open_audio import open_audio
from faceaffect.sources import open_source
from tests.sdk.audio.test_audio_file import RATE, TIMES, decoded, noise
from tests.training.audio.synthetic_media import write_audio, write_video


def test_open_audio_opens_track_of_source_or_named_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = write_video(tmp_path / "mute.mkv", TIMES)
    loud = write_video(tmp_path / "loud.mkv", TIMES, noise(1.2))
    other = write_audio(tmp_path / "other.wav", noise(1.2, seed=1), RATE)
    with open_source(mute) as source:
        with pytest.raises(AudioError, match=r"mute.mkv: no audio track"):
            open_audio("auto", source, RATE)
        with pytest.raises(AudioError, match="goes with a camera"):
            open_audio("mic", source, RATE)
        audio = open_audio(str(other), source, RATE)
        assert audio.read_until(1.0) == pytest.approx(decoded(other)[:RATE], abs=1e-4)
        audio.close()
    with open_source(loud) as source:
        assert open_audio("auto", source, RATE).read_until(1.0) == pytest.approx(
            decoded(loud)[:RATE], abs=1e-4
        )
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(AudioError, match="cannot be imported"):
            open_audio("auto", source, RATE)


def test_open_audio_for_image_raises_audio_error(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 40, 3), np.uint8))
    with (
        open_source(tmp_path / "a.png") as source,
        pytest.raises(AudioError, match="images have no audio"),
    ):
        open_audio("auto", source, RATE)


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or "alsa" not in av.formats_available,
    reason="needs ALSA in PyAV",
)
def test_open_audio_opens_alsa_device_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALSA's null device returns silence, so that no audio card is needed."""
    (tmp_path / "asound.conf").write_text("pcm.fake { type null }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    source: Any = SimpleNamespace(name="camera", opened_s=time.monotonic())
    microphone = open_audio("mic:fake", source, RATE)
    count, deadline_s = 0, time.monotonic() + 10
    while count < 100 and time.monotonic() < deadline_s:
        count += len(microphone.read_until(time.monotonic() - source.opened_s))
        time.sleep(0.01)
    microphone.close()
    assert count >= 100
    with pytest.raises(AudioError, match="microphone nothing_like_it: cannot be opened"):
        open_audio("mic:nothing_like_it", source, RATE)
