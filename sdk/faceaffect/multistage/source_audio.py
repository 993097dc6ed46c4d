"""Audio that goes with the frames of a source, for as long as they are analyzed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faceaffect.audio.audio_source import AUTO, NONE, AudioError
from faceaffect.sources.source import Source, SourceError

if TYPE_CHECKING:
    from faceaffect.pipeline import Pipeline


@contextmanager
def source_audio(
    pipeline: Pipeline, source: Source, wanted: str, notes: list[str]
) -> Iterator[None]:
    """Let a model that hears listen to the audio that is `wanted`; for any other model this does
    nothing.

    Where a source has no audio of its own, a note says so; other audio that cannot be had is a
    SourceError.
    """
    if not pipeline.uses_audio:
        yield
        return
    from faceaffect.audio.open_audio import open_audio

    audio = None
    try:
        audio = (
            None if wanted == NONE else open_audio(wanted, source, pipeline.audio_sample_rate_hz)
        )
    except AudioError as error:
        if wanted != AUTO:
            raise SourceError(str(error)) from None
        notes.append(f"{error}: {pipeline.spec.name} runs on video alone")
    pipeline.attach_audio(audio)
    try:
        yield
    finally:
        if audio is not None:
            audio.close()
            notes += audio.notes
