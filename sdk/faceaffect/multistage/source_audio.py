"""Sound that goes with the frames of a source, for as long as they are analysed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faceaffect.audio.audio_source import AUTO, NONE, SoundError
from faceaffect.sources.source import Source, SourceError

if TYPE_CHECKING:
    from faceaffect.pipeline import Pipeline


@contextmanager
def accompanied(pipeline: Pipeline, source: Source, wanted: str, notes: list[str]) -> Iterator[None]:
    """Let a model that hears listen to the sound that is `wanted`; for any other model this does nothing.

    Where a source has no sound of its own, a note says so; other sound that cannot be had is a SourceError.
    """
    if not pipeline.hears:
        yield
        return
    from faceaffect.audio.open_audio import open_sound

    sound = None
    try:
        sound = None if wanted == NONE else open_sound(wanted, source, pipeline.sound_rate_hz)
    except SoundError as error:
        if wanted != AUTO:
            raise SourceError(str(error)) from None
        notes.append(f"{error}: {pipeline.spec.name} runs on video alone")
    pipeline.listen(sound)
    try:
        yield
    finally:
        if sound is not None:
            sound.close()
            notes += sound.notes
