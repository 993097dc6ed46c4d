"""Faces and affect made up for the tests: the same for the same frame number."""

from __future__ import annotations

import numpy as np

from faceaffect.types import Affect, Faces, Frame


def synthetic_result(
    index: int, face_count: int = 1, source: str = "clip.mp4"
) -> tuple[Frame, Faces, Affect]:
    random = np.random.default_rng(index)
    corner = random.uniform(10, 60, (face_count, 2)).astype(np.float32)
    box = np.concatenate([corner, corner + 80], axis=1)
    points = corner[:, None] + random.uniform(0, 80, (face_count, 68, 2)).astype(np.float32)
    ones = np.ones(face_count, np.float32)
    pose = random.uniform(-30, 30, (face_count, 3)).astype(np.float32)
    faces = Faces(box, points, np.arange(1, face_count + 1), 0.9 * ones, 0.8 * ones, pose)
    expression = random.dirichlet(np.ones(7), face_count).astype(np.float32)
    au = random.uniform(0, 1, (face_count, 12)).astype(np.float32)
    mood = random.uniform(-1, 1, (2, face_count)).astype(np.float32)
    affect = Affect(au, au > 0.5, expression, mood[0], mood[1])
    frame = Frame(
        np.full((120, 160, 3), 60, np.uint8), time_s=index / 25, index=index, source=source
    )
    return frame, faces, affect
