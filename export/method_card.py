"""Writes the model card of a method's bundle: outputs, cost, training data and metrics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import onnx
import torch

from export.model_card import load_template
from faceaffect.bundle.bundle import DEFAULT_NAME, open_bundle
from faceaffect.bundle.stage_spec import OUTPUT_HEADS
from faceaffect.labels import AU_NAMES
from training.evaluation.cost_metrics import multiply_accumulates
from training.methods.recipe import MethodRecipe
from training.methods.recipe_lookup import RECIPES
from training.methods.scores import scores_text
from training.models.cost import macs_of
from training.models.stages import MethodNet, Stage

SOURCES: Final[dict[str, str]] = {
    "renderwild": (
        "RenderWild: synthetic videos of people with audio; labels are exact by construction. "
        "Mesh, skins and textures: MakeHuman, CC0; facial expressions: ARKit shapes, CC0, and "
        "FACSHuman, LGPL-3.0, used for rendering and not contained here; voices: Berlin "
        "Database of Emotional Speech, CC0 1.0 according to its note. It shows no real people, "
        "and accuracy on real faces is unknown."
    ),
    "affwild2": (
        "Aff-Wild2: videos of people with expert labels. For non-commercial research under its own "
        "agreement, which also applies to users of these weights."
    ),
    "none": "None: these are random weights, for tests of training and export.",
}
"""Description of training data, by the names that `--trained-on` accepts."""

_HEADS: Final = {
    "au": "twelve action units",
    "expression": "seven expressions",
    "va": "valence and arousal",
}
_UNKNOWN_SOURCES: Final = (
    "Not recorded. Anyone who distributes these weights must name the data and its terms "
    "(`--trained-on`)."
)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Facts about a run that are not in its recipe or network."""

    step: int
    trained_on: Sequence[str]
    thresholds: str
    scores: dict[str, Any] | None
    offset_y_px: float
    fps: float | None


def method_card(
    recipe: MethodRecipe, net: MethodNet, networks: Mapping[str, bytes], facts: CardFacts
) -> str:
    """Write the model card as Markdown; `networks` maps stage names to ONNX files."""
    stages = net.stages()
    outputs = {form.name for stage in stages for form in stage.outputs}
    predicted = [_HEADS[head] for head, (tensor, _) in OUTPUT_HEADS.items() if tensor in outputs]
    missing = [_HEADS[head] for head, (tensor, _) in OUTPUT_HEADS.items() if tensor not in outputs]
    heads = f"{', '.join(predicted)}."
    if missing:
        heads += f" Not predicted (empty columns): {', '.join(missing)}."
    crops = next(form for stage in stages for form in stage.inputs if form.name == "crops")
    sources = list(facts.trained_on) or (["none"] if not facts.step else [])
    return load_template("method").format(
        name=RECIPES[int(recipe.paper[1:]) - 1],
        paper=recipe.paper,
        sentence=recipe.sentence,
        preset=recipe.preset,
        trained=f"trained for {facts.step} steps" if facts.step else "untrained",
        heads=heads[0].upper() + heads[1:],
        tracker=DEFAULT_NAME,
        costs="\n".join(_cost_rows(stages, networks)),
        size=crops.shape[-1],
        crops=_crops_text(crops.shape[0], facts.offset_y_px),
        audio=_audio_text(stages) + _frame_rate_text(net, facts.fps),
        sources="\n".join(f"- {SOURCES.get(name, name)}" for name in sources) or _UNKNOWN_SOURCES,
        thresholds=facts.thresholds,
        metrics=f"On the validation set of the training data: {scores_text(facts.scores)}."
        if facts.scores
        else "Not measured.",
        must_not=load_template("must_not"),
    )


def _cost_rows(stages: Sequence[Stage], networks: Mapping[str, bytes]) -> Iterator[str]:
    tracker = open_bundle(DEFAULT_NAME)
    model = onnx.load_from_string(tracker.onnx)
    macs = multiply_accumulates(model, tracker.spec.crop.size_px)
    yield f"| model `{DEFAULT_NAME}` | {_weights(model):,} | {macs / 1e6:.1f} | 0 | all |"
    for stage in stages:
        example = [torch.zeros(1, *form.shape) for form in (*stage.inputs, *stage.states)]
        macs = macs_of(lambda stage=stage, example=example: stage.module(*example))  # type: ignore[misc]
        weights = _weights(onnx.load_from_string(networks[stage.name]))
        memory = sum(math.prod(form.shape) for form in stage.states)
        frames = "all" if stage.frame_stride == 1 else f"1 in {stage.frame_stride}"
        if stage.uses_audio:
            frames = "once for all faces every 100 ms"
        yield f"| stage `{stage.name}` | {weights:,} | {macs / 1e6:.2f} | {memory:,} | {frames} |"


def _weights(model: onnx.ModelProto) -> int:
    """Number of values in all initializers, including constants such as masks and grids."""
    return sum(math.prod(each.dims) for each in model.graph.initializer)


def _crops_text(channels: int, offset_y_px: float) -> str:
    mask = (
        " with a fourth channel, the face-part mask drawn from the landmarks"
        if channels > 3
        else ""
    )
    offset = (
        f", with the face {offset_y_px:g} px (of 112) lower, as in the crops of Aff-Wild2"
        if offset_y_px
        else ""
    )
    return mask + offset


def _audio_text(stages: Sequence[Stage]) -> str:
    if not any(stage.uses_audio for stage in stages):
        return "It does not use audio."
    return (
        "It uses audio: log-mel features up to the last full 100 ms before a frame, never later. "
        "Without audio it runs on video alone, with zeros in place of the audio features."
    )


def has_memory(net: MethodNet) -> bool:
    """Whether predictions depend on earlier frames of a face, hence on the frame rate."""
    return any(stage.states for stage in net.stages() if not stage.uses_audio)


def _frame_rate_text(net: MethodNet, fps: float | None) -> str:
    if not has_memory(net):
        return ""
    if fps is None:
        return (
            " Its states count frames: at another frame rate than that of the training videos they "
            "span another duration."
        )
    return (
        f" It processes at most {fps:g} frames per second, as in training; predictions are held "
        "in between."
    )


def thresholds_text(thresholds: Sequence[float], origin: str) -> str:
    """Describe AU thresholds and their origin, such as "best F1 on the validation set of DIR"."""
    listed = ", ".join(
        f"{name} {value:g}" for name, value in zip(AU_NAMES, thresholds, strict=True)
    )
    return f"Thresholds of action units ({origin}): {listed}."
