"""Training data of methods in memory: synthetic videos with all labels, landmarks and audio."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from faceaffect.audio.mel import MelConfig
from tests.training.datasets.synthetic_table import make_synthetic_table
from training.audio.mel_track import MelTrack, MelTracks
from training.datasets.frame_table import FrameTable, absolute_paths
from training.datasets.image_store import ImageStore
from training.methods.data import MethodData
from training.models.mean_shape import MEAN_SHAPE_PX

FPS = 25.0


@dataclass(slots=True)
class SyntheticAudio(MelTracks):
    """Tracks of noise, except for videos whose name ends in `silent`."""

    def get(self, path: Path) -> MelTrack | None:
        if path.stem.endswith("silent"):
            return None
        random = np.random.default_rng(sum(path.name.encode()))
        return MelTrack(random.uniform(0, 1, (400, 64)).astype(np.float32), MelConfig())


def synthetic_faces(
    videos: dict[str, int] | None = None,
    size_px: int = 32,
    split: str = "train",
    seed: int = 0,
    audio: bool = True,
) -> tuple[FrameTable, np.ndarray]:
    """Labeled table of videos (name to frame count), and images whose left half shows AU1."""
    random = np.random.default_rng(seed)
    lengths = videos or {f"{split}{k}": 14 for k in range(4)}
    frames = {name: list(range(1, count + 1)) for name, count in lengths.items()}
    total = sum(lengths.values())
    on = random.random((total, 12)) < 0.4
    va = random.uniform(-1, 1, (total, 2))
    table = make_synthetic_table(
        frames,
        au=on.astype(float).tolist(),
        expression=random.integers(0, 7, total).tolist(),
        va=va.tolist(),
        split=split,
    )
    times = np.concatenate([np.arange(count) / FPS + 0.5 for count in lengths.values()])
    if audio:
        table = replace(table, media=tuple(f"{name}.mp4" for name in frames), audio_offset_s=times)
    images = random.integers(60, 190, (total, size_px, size_px, 3)).astype(np.uint8)
    images[:, :, : size_px // 2] += on[:, :1, None, None].astype(np.uint8) * 60
    return table, images


def synthetic_data(
    train: dict[str, int] | None = None,
    validation: dict[str, int] | None = None,
    size_px: int = 32,
    audio: bool = True,
) -> MethodData:
    """Training and validation data; by default four training videos and two validation videos."""
    parts = [
        synthetic_faces(train, size_px, "train", 0, audio),
        synthetic_faces(
            validation or {"validation0": 14, "validation1": 9}, size_px, "validation", 1, audio
        ),
    ]
    paths = [path for table, _ in parts for path in absolute_paths(table) if path is not None]
    array = np.concatenate([images for _, images in parts])
    points = ((MEAN_SHAPE_PX + 0.5) * size_px / 112 - 0.5).astype(np.float32)
    store = ImageStore(paths, array, np.repeat(points[None], len(paths), axis=0))
    return MethodData(parts[0][0], parts[1][0], store, SyntheticAudio() if audio else None)
