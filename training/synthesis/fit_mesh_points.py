"""Finds the head vertices that match points of the 478-point MediaPipe face mesh.

    python -m training.synthesis.fit_mesh_points --teacher FOLDER

The landmark teacher is run on renderings of neutral faces of many people in several poses, and
each of its points is assigned the vertex with the smallest mean distance. Points with a mean
distance above `MAX_ERROR` of the interocular distance are left out, so the stored points are a
subset.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from training.labeling.mediapipe_teacher import POINT_COUNT, MediaPipeTeacher, Roi
from training.synthesis.data_option import data_option
from training.synthesis.expression_sampler import Expression
from training.synthesis.face_renderer import FaceRenderer
from training.synthesis.head_mesh import (
    FACE_ISLAND,
    HeadMesh,
    load_head,
    uv_island,
)
from training.synthesis.identity import Identity
from training.synthesis.mesh_points import PUPILS, TABLE_PATH

MAX_ERROR: Final[float] = 0.035
"""Largest mean distance of a stored point, relative to the interocular distance."""

_YAWS_DEG: Final = (-18.0, 0.0, 18.0)
_SEED: Final = 9
_SIZE_PX: Final = 256


def _candidates(head: HeadMesh) -> NDArray[np.int64]:
    """Returns the facial skin vertices [K], without mouth, sockets and back of the head."""
    is_face = uv_island(head.uv)[head.corner_uv] == FACE_ISLAND
    used = np.unique(head.quads[is_face])
    is_front = (head.base[used, 2] > 0.4) & (head.base[used, 1] > 6.0)
    return np.asarray(used[is_front], np.int64)


def _distances(
    renderer: FaceRenderer,
    teacher: MediaPipeTeacher,
    identity: Identity,
    person: int,
    yaw_deg: float,
    candidates: NDArray[np.int64],
) -> NDArray[np.float64] | None:
    """Returns distances [478, K] from the teacher's points to the candidates on one rendering.

    Distances are relative to the interocular distance. Returns None if the teacher finds no face.
    """
    neutral = Expression({}, (0.0, 0.0), {})
    image, camera = renderer.draw_on_gray(
        identity, identity.vertices, neutral, yaw_deg, [_SEED, person]
    )
    pixels = np.rint(image).astype(np.uint8)
    outputs = teacher.predict_refined(pixels, Roi((127.5, 127.5), 250.0))
    if outputs.presence < 0.5:
        return None
    landmarks_xy = camera.project(identity.vertices[renderer.landmark_index])
    eyes_xy = landmarks_xy[36:42].mean(axis=0) - landmarks_xy[42:48].mean(axis=0)
    interocular = np.linalg.norm(eyes_xy) / np.cos(np.radians(yaw_deg))
    candidates_xy = camera.project(identity.vertices[candidates])
    offsets = outputs.points_xyz[:, None, :2] - candidates_xy
    return np.asarray(np.linalg.norm(offsets, axis=2) / interocular)


def fit_mesh_points(
    data_dir: Path, teacher_dir: Path, people: int
) -> dict[str, list[int] | list[float]]:
    """Returns point indices, their vertices and mean errors (relative to interocular distance)."""
    renderer = FaceRenderer(load_head(data_dir), _SIZE_PX, data_dir)
    teacher = MediaPipeTeacher(teacher_dir)
    candidates = _candidates(renderer.head)
    total = np.zeros((POINT_COUNT, len(candidates)))
    count = 0
    for person in track(range(people), "people"):
        identity = renderer.identity(_SEED, person)
        for yaw_deg in _YAWS_DEG:
            distances = _distances(renderer, teacher, identity, person, yaw_deg, candidates)
            if distances is not None:
                total += distances
                count += 1
    if not count:
        raise ValueError("expected the teacher to find rendered faces, got none")
    error = (total / count).min(axis=1)
    nearest = candidates[total.argmin(axis=1)]
    kept = [n for n in range(min(PUPILS)) if error[n] <= MAX_ERROR]
    return {
        "numbers": kept,
        "vertices": [int(nearest[n]) for n in kept],
        "errors": [round(float(error[n]), 4) for n in kept],
    }


@click.command()
@click.option("--teacher", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--people", type=click.IntRange(1), default=24, show_default=True)
@data_option
def main(teacher: Path, people: int, data: Path) -> None:
    """Recompute the subset and store it beside this file."""
    table = fit_mesh_points(data, teacher, people)
    TABLE_PATH.write_text(json.dumps(table) + "\n", encoding="utf-8")
    errors = np.array(table["errors"])
    click.echo(
        f"{len(errors)} points, mean error {errors.mean():.4f} of the interocular distance, "
        f"largest {errors.max():.4f}"
    )


if __name__ == "__main__":
    main()
