"""Columns named and measured as in OpenFace 2, where both measure the same."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from faceaffect.labels import AU_NAMES
from faceaffect.summary.face_rows import FaceRows

_POSE: Final = ("pose_Rx", "pose_Ry", "pose_Rz")
OPENFACE_COLUMNS: Final[tuple[str, ...]] = (
    *("frame", "face_id", "timestamp", "confidence", "success"),
    *_POSE,
    *(f"AU{int(name[2:]):02d}_p" for name in AU_NAMES),
    *(f"AU{int(name[2:]):02d}_c" for name in AU_NAMES),
)
"""Columns of the export.

`frame` counts from 1, `AU01_c` is presence (0 or 1), the pose is in radians about the axes of
OpenFace's camera (x to the right, y down, z away from it). OpenFace's `AU01_r` are intensities from
0 to 5, which this package does not measure: `AU01_p` are probabilities of presence instead. Gaze,
the position of the head and the parameters of OpenFace's face model have no counterpart.
"""


def openface_csv(faces: Sequence[FaceRows]) -> str:
    """Return the faces of one source as CSV, ordered by frame as OpenFace writes them."""
    rows = []
    for face in faces:
        yaw, pitch, roll = (np.radians(face.column(f"{name}_deg")) for name in _ANGLES)
        # OpenFace turns about axes that point right, down and away: looking down and turning to
        # the left of the image are positive there.
        poses = np.stack([-pitch, -yaw, roll], axis=1) + 0.0
        for k in range(len(face)):
            rows.append(
                [
                    int(face.frame[k]) + 1,
                    face.track_id,
                    _number(float(face.time_s[k]), 3),
                    _number(float(face.column("quality")[k]), 2),
                    1,
                    *(_number(value, 3) for value in poses[k].tolist()),
                    *(_number(value, 2) for value in face.au_probability[k].tolist()),
                    *(int(value) for value in face.au_active[k].tolist()),
                ]
            )
    rows.sort(key=lambda row: (row[0], row[1]))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(OPENFACE_COLUMNS)
    writer.writerows(rows)
    return stream.getvalue()


_ANGLES: Final = ("yaw", "pitch", "roll")


def _number(value: float, decimals: int) -> float | str:
    return round(value, decimals) if math.isfinite(value) else ""
