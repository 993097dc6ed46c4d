"""From what the user wants to hear to the source of it."""

from __future__ import annotations

from pathlib import Path

from faceaffect.audio.audio_file import AudioFile
from faceaffect.audio.audio_source import AUTO, DEVICE_MARK, MICROPHONE, AudioError, AudioSource
from faceaffect.audio.microphone import Microphone
from faceaffect.sources.nvdec_video import SCHEME
from faceaffect.sources.source import Source


def open_audio(wanted: str, source: Source, rate_hz: int) -> AudioSource:
    """Audio for the frames of `source`: `auto` is its own, `mic` or `mic:DEVICE` a microphone, else
    a file of audio.

    Raises AudioError where there is none: no audio track, a camera without a microphone, no PyAV.
    """
    try:
        if wanted == MICROPHONE or wanted.startswith(DEVICE_MARK):
            return _microphone(wanted[len(DEVICE_MARK) :], source, rate_hz)
        if wanted != AUTO:
            return AudioFile(wanted, rate_hz)
        if source.is_live:
            raise AudioError(
                f"{source.name}: the audio of a live source is not read; add --audio mic for a microphone"
            )
        path = Path(source.name.removeprefix(f"{SCHEME}://"))
        if not (source.is_sequence and path.is_file()):
            raise AudioError(
                f"{source.name}: images have no audio; add --audio FILE if there is some"
            )
        return AudioFile(path, rate_hz)
    except ImportError as error:
        raise AudioError(str(error)) from None


def _microphone(device: str, source: Source, rate_hz: int) -> AudioSource:
    opened_s = getattr(source, "opened_s", None)
    if opened_s is None:
        raise AudioError(
            f"{source.name}: a microphone goes with a camera or stream, whose clock is that of the room, not with files"
        )
    return Microphone(device, rate_hz, opened_s)
