"""Measures how much each action unit changes a rendered image, and which other one it resembles.

    python -m training.synthesis.au_visibility [--people 8] [--json FILE]

Identity, lighting and camera are held fixed. For each action unit of a rig the table lists the
mean absolute change of gray levels (0..255) in the aligned 112 px crop at intensities 0.3 and
1.0, the mean change of the most changed 1 % of the pixels (what an expert looks at), and the
action unit with the most similar change (cosine of the two difference images; 1 is identical).
An action unit below about 2 in the "peak at 0.3" column is lost in noise.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from faceaffect.labels import AU_NAMES
from training.synthesis.au_targets import RIG_NAMES
from training.synthesis.contact_sheet import crop_face
from training.synthesis.data_option import data_option
from training.synthesis.expression_sampler import PRESENT_INTENSITY, Expression
from training.synthesis.face_renderer import FaceRenderer
from training.synthesis.head_mesh import FloatArray, load_head
from training.synthesis.identity import Identity

_GRAY = np.array([0.299, 0.587, 0.114], np.float32)
_YAWS_DEG = (0.0, 15.0, -15.0, 30.0)


@dataclass(frozen=True, slots=True)
class AuVisibility:
    """Metrics of one action unit on one rig, averaged over people, in gray levels (0..255)."""

    rig: str
    unit: str
    mean_at_threshold: float
    peak_at_threshold: float
    mean_at_full: float
    peak_at_full: float
    nearest: str
    cosine: float


def measure_visibility(
    renderer: FaceRenderer, rig: str, seed: int, people: int
) -> list[AuVisibility]:
    """Measures the visibility of the twelve action units on a rig."""
    changes = np.zeros((people, len(AU_NAMES), 2, 112, 112), np.float32)
    for person in track(range(people), f"action units of {rig}"):
        identity = renderer.identity(seed, person)
        neutral = _crop(renderer, identity, rig, {}, seed, person)
        for k, unit in enumerate(AU_NAMES):
            for j, value in enumerate((PRESENT_INTENSITY, 1.0)):
                changes[person, k, j] = (
                    _crop(renderer, identity, rig, {unit: value}, seed, person) - neutral
                )
    magnitude = np.abs(changes)
    by_pixel = magnitude.reshape(*magnitude.shape[:3], -1)
    peak = np.sort(by_pixel, axis=3)[..., -125:].mean(axis=(0, 3))
    mean = magnitude.mean(axis=(0, 3, 4))
    flat = changes[:, :, 1].reshape(people, len(AU_NAMES), -1)
    normalized = flat / np.maximum(np.linalg.norm(flat, axis=2, keepdims=True), 1e-6)
    cosine = np.einsum("pak,pbk->ab", normalized, normalized) / people
    cosine -= 2 * np.eye(len(AU_NAMES))  # excludes the action unit itself from the maximum
    return [
        AuVisibility(
            rig=rig,
            unit=unit,
            mean_at_threshold=float(mean[k, 0]),
            peak_at_threshold=float(peak[k, 0]),
            mean_at_full=float(mean[k, 1]),
            peak_at_full=float(peak[k, 1]),
            nearest=AU_NAMES[int(cosine[k].argmax())],
            cosine=float(cosine[k].max()),
        )
        for k, unit in enumerate(AU_NAMES)
    ]


def _crop(
    renderer: FaceRenderer,
    identity: Identity,
    rig: str,
    units: dict[str, float],
    seed: int,
    person: int,
) -> FloatArray:
    """Returns a gray crop [112, 112], aligned to the neutral face: only the expression varies."""
    expression = Expression(
        {name: (v, v) for name, v in units.items()}, (0.0, 0.0), {name: person for name in units}
    )
    vertices, _ = renderer.deform_head(identity, rig, expression)
    yaw = _YAWS_DEG[person % len(_YAWS_DEG)]
    pixels, camera = renderer.draw_on_gray(
        identity, vertices, expression, yaw, [seed, person], framed=identity.vertices
    )
    return crop_face(pixels, camera.project(identity.vertices[renderer.landmark_index])) @ _GRAY


@click.command()
@click.option("--people", type=click.IntRange(1), default=8, show_default=True)
@click.option("--seed", type=int, default=3, show_default=True)
@data_option
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the metrics to this file.",
)
def main(people: int, seed: int, data: Path, json_path: Path | None) -> None:
    """Print how visible each action unit is on both rigs."""
    renderer = FaceRenderer(load_head(data), 180, data)
    rows = [row for rig in RIG_NAMES for row in measure_visibility(renderer, rig, seed, people)]
    table = Table(
        "rig",
        "unit",
        "mean at 0.3",
        "peak at 0.3",
        "mean at 1",
        "peak at 1",
        "most similar",
        "cosine",
    )
    for r in rows:
        metrics = (r.mean_at_threshold, r.peak_at_threshold, r.mean_at_full, r.peak_at_full)
        table.add_row(r.rig, r.unit, *(f"{v:.2f}" for v in metrics), r.nearest, f"{r.cosine:.2f}")
    Console(width=100).print(table)
    if json_path is not None:
        json_path.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
