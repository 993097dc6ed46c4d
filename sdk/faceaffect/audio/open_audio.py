"""Opens the audio that goes with a source of frames."""

from __future__ import annotations

from pathlib import Path

from faceaffect.audio.audio_file import AudioFile
from faceaffect.audio.audio_source import (
    AUTO,
    MICROPHONE,
    MICROPHONE_PREFIX,
    AudioError,
    AudioSource,
)
from faceaffect.audio.microphone import Microphone
from faceaffect.sources.nvdec_video import SCHEME
from faceaffect.sources.path_checks import exists
from faceaffect.sources.source import Source
from faceaffect.sources.video_file import split_stream_option


def open_audio(name: str, source: Source, rate_hz: int) -> AudioSource:
    """Open audio for the frames of `source`.

    Args:
        name: `auto` for the source's own track, `mic` or `mic:DEVICE` for a microphone, else the
            path of an audio file.
        source: the source of the frames.
        rate_hz: sample rate to resample to.

    Raises:
        AudioError: there is no audio track, a microphone is combined with a file, or PyAV is
            missing.
    """
    try:
        if (name == MICROPHONE or name.startswith(MICROPHONE_PREFIX)) and not exists(Path(name)):
            return _open_microphone(name[len(MICROPHONE_PREFIX) :], source, rate_hz)
        if name != AUTO:
            return AudioFile(name, rate_hz)
        if source.is_live:
            raise AudioError(
                f"{source.name}: the audio of a live source is not read; "
                "add --audio mic for a microphone"
            )
        path, _ = split_stream_option(source.name.removeprefix(f"{SCHEME}://"))
        if not (source.is_sequence and path.is_file()):
            raise AudioError(f"{source.name}: images have no audio; add --audio FILE for a file")
        return AudioFile(path, rate_hz)
    except ImportError as error:
        raise AudioError(str(error)) from None


def _open_microphone(device: str, source: Source, rate_hz: int) -> AudioSource:
    opened_s = getattr(source, "opened_s", None)
    if opened_s is None:
        raise AudioError(
            f"{source.name}: a microphone goes with a camera or stream, whose frames have the same "
            "clock, not with files"
        )
    return Microphone(device, rate_hz, opened_s)
