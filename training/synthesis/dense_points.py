"""Points of the 478-point face mesh that stand on our head: which vertex is which point.

    python -m training.synthesis.dense_points --teacher FOLDER

finds them anew: a landmark teacher looks at neutral faces of many people and poses, and each of
its points gets the vertex that stays nearest to it. Points whose vertex is farther than
`MAX_ERROR` of the eye distance on average are left out, so what is stored is a subset.
Afterwards the points are exact in every expression and pose: they are vertices. The two pupils
are vertices of the eyeballs and follow the gaze.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from training.synthesis.head_mesh import (
    DEFAULT_DATA,
    FACE_ISLAND,
    FloatArray,
    HeadMesh,
    IntArray,
    load_head,
    uv_island,
)

TABLE_PATH: Final = Path(__file__).with_name("dense_points.json")
MAX_ERROR: Final[float] = 0.035
PUPILS: Final[tuple[int, int]] = (468, 473)
"""Numbers of the subject's right and left pupil among the 478."""

_YAWS_DEG: Final = (-18.0, 0.0, 18.0)
_EYES: Final = "eyes_low"


@dataclass(frozen=True, slots=True)
class DensePoints:
    """The subset: numbers among the 478 points, and the head vertices that they are; then the two
    pupils.
    """

    numbers: IntArray  # [P + 2]
    vertices: IntArray  # [P]
    pupils: IntArray  # [2] vertices of the eyes' mesh, right and left

    def locate(self, head: HeadMesh, vertices: FloatArray) -> FloatArray:
        """Places [P + 2, 3] of the points on head vertices [N, 3], decimetres."""
        eyes = head.parts[_EYES].fit(vertices)
        return np.concatenate([vertices[self.vertices], eyes[self.pupils]])


def load_dense_points(head: HeadMesh) -> DensePoints:
    """Read the stored subset."""
    table = json.loads(TABLE_PATH.read_text(encoding="utf-8"))
    numbers = np.array([*table["numbers"], *PUPILS], np.int32)
    return DensePoints(numbers, np.array(table["vertices"], np.int32), _pupils(head))


def _pupils(head: HeadMesh) -> IntArray:
    """The foremost vertex of each eyeball [2], right and left: x points to the subject's left."""
    eyes = head.parts[_EYES].fit(head.base)
    sides = (eyes[:, 0] < 0, eyes[:, 0] >= 0)
    return np.array([int(np.where(side, eyes[:, 2], -np.inf).argmax()) for side in sides], np.int32)


def _candidates(head: HeadMesh) -> NDArray[np.int64]:
    """Vertices of the face's skin [K]: not the inside of the mouth, the sockets or the back of the
    head.
    """
    is_face = uv_island(head.uv)[head.corner_uv] == FACE_ISLAND
    used = np.unique(head.quads[is_face])
    return used[(head.base[used, 2] > 0.4) & (head.base[used, 1] > 6.0)].astype(np.int64)


def fit_dense_points(
    data_dir: Path, teacher_dir: Path, people: int
) -> dict[str, list[int] | list[float]]:
    """Numbers, vertices and mean errors (share of the eye distance) of the points that the head
    has.
    """
    from training.labeling.mediapipe_teacher import POINT_COUNT, MediapipeTeacher, Roi
    from training.synthesis.expression_sampler import Expression
    from training.synthesis.face import FaceRenderer
    from training.synthesis.scene import CameraPose, sample_look

    studio, teacher = (
        FaceRenderer(load_head(data_dir), 256, data_dir),
        MediapipeTeacher(teacher_dir),
    )
    still = Expression({}, (0.0, 0.0), {})
    pool = _candidates(studio.head)
    total, seen = np.zeros((POINT_COUNT, len(pool))), 0
    for person in track(range(people), "people"):
        identity = studio.identity_of(9, person)
        for yaw in _YAWS_DEG:
            camera = studio.view(
                CameraPose(np.array([yaw, 0, 0], np.float32), 25.0, np.zeros(2, np.float32), 1.0),
                identity.vertices,
            )
            look = sample_look(np.random.default_rng([9, person]), identity)
            drawn = studio.draw(identity, identity.vertices, still, look, camera)
            image = np.rint((drawn[..., :3] + 0.55 * (1 - drawn[..., 3:])).clip(0, 1) * 255).astype(
                np.uint8
            )
            answer = teacher.look_twice(image, Roi((127.5, 127.5), 250.0))
            if answer.presence < 0.5:
                continue
            marks = camera.project(identity.vertices[studio.landmark_index])
            span = np.linalg.norm(marks[36:42].mean(axis=0) - marks[42:48].mean(axis=0)) / np.cos(
                np.radians(yaw)
            )
            places = camera.project(identity.vertices[pool])
            total += np.linalg.norm(answer.points_xyz[:, None, :2] - places, axis=2) / span
            seen += 1
    if not seen:
        raise ValueError("the teacher must find rendered faces, found none")
    error = (total / seen).min(axis=1)
    nearest = pool[total.argmin(axis=1)]
    kept = [n for n in range(min(PUPILS)) if error[n] <= MAX_ERROR]
    return {
        "numbers": kept,
        "vertices": [int(nearest[n]) for n in kept],
        "errors": [round(float(error[n]), 4) for n in kept],
    }


@click.command()
@click.option("--teacher", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--people", type=click.IntRange(1), default=24, show_default=True)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    show_default=True,
)
def main(teacher: Path, people: int, data: Path) -> None:
    """Find the subset anew and store it beside this file."""
    table = fit_dense_points(data, teacher, people)
    TABLE_PATH.write_text(json.dumps(table) + "\n", encoding="utf-8")
    errors = np.array(table["errors"])
    click.echo(
        f"{len(errors)} points, mean error {errors.mean():.4f} of the eye distance, largest {errors.max():.4f}"
    )


if __name__ == "__main__":
    main()
