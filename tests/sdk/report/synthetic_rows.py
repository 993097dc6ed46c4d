"""Files of rows of synthetic faces, written by the sinks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from faceaffect.sinks import open_sink
from faceaffect.types import Affect, Faces, Frame, PixelFormat

_NO_PIXELS = np.zeros((1, 1), np.uint8)


def write_rows(
    path: Path,
    frames: Iterable[tuple[str, int, float, Sequence[int]]],
    *,
    has_aus: bool = True,
    has_expression: bool = True,
    has_valence_arousal: bool = True,
) -> Path:
    """Write a row per track id of each (source, frame, time_s, track ids).

    Outputs are functions of time, boxes of the id.
    """
    with open_sink(path) as sink:
        for source, index, time_s, ids in frames:
            frame = Frame(_NO_PIXELS, PixelFormat.GRAY, time_s, index, source)
            sink.write(frame, *face_rows(time_s, ids, has_aus, has_expression, has_valence_arousal))
    return path


def face_rows(
    time_s: float,
    ids: Sequence[int],
    has_aus: bool = True,
    has_expression: bool = True,
    has_valence_arousal: bool = True,
) -> tuple[Faces, Affect]:
    """Make AU12 and happiness active in odd seconds, and valence a sine with a period of 10 s."""
    count = len(ids)
    is_odd = int(time_s) % 2 == 1
    track_id = np.array(ids, np.int64).reshape(count)
    aus = np.full((count, 12), 0.1 if has_aus else np.nan, np.float32)
    expression = np.full((count, 7), 0.05 if has_expression else np.nan, np.float32)
    if has_aus and is_odd:
        aus[:, 6] = 0.9
    if has_expression:
        expression[:, 4 if is_odd else 0] = 0.7
    valence = np.full(
        count, np.sin(time_s * 2 * np.pi / 10) if has_valence_arousal else np.nan, np.float32
    )
    faces = Faces(
        np.tile(np.float32([10, 10, 50, 60]), (count, 1)) + track_id[:, None].astype(np.float32),
        np.full((count, 68, 2), 20, np.float32),
        track_id,
        np.ones(count, np.float32),
        np.full(count, 0.5 + 0.4 * (time_s == 1.0), np.float32),
        np.tile(np.float32([5, -5, 2]), (count, 1)),
    )
    return faces, Affect(aus, np.nan_to_num(aus) > 0.5, expression, valence, valence / 2)


def one_face(
    source: str, seconds: float, fps: float = 25.0, track_id: int = 1
) -> Iterable[tuple[str, int, float, list[int]]]:
    return ((source, index, index / fps, [track_id]) for index in range(round(seconds * fps)))
