"""Runs a method's network on still faces: each is the first frame of a new track, without audio."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from faceaffect.geometry import TEMPLATE_SIZE_PX, estimate_crop_to_frame, keypoints_from_landmarks
from faceaffect.multistage.face_part_mask import face_part_mask
from training.augmentation.crops import points_to_crops, sample_crops
from training.datasets.face_table import FaceTable
from training.methods.normalization import NORMALIZATIONS
from training.methods.recipe import MethodRecipe
from training.models.stages import STAGE_NAMES, MethodNet


@torch.no_grad()
def predict_stills(recipe: MethodRecipe, net: MethodNet, faces: FaceTable) -> dict[str, Tensor]:
    """Outputs [N, ...] by name for aligned faces."""
    form = net.input_forms()[0]
    return first_frame(net.eval(), face_crops(recipe, faces, form.shape[-1], form.shape[-3]))


def face_crops(recipe: MethodRecipe, faces: FaceTable, size_px: int, channels: int) -> Tensor:
    """Normalized aligned crops [N, channels, S, S]; a fourth channel is the facial part mask."""
    crop_to_frame = torch.from_numpy(
        estimate_crop_to_frame(keypoints_from_landmarks(faces.landmarks_xy))
    )
    images = torch.from_numpy(np.ascontiguousarray(faces.images)).float()
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
    crops = (sample_crops(images, crop_to_frame, size_px, "zeros") / 255).expand(-1, 3, -1, -1)
    if channels == 4:
        points = points_to_crops(crop_to_frame, torch.from_numpy(faces.landmarks_xy))
        points_px = ((points + 0.5) * (size_px / TEMPLATE_SIZE_PX) - 0.5).numpy()
        parts = np.stack([face_part_mask(each, size_px) for each in points_px])
        crops = torch.cat([crops, torch.from_numpy(parts)[:, None].float() / 255], dim=1)
    return NORMALIZATIONS[recipe.normalization].apply(crops)


def first_frame(net: MethodNet, crops: Tensor) -> dict[str, Tensor]:
    """Outputs of the stages for frames [N, C, S, S] with empty states.

    A non-causal network gets windows of one frame.
    """
    try:
        stages = sorted(net.stages(), key=lambda stage: STAGE_NAMES.index(stage.name))
    except ValueError:
        outputs = net({"crops": crops[:, None]})
        return {name: value[:, 0] for name, value in outputs.items()}
    values = {"crops": crops}
    for stage in stages:
        if stage.name == "audio":
            values |= {
                form.name: crops.new_zeros(len(crops), *form.shape) for form in stage.outputs
            }
            continue
        states = [crops.new_zeros(len(crops), *form.shape) for form in stage.states]
        outputs = stage.module(*(values[form.name] for form in stage.inputs), *states)
        values |= {form.name: value for form, value in zip(stage.outputs, outputs, strict=False)}
    return values
