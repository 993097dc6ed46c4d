"""AU thresholds out of validation data: a part of FER+ Training, and rendered identities, neither of them trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.resized_net import ResizedNet
from faceaffect.geometry import anchors_from_landmarks, crop_to_frame
from faceaffect.labels import AU_NAMES
from training.augment import cut
from training.datasets.face_table import FaceTable
from training.datasets.real_faces import load_ferplus
from training.datasets.rendered_faces import load_rendered, of_threshold_half
from training.metrics import best_threshold
from training.models.affect_net import AffectNet
from training.train_default import ferplus_parts
from training.train_loop import normalise

DEFAULT_THRESHOLD: Final = 0.5
_LEAST_POSITIVES: Final = 12
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


def threshold_tables(faces: FaceTable, renders: Path | None) -> list[FaceTable]:
    """Real faces under the teacher's opinion, then every other held-out rendered identity (the rest gives figures)."""
    if renders is None:
        return [faces]
    rendered, _, columns = load_rendered(renders)
    return [faces, rendered.pick(of_threshold_half(columns))]


def choose_thresholds(net: AffectNet | ResizedNet, tables: list[FaceTable], size_px: int) -> tuple[float, ...]:
    """The best-F1 threshold of each AU on the first table that can tell it; 0.5 where none can.

    Real faces come first, since renders are easier than they are and would put thresholds where real faces never get.
    """
    probabilities = [au_probabilities(net, table, size_px) for table in tables]
    thresholds = []
    for k in range(len(AU_NAMES)):
        for table, probability in zip(tables, probabilities, strict=True):
            known = table.au_weight[:, k] >= _LEAST_TRUST
            on = table.au[:, k] >= 0.5
            if (on & known).sum() >= _LEAST_POSITIVES:
                thresholds.append(best_threshold(probability[known, k], on[known]))
                break
        else:
            thresholds.append(DEFAULT_THRESHOLD)
    return tuple(thresholds)


def au_probabilities(net: AffectNet | ResizedNet, table: FaceTable, size_px: int) -> NDArray[np.float32]:
    """Probabilities [N, 12] of a table's aligned faces."""
    with torch.no_grad():
        parts = table_crops(table, size_px).split(100)
        return torch.sigmoid(torch.cat([net.au_graph(net(part)["au_nodes"]) for part in parts])).numpy()
