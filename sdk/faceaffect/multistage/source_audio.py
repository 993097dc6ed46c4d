"""Attaches audio to a pipeline while the frames of a source are analyzed."""

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
    pipeline: Pipeline, source: Source, audio_name: str, notes: list[str]
) -> Iterator[None]:
    """Attach audio to `pipeline` inside the `with` block; does nothing if its model uses none.

    Args:
        pipeline: The pipeline that analyzes the frames.
        source: The source of the frames.
        audio_name: `none`, or a name that `open_audio` takes.
        notes: Receives remarks for the user, one of them if `auto` finds no audio.

    Raises:
        SourceError: Audio other than `auto` cannot be opened.
    """
    if not pipeline.uses_audio:
        yield
        return
    from faceaffect.audio.open_audio import open_audio

    audio = None
    try:
        if audio_name != NONE:
            audio = open_audio(audio_name, source, pipeline.audio_sample_rate_hz)
    except AudioError as error:
        if audio_name != AUTO:
            raise SourceError(str(error)) from None
        notes.append(f"{error}: {pipeline.spec.name} runs on video alone")
    pipeline.attach_audio(audio)
    try:
        yield
    finally:
        if audio is not None:
            audio.close()
            notes += audio.notes
