"""Subset of the 478-point MediaPipe face mesh as vertices of the head mesh.

`fit_mesh_points` selects the points. The stored ones are exact in every expression and pose
because they are vertices. The two pupils are vertices of the eyeballs and follow the gaze.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from training.synthesis.head_mesh import FloatArray, HeadMesh, IntArray

TABLE_PATH: Final = Path(__file__).with_name("mesh_points.json")
PUPILS: Final[tuple[int, int]] = (468, 473)
"""Indices of the subject's right and left pupil among the 478 points."""

_EYES: Final = "eyes_low"


@dataclass(frozen=True, slots=True)
class MeshPoints:
    """Indices among the 478 points and the matching vertices; the two pupils are last."""

    numbers: IntArray  # [P + 2]
    vertices: IntArray  # [P] of the head
    pupils: IntArray  # [2] vertices of the eye mesh, right and left

    def positions(self, head: HeadMesh, vertices: FloatArray) -> FloatArray:
        """Returns the points [P + 2, 3] on head vertices [N, 3], decimeters."""
        eyes = head.parts[_EYES].fit(vertices)
        return np.concatenate([vertices[self.vertices], eyes[self.pupils]])


def load_mesh_points(head: HeadMesh) -> MeshPoints:
    """Loads the stored subset."""
    table = json.loads(TABLE_PATH.read_text(encoding="utf-8"))
    numbers = np.array([*table["numbers"], *PUPILS], np.int32)
    return MeshPoints(numbers, np.array(table["vertices"], np.int32), _pupil_vertices(head))


def _pupil_vertices(head: HeadMesh) -> IntArray:
    """Returns the foremost vertex [2] of the right and left eyeball; x points to subject's left."""
    eyes = head.parts[_EYES].fit(head.base)
    sides = (eyes[:, 0] < 0, eyes[:, 0] >= 0)
    return np.array([int(np.where(side, eyes[:, 2], -np.inf).argmax()) for side in sides], np.int32)
