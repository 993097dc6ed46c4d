"""Writes labeled faces as shards that need no pickle: `faces_0000.npz`, `faces_0001.npz`, ...

Each shard is an uncompressed NumPy archive (`np.load(path, allow_pickle=False)`) of n faces, row
for row:

    image         uint8   [n, S, S, 3]  RGB; the aligned 112 px crop covers about 1 / 1.6 of
    the width, in the middle
    au_intensity  float32 [n, 12]       0..1 in the order of `faceaffect.labels.AU_NAMES`
    au_present    bool    [n, 12]       au_intensity >= 0.3
    landmarks_xy  float32 [n, 68, 2]    pixels of that image, (0, 0) at the center of the
    first pixel
    pose_deg      float32 [n, 3]        yaw, pitch, roll with the signs of
    `faceaffect.types.Faces`
    identity      int64   [n]           seed * 1,000,000 + person; six faces each
    rig           uint8   [n]           0 FACSHuman targets, 1 ARKit face units
    occluded      bool    [n]           a mask, hand, bar or dark glasses hide part of the
    face; labels stay true
    au_visible    bool    [n, 12]       false where hair or a thing in front hides more than
    half of the unit's place
    dense_xy      float32 [n, P, 2]     a subset of the 478-point face mesh
    (`dense_points.py` holds their numbers)
    regions       uint8   [n, S, S]     0 background, 1 face, 2 eyes, 3 inside of the mouth,
    4 hair, 5 neck and ears, 6 hidden
    split         uint8   [n]           0 training, 1 validation; a person is on one side
    only

A face depends on seed and number only, so a stopped run goes on where it was and the number of
workers changes nothing.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from training.synthesis.face import VALIDATION_EVERY, FaceRenderer, LabeledFace
from training.synthesis.head_mesh import load_head

SHARD_FACES = 300


@dataclass(frozen=True, slots=True)
class FaceOrder:
    """What to render."""

    count: int
    seed: int
    size_px: int
    rig: str  # facs, arkit or mixed


_worker: tuple[FaceOrder, FaceRenderer, Path] | None = None


def _start_worker(order: FaceOrder, data_dir: Path, out_dir: Path) -> None:
    global _worker
    import cv2

    cv2.setNumThreads(1)
    _worker = (order, FaceRenderer(load_head(data_dir), order.size_px, data_dir), out_dir)


def _render_shard(shard: int) -> int:
    if _worker is None:
        raise RuntimeError("worker must be started before it renders")
    order, studio, out_dir = _worker
    first = shard * SHARD_FACES
    faces = [
        studio.make(order.seed, i, order.rig)
        for i in range(first, min(first + SHARD_FACES, order.count))
    ]
    write_shard(shard_path(out_dir, shard), faces)
    return len(faces)


def shard_path(out_dir: Path, shard: int) -> Path:
    return out_dir / f"faces_{shard:04d}.npz"


def stack_faces(faces: list[LabeledFace]) -> dict[str, NDArray[np.generic]]:
    """The arrays of one shard."""
    identity = np.array([face.identity for face in faces], np.int64)
    return {
        "image": np.stack([face.image for face in faces]),
        "au_intensity": np.stack([face.au_intensity for face in faces]).astype(np.float32),
        "au_present": np.stack([face.au_present for face in faces]),
        "landmarks_xy": np.stack([face.landmarks_xy for face in faces]).astype(np.float32),
        "pose_deg": np.stack([face.pose_deg for face in faces]).astype(np.float32),
        "identity": identity,
        "rig": np.array([face.rig for face in faces], np.uint8),
        "occluded": np.array([face.occluded for face in faces], np.bool_),
        "au_visible": np.stack([face.au_visible for face in faces]),
        "dense_xy": np.stack([face.dense_xy for face in faces]).astype(np.float32),
        "regions": np.stack([face.regions for face in faces]),
        "split": (identity % VALIDATION_EVERY == 0).astype(np.uint8),
    }


def write_shard(path: Path, faces: list[LabeledFace]) -> None:
    """Write all or nothing: a stop leaves no half shard behind under its final name."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as stream:
        np.savez(stream, **stack_faces(faces))
    os.replace(unfinished, path)


def _check_order(order: FaceOrder, out_dir: Path) -> None:
    """A folder belongs to one order; a larger count may continue it by whole shards."""
    note = out_dir / "order.json"
    wanted = asdict(order)
    if note.exists():
        stored = json.loads(note.read_text())
        if any(stored[key] != wanted[key] for key in ("seed", "size_px", "rig")):
            raise ValueError(
                f"out must be empty or hold the same order {wanted}, got {stored} in {note}"
            )
        last = shard_path(out_dir, stored["count"] // SHARD_FACES)
        if stored["count"] != order.count and stored["count"] % SHARD_FACES:
            last.unlink(missing_ok=True)  # it was cut short by the smaller count
    note.write_text(json.dumps(wanted) + "\n")


def write_faces(order: FaceOrder, out_dir: Path, data_dir: Path, workers: int) -> int:
    """Render what is missing of an order; returns how many faces were rendered now."""
    out_dir.mkdir(parents=True, exist_ok=True)
    _check_order(order, out_dir)
    shards = range((order.count + SHARD_FACES - 1) // SHARD_FACES)
    missing = [shard for shard in shards if not shard_path(out_dir, shard).exists()]
    columns = (
        TextColumn("faces"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    rendered = 0
    with Progress(*columns) as progress:
        already = sum(
            min(SHARD_FACES, order.count - k * SHARD_FACES) for k in shards if k not in set(missing)
        )
        bar = progress.add_task("faces", total=order.count, completed=already)
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers, _start_worker, (order, data_dir, out_dir)) as pool:
            for count in pool.imap_unordered(_render_shard, missing):
                rendered += count
                progress.advance(bar, count)
    return rendered
