"""The bundle of a method: its stages as ONNX files, card and spec."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from export.write_bundle import LICENCE
from faceaffect.bundle.bundle import CARD_FILE, DEFAULT_NAME
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.bundle.model_spec import CropSpec, ModelSpec
from faceaffect.bundle.stage_spec import READ_OUTS, SoundSpec, StageSpec
from training.methods.recipe_lookup import RECIPES
from training.methods.recipe import MethodRecipe
from training.methods.normalization import NORMALISATIONS
from training.methods.stage_to_onnx import stage_to_onnx
from training.models.stages import MethodNet, Stage

_COLOURS: Final = 3


def write_method_bundle(
    recipe: MethodRecipe, net: MethodNet, networks: Mapping[str, bytes], folder: Path, card: str,
    au_thresholds: tuple[float, ...], au_neutral_logits: tuple[float, ...] | None = None, lower_px: float = 0.0,
    pace_hz: float | None = None,
) -> ModelSpec:  # fmt: skip
    """Write all files, the spec last; `networks` as `export_stages` gives them."""
    stages = net.stages()
    contents = {_file_of(stage): networks[stage.name] for stage in stages} | {CARD_FILE: card.encode()}
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    read = {form.name for stage in stages for form in stage.outputs}
    sound = [SoundSpec(stage.hears) for stage in stages if stage.hears]
    spec = ModelSpec(
        name=RECIPES[int(recipe.paper[1:]) - 1],
        licence=LICENCE,
        crop=_crop_of(recipe, stages, lower_px),
        au_names=AU_NAMES,
        expression_names=EXPRESSION_NAMES,
        au_thresholds=au_thresholds,
        au_neutral_logits=au_neutral_logits,
        files={file: hashlib.sha256(content).hexdigest() for file, content in contents.items()},
        heads=tuple(head for head, (tensor, _) in READ_OUTS.items() if tensor in read),
        stages=tuple(_described(stage) for stage in stages),
        sound=sound[0] if sound else None,
        follow=DEFAULT_NAME,
        pace_hz=pace_hz,
    )
    spec.save(folder)
    return ModelSpec.load(folder)  # checks what was written


def export_stages(net: MethodNet) -> dict[str, bytes]:
    """ONNX files by stage. ValueError where the network as configured looks ahead (`MethodNet.stages`)."""
    return {stage.name: stage_to_onnx(stage) for stage in net.stages()}


def _file_of(stage: Stage) -> str:
    return f"{stage.name}.onnx"


def _described(stage: Stage) -> StageSpec:
    shapes = [{form.name: form.shape for form in forms} for forms in (stage.inputs, stage.outputs, stage.states)]
    return StageSpec(stage.name, _file_of(stage), *shapes, every=stage.every)


def _crop_of(recipe: MethodRecipe, stages: tuple[Stage, ...], lower_px: float) -> CropSpec:
    size_px = next(form.shape[-1] for stage in stages for form in stage.inputs if form.name == "crops")
    norm = NORMALISATIONS[recipe.normalisation]
    mean, std = norm.mean[:_COLOURS], norm.std[:_COLOURS]
    parts = (norm.mean[_COLOURS], norm.std[_COLOURS]) if len(norm.mean) > _COLOURS else None
    return CropSpec(size_px, (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]), parts, lower_px)
