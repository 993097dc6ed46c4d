"""Images with whatever is known of their faces, in memory: what every source gives and the sampler
draws from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES


@dataclass(frozen=True, slots=True)
class FaceTable:
    """N faces of one source; weights say how far a target may be trusted, 0 where it is missing."""

    name: str
    images: NDArray[np.uint8]  # [N, P, P, 3] RGB, or [N, P, P] gray
    landmarks_xy: NDArray[np.float32]  # [N, 68, 2] pixels of the image
    landmark_weight: NDArray[np.float32]  # [N]
    pose_deg: NDArray[np.float32]  # [N, 3] yaw, pitch, roll against the image's axes
    pose_weight: NDArray[np.float32]  # [N]
    au: NDArray[np.float32]  # [N, 12] probability that it is on
    au_weight: NDArray[np.float32]  # [N, 12]
    expression: NDArray[np.float32]  # [N, 7] distribution
    expression_weight: NDArray[np.float32]  # [N]
    va: NDArray[np.float32]  # [N, 2]
    va_weight: NDArray[np.float32]  # [N]
    face: NDArray[np.float32]  # [N] 1 face, 0 no face

    def __post_init__(self) -> None:
        count = len(self.images)
        wanted = {"landmarks_xy": (count, 68, 2), "pose_deg": (count, 3), "au": (count, len(AU_NAMES)),
                  "au_weight": (count, len(AU_NAMES)), "expression": (count, len(EXPRESSION_NAMES)),
                  "va": (count, 2), "face": (count,)}  # fmt: skip
        for field, shape in wanted.items():
            got = getattr(self, field).shape
            if got != shape:
                raise ValueError(f"{self.name}: {field} must have shape {shape}, got {got}")

    def __len__(self) -> int:
        return len(self.images)

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> FaceTable:
        """The same, of some rows."""
        arrays = {name: getattr(self, name)[rows] for name in self.__slots__ if name != "name"}
        return replace(self, **arrays)


def empty_targets(count: int) -> dict[str, NDArray[np.float32]]:
    """All targets of `count` faces as missing, to be filled in by a source."""
    shapes: dict[str, tuple[int, ...]] = {
        "landmark_weight": (), "pose_deg": (3,), "pose_weight": (), "au": (len(AU_NAMES),),
        "au_weight": (len(AU_NAMES),), "expression": (len(EXPRESSION_NAMES),), "expression_weight": (),
        "va": (2,), "va_weight": (), "face": (),
    }  # fmt: skip
    targets = {name: np.zeros((count, *shape), np.float32) for name, shape in shapes.items()}
    targets["face"][:] = 1
    return targets


def concat_tables(tables: Sequence[FaceTable]) -> FaceTable:
    """All faces of tables whose images are of one form, under the first one's name; ValueError for
    none at all.
    """
    if not tables:
        raise ValueError("tables to join were wanted, got none")
    names = [name for name in FaceTable.__slots__ if name != "name"]
    joined = {name: np.concatenate([getattr(table, name) for table in tables]) for name in names}
    return FaceTable(name=tables[0].name, **joined)
