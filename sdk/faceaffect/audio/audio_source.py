"""Interface of audio sources, their special names and their error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from faceaffect.errors import FaceAffectError

if TYPE_CHECKING:
    from faceaffect.types import FloatArray

AUTO: Final = "auto"
"""The audio track of the video itself."""
NONE: Final = "none"
"""No audio."""
MICROPHONE: Final = "mic"
"""The default microphone."""
MICROPHONE_PREFIX: Final = MICROPHONE + ":"
"""Prefix of a microphone's device name."""


class AudioError(FaceAffectError, ValueError):
    """Audio that cannot be read; the message says what was expected and what to do.

    Examples:
        >>> import faceaffect as fa
        >>> issubclass(fa.AudioError, ValueError)
        True
    """


class AudioSource(Protocol):
    """Mono samples in order, to be read once, on the clock of the frames that they belong to."""

    name: str
    rate_hz: int
    notes: list[str]
    """Remarks for the user: audio that broke off, ended early or was lost."""

    def read_until(self, time_s: float) -> FloatArray:
        """Return the samples [n] from the end of the last call to before `time_s`."""
        ...

    def close(self) -> None:
        """Stop reading and release the file or device."""
        ...
