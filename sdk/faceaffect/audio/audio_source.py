"""What every source of audio is and can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from faceaffect.errors import FaceAffectError

if TYPE_CHECKING:
    from faceaffect.types import FloatArray

AUTO, NONE, MICROPHONE = "auto", "none", "mic"
"""What may be heard besides a file of audio: a video's own, nothing, a microphone."""
DEVICE_MARK: Final = MICROPHONE + ":"


class AudioError(FaceAffectError, ValueError):
    """Audio that cannot be had: what was wanted, what came, what to do."""


class AudioSource(Protocol):
    """Mono samples at `rate_hz`, once, in order, in step with the clock of the frames that it
    belongs to.
    """

    name: str
    rate_hz: int
    notes: list[str]
    """What the user should know: audio that broke off, ended early or was lost."""

    def read_until(self, time_s: float) -> FloatArray:
        """The samples from where the last call ended to those heard before `time_s`; none is from
        later.
        """
        ...

    def close(self) -> None: ...
