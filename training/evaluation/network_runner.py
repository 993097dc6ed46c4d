"""Runs a PyTorch network on the faces of a table."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks
from training.augmentation.crops import sample_crops
from training.datasets.face_table import FaceTable
from training.default_model.objective import normalize
from training.models.affect_net import AffectNet


def predict_faces(
    net: AffectNet, table: FaceTable, size_px: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return AU logits [N, 12] and expression logits [N, 7] of a table's aligned faces."""
    au, expression = [], []
    with torch.no_grad():
        for part in torch.split(table_crops(table, size_px), 100):
            heads = net(part)
            au.append(net.au_graph(heads["au_nodes"]))
            expression.append(heads["expression_logit"])
    return torch.cat(au).numpy(), torch.cat(expression).numpy()


def table_crops(table: FaceTable, size_px: int) -> Tensor:
    """Aligned, normalized crops [N, 3, S, S] of a table."""
    transforms = torch.from_numpy(
        estimate_crop_to_frame(keypoints_from_landmarks(table.landmarks_xy))
    )
    images = torch.from_numpy(np.ascontiguousarray(table.images))
    images = (
        images[:, None].expand(-1, 3, -1, -1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    )
    parts = [
        normalize(
            sample_crops(images[i : i + 100].float(), transforms[i : i + 100], size_px, "zeros")
            / 255
        )
        for i in range(0, len(table), 100)
    ]
    return torch.cat(parts)
