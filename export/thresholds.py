"""AU thresholds out of validation data: rendered identities that were not trained on, else a part of FER+ Training."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from export.resized_net import ResizedNet
from faceaffect.geometry import anchors_from_landmarks, crop_to_frame
from faceaffect.labels import AU_NAMES
from training.augment import cut
from training.datasets.face_table import FaceTable
from training.datasets.real_faces import load_ferplus
from training.metrics import best_threshold
from training.models.affect_net import AffectNet
from training.train_default import ferplus_parts
from training.train_loop import normalise

DEFAULT_THRESHOLD: Final = 0.5
_LEAST_POSITIVES: Final = 30
_LEAST_TRUST: Final = 0.3


def table_crops(table: FaceTable, size_px: int) -> Tensor:
    """Aligned, normalised crops [N, 3, S, S] of a table."""
    maps = torch.from_numpy(crop_to_frame(anchors_from_landmarks(table.landmarks_xy)))
    pictures = torch.from_numpy(np.ascontiguousarray(table.pictures))
    pictures = pictures[:, None].expand(-1, 3, -1, -1) if pictures.ndim == 3 else pictures.permute(0, 3, 1, 2)
    parts = [
        normalise(cut(pictures[i : i + 100].float(), maps[i : i + 100], size_px, "zeros") / 255)
        for i in range(0, len(table), 100)
    ]
    return torch.cat(parts)


def validation_faces(shared: Path, labels: Path) -> FaceTable:
    """The rows of FER+ Training that training left out."""
    table, _, usage = load_ferplus(shared, labels)
    return table.pick(ferplus_parts(table, usage)[1])


def choose_thresholds(net: AffectNet | ResizedNet, table: FaceTable, size_px: int) -> tuple[float, ...]:
    """The best-F1 threshold of each AU that the table can tell; 0.5 for the others."""
    crops = table_crops(table, size_px)
    with torch.no_grad():
        logits = [net.au_graph(net(part)["au_nodes"]) for part in crops.split(100)]
    probability = torch.sigmoid(torch.cat(logits)).numpy()
    thresholds = []
    for k in range(len(AU_NAMES)):
        known = table.au_weight[:, k] >= _LEAST_TRUST
        on = table.au[:, k] >= 0.5
        enough = (on & known).sum() >= _LEAST_POSITIVES
        thresholds.append(best_threshold(probability[known, k], on[known]) if enough else DEFAULT_THRESHOLD)
    return tuple(thresholds)
