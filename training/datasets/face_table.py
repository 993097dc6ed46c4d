"""In-memory table of face images and their training targets; one per source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES

TARGET_SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "landmark_weight": (),
    "pose_deg": (3,),
    "pose_weight": (),
    "au": (len(AU_NAMES),),
    "au_weight": (len(AU_NAMES),),
    "expression": (len(EXPRESSION_NAMES),),
    "expression_weight": (),
    "va": (2,),
    "va_weight": (),
    "face": (),
}
"""Shape of the targets of one face, without its landmarks."""


@dataclass(frozen=True, slots=True)
class FaceTable:
    """N faces of one source with weighted targets; the weight of a missing target is 0."""

    name: str
    images: NDArray[np.uint8]  # [N, P, P, 3] RGB, or [N, P, P] gray
    landmarks_xy: NDArray[np.float32]  # [N, 68, 2] pixels of the image
    landmark_weight: NDArray[np.float32]  # [N]
    pose_deg: NDArray[np.float32]  # [N, 3] yaw, pitch, roll relative to the image axes
    pose_weight: NDArray[np.float32]  # [N]
    au: NDArray[np.float32]  # [N, 12] probability of presence
    au_weight: NDArray[np.float32]  # [N, 12]
    expression: NDArray[np.float32]  # [N, 7] distribution
    expression_weight: NDArray[np.float32]  # [N]
    va: NDArray[np.float32]  # [N, 2]
    va_weight: NDArray[np.float32]  # [N]
    face: NDArray[np.float32]  # [N] 1 face, 0 no face

    def __post_init__(self) -> None:
        for field, row_shape in {"landmarks_xy": (68, 2), **TARGET_SHAPES}.items():
            got, shape = getattr(self, field).shape, (len(self), *row_shape)
            if got != shape:
                raise ValueError(f"{self.name}: {field} must have shape {shape}, got {got}")

    def __len__(self) -> int:
        return len(self.images)

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> FaceTable:
        """The table of some rows."""
        arrays = {name: getattr(self, name)[rows] for name in self.__slots__ if name != "name"}
        return replace(self, **arrays)


def empty_targets(count: int) -> dict[str, NDArray[np.float32]]:
    """Targets of `count` faces, all missing, to be filled in by a source."""
    targets = {n: np.zeros((count, *shape), np.float32) for n, shape in TARGET_SHAPES.items()}
    targets["face"][:] = 1
    return targets


def concat_tables(tables: Sequence[FaceTable]) -> FaceTable:
    """Concatenate tables whose images have equal shapes, under the name of the first one."""
    if not tables:
        raise ValueError("expected at least one table, got none")
    names = [name for name in FaceTable.__slots__ if name != "name"]
    columns = {name: np.concatenate([getattr(table, name) for table in tables]) for name in names}
    return FaceTable(name=tables[0].name, **columns)
