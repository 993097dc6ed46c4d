"""Frame results and their transfer between processes: batches of arrays, without pickle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from safetensors.numpy import load, save

from faceaffect.types import Affect, Faces, FrameInfo, IdArray

_FACES: Final = tuple(field.name for field in fields(Faces))
_AFFECT: Final = tuple(field.name for field in fields(Affect))


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Result of one frame.

    Attributes:
        index: Number of the frame in its video, from 0.
        time_s: Presentation time.
        seconds: Duration of its analysis.
    """

    index: int
    time_s: float
    seconds: float
    faces: Faces
    affect: Affect

    def frame_info(self, source: str) -> FrameInfo:
        """Return the frame's identity, for sinks of rows."""
        return FrameInfo(source, self.index, self.time_s)

    def renumbered(self, index: int, track_id: IdArray) -> FrameResult:
        """Return the result with another frame number and other track ids [N]."""
        return replace(self, index=index, faces=replace(self.faces, track_id=track_id))


def pack(frames: Sequence[FrameResult]) -> bytes:
    """Serialize at least one frame as safetensors.

    Each field is one array in which the faces of all frames are concatenated.
    """
    arrays = {
        "index": np.array([one.index for one in frames], np.int64),
        "time_s": np.array([one.time_s for one in frames], np.float64),
        "seconds": np.array([one.seconds for one in frames], np.float64),
        "count": np.array([len(one.faces) for one in frames], np.int64),
    }
    for name in _FACES:
        arrays[f"faces.{name}"] = np.concatenate([getattr(one.faces, name) for one in frames])
    for name in _AFFECT:
        arrays[f"affect.{name}"] = np.concatenate([getattr(one.affect, name) for one in frames])
    return bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def unpack(content: bytes) -> Iterator[FrameResult]:
    """Yield the frames of `pack`; their arrays are views of a few large ones."""
    arrays = load(content)
    end = 0
    for row, count in enumerate(arrays["count"].tolist()):
        begin, end = end, end + count
        yield FrameResult(
            index=int(arrays["index"][row]),
            time_s=float(arrays["time_s"][row]),
            seconds=float(arrays["seconds"][row]),
            faces=Faces(**{name: arrays[f"faces.{name}"][begin:end] for name in _FACES}),
            affect=Affect(**{name: arrays[f"affect.{name}"][begin:end] for name in _AFFECT}),
        )
