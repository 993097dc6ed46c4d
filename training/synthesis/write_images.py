"""Writes labeled faces as shards without pickle: `faces_0000.npz`, `faces_0001.npz`, ...

Each shard is an uncompressed NumPy archive (`np.load(path, allow_pickle=False)`) of n faces:

    image         uint8   [n, S, S, 3]  RGB; the aligned 112 px crop covers about 1 / 1.6 of the
                                        width, centered
    au_intensity  float32 [n, 12]       0..1 in the order of `faceaffect.labels.AU_NAMES`
    au_present    bool    [n, 12]       au_intensity >= 0.3
    landmarks_xy  float32 [n, 68, 2]    pixels; (0, 0) is the center of the first pixel
    pose_deg      float32 [n, 3]        yaw, pitch, roll with the signs of `faceaffect.types.Faces`
    identity      int64   [n]           seed * 1,000,000 + person; six faces each
    rig           uint8   [n]           0 FACSHuman targets, 1 ARKit face units
    occluded      bool    [n]           a mask, hand, bar or dark glasses hide part of the face;
                                        labels describe the face behind the occluder
    au_visible    bool    [n, 12]       false where hair or an occluder hides more than half of
                                        the AU's region
    dense_xy      float32 [n, P, 2]     subset of the 478-point face mesh (`mesh_points.py`)
    regions       uint8   [n, S, S]     0 background, 1 face, 2 eyes, 3 inside of the mouth,
                                        4 hair, 5 neck and ears, 6 occluded
    split         uint8   [n]           0 training, 1 validation; split by identity

A face depends only on the seed and its index, so an interrupted run resumes where it stopped and
the number of workers does not change the result.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.datasets.progress_bar import count_progress
from training.synthesis.face_renderer import VALIDATION_STRIDE, FaceRenderer, LabeledFace
from training.synthesis.head_mesh import load_head

SHARD_FACES = 300


@dataclass(frozen=True, slots=True)
class ImageSetConfig:
    """Parameters that determine a set of images."""

    count: int
    seed: int
    size_px: int
    rig: str  # facs, arkit or mixed


_worker: tuple[ImageSetConfig, FaceRenderer, Path] | None = None


def _start_worker(config: ImageSetConfig, data_dir: Path, out_dir: Path) -> None:
    global _worker
    import cv2

    cv2.setNumThreads(1)
    _worker = (config, FaceRenderer(load_head(data_dir), config.size_px, data_dir), out_dir)


def _render_shard(shard: int) -> int:
    if _worker is None:
        raise RuntimeError("worker process is not initialized")
    config, renderer, out_dir = _worker
    first = shard * SHARD_FACES
    faces = [
        renderer.render(config.seed, i, config.rig)
        for i in range(first, min(first + SHARD_FACES, config.count))
    ]
    write_shard(shard_path(out_dir, shard), faces)
    return len(faces)


def shard_path(out_dir: Path, shard: int) -> Path:
    return out_dir / f"faces_{shard:04d}.npz"


def stack_faces(faces: list[LabeledFace]) -> dict[str, NDArray[np.generic]]:
    """Returns the arrays of one shard."""
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
        "split": (identity % VALIDATION_STRIDE == 0).astype(np.uint8),
    }


def write_shard(path: Path, faces: list[LabeledFace]) -> None:
    """Writes a shard atomically: an interruption leaves no partial file under the final name."""
    partial = path.with_suffix(".part")
    with partial.open("wb") as stream:
        np.savez(stream, **stack_faces(faces))  # type: ignore[arg-type]  # any name is an array
    os.replace(partial, path)


def _check_config(config: ImageSetConfig, out_dir: Path) -> None:
    """Checks that a folder holds this configuration; only the count may differ."""
    path = out_dir / "config.json"
    expected = asdict(config)
    if path.exists():
        stored = json.loads(path.read_text())
        if any(stored[key] != expected[key] for key in ("seed", "size_px", "rig")):
            raise ValueError(
                f"expected an empty folder or one with {expected}, got {stored} in {path}; "
                "choose another --out"
            )
        last = shard_path(out_dir, stored["count"] // SHARD_FACES)
        if stored["count"] != config.count and stored["count"] % SHARD_FACES:
            last.unlink(missing_ok=True)  # truncated by the smaller count
    path.write_text(json.dumps(expected) + "\n")


def write_images(config: ImageSetConfig, out_dir: Path, data_dir: Path, workers: int) -> int:
    """Renders the missing shards of a configuration; returns the number of new images."""
    out_dir.mkdir(parents=True, exist_ok=True)
    _check_config(config, out_dir)
    shards = range((config.count + SHARD_FACES - 1) // SHARD_FACES)
    missing = [shard for shard in shards if not shard_path(out_dir, shard).exists()]
    rendered = 0
    with count_progress() as progress:
        completed = sum(
            min(SHARD_FACES, config.count - k * SHARD_FACES)
            for k in shards
            if k not in set(missing)
        )
        bar = progress.add_task("faces", total=config.count, completed=completed)
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers, _start_worker, (config, data_dir, out_dir)) as pool:
            for count in pool.imap_unordered(_render_shard, missing):
                rendered += count
                progress.advance(bar, count)
    return rendered
