"""Writes the bundle of a method: its stages as ONNX files, model card and spec."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from export.write_bundle import LICENSE
from faceaffect.bundle.bundle import CARD_FILE, DEFAULT_NAME
from faceaffect.bundle.model_spec import CropSpec, ModelSpec
from faceaffect.bundle.stage_spec import OUTPUT_HEADS, AudioSpec, StageSpec
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.methods.normalization import NORMALIZATIONS
from training.methods.recipe import MethodRecipe
from training.methods.recipe_lookup import RECIPES
from training.methods.stage_to_onnx import stage_to_onnx
from training.models.stages import MethodNet, Stage

_COLORS: Final = 3


def write_method_bundle(
    recipe: MethodRecipe,
    net: MethodNet,
    networks: Mapping[str, bytes],
    folder: Path,
    card: str,
    au_thresholds: tuple[float, ...],
    au_neutral_logits: tuple[float, ...] | None = None,
    offset_y_px: float = 0.0,
    input_fps: float | None = None,
) -> ModelSpec:
    """Write all files, the spec last; `networks` are the result of `export_stages`."""
    stages = net.stages()
    contents = {_file_of(stage): networks[stage.name] for stage in stages} | {
        CARD_FILE: card.encode()
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    outputs = {form.name for stage in stages for form in stage.outputs}
    audio = [AudioSpec(stage.uses_audio) for stage in stages if stage.uses_audio]
    spec = ModelSpec(
        name=RECIPES[int(recipe.paper[1:]) - 1],
        license=LICENSE,
        crop=_crop_of(recipe, stages, offset_y_px),
        au_names=AU_NAMES,
        expression_names=EXPRESSION_NAMES,
        au_thresholds=au_thresholds,
        au_neutral_logits=au_neutral_logits,
        files={file: hashlib.sha256(content).hexdigest() for file, content in contents.items()},
        heads=tuple(head for head, (tensor, _) in OUTPUT_HEADS.items() if tensor in outputs),
        stages=tuple(_stage_spec(stage) for stage in stages),
        audio=audio[0] if audio else None,
        tracker=DEFAULT_NAME,
        input_fps=input_fps,
    )
    spec.save(folder)
    return ModelSpec.load(folder)  # validates it


def export_stages(net: MethodNet) -> dict[str, bytes]:
    """ONNX files by stage; ValueError if the network needs future frames (`MethodNet.stages`)."""
    return {stage.name: stage_to_onnx(stage) for stage in net.stages()}


def _file_of(stage: Stage) -> str:
    return f"{stage.name}.onnx"


def _stage_spec(stage: Stage) -> StageSpec:
    inputs, outputs, states = (
        {form.name: form.shape for form in forms}
        for forms in (stage.inputs, stage.outputs, stage.states)
    )
    return StageSpec(
        stage.name, _file_of(stage), inputs, outputs, states, frame_stride=stage.frame_stride
    )


def _crop_of(recipe: MethodRecipe, stages: tuple[Stage, ...], offset_y_px: float) -> CropSpec:
    size_px = next(
        form.shape[-1] for stage in stages for form in stage.inputs if form.name == "crops"
    )
    norm = NORMALIZATIONS[recipe.normalization]
    mean, std = norm.mean[:_COLORS], norm.std[:_COLORS]
    has_part_mask = len(norm.mean) > _COLORS
    return CropSpec(
        size_px,
        (mean[0], mean[1], mean[2]),
        (std[0], std[1], std[2]),
        part_mask_norm=(norm.mean[_COLORS], norm.std[_COLORS]) if has_part_mask else None,
        offset_y_px=offset_y_px,
    )
