"""The card of a method's bundle: what it is, what it costs beside the model that follows faces,
terms and figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import onnx
import torch

from export.model_card import card_text
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
        "RenderWild: rendered people with audio, labels exact by construction. Mesh, skins and textures: MakeHuman, CC0; face "
        "units: ARKit shapes, CC0, and FACSHuman, LGPL-3.0, used while rendering and not contained here; voices: Berlin "
        "Database of Emotional Speech, CC0 1.0 as its note says. Nobody real is in it, and nothing is known of real faces."
    ),
    "affwild2": (
        "Aff-Wild2: videos of people with labels by experts. For non-commercial research under its own agreement, which binds "
        "whoever uses these weights as well."
    ),
    "none": "Nothing: these are random weights, for tests of the way from training to rows.",
}
"""What a run may have been trained on, by the name that `--trained-on` takes."""

_HEADS: Final = {
    "au": "twelve action units",
    "expression": "seven expressions",
    "va": "valence and arousal",
}
_UNSAID: Final = "The run does not say. Whoever passes these weights on must name their data and its terms (`--trained-on`)."


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the network itself does not know."""

    step: int
    trained_on: Sequence[str]
    thresholds_from: str
    scores: dict[str, Any] | None
    offset_y_px: float
    fps: float | None


def method_card(
    recipe: MethodRecipe, net: MethodNet, networks: Mapping[str, bytes], facts: CardFacts
) -> str:
    """Markdown; `networks` are the stages as they were exported, by name."""
    stages = net.stages()
    read = {form.name for stage in stages for form in stage.outputs}
    there = [_HEADS[head] for head, (tensor, _) in OUTPUT_HEADS.items() if tensor in read]
    missing = [_HEADS[head] for head, (tensor, _) in OUTPUT_HEADS.items() if tensor not in read]
    said = f"{', '.join(there)}." + (
        f" Not {', '.join(missing)}: those columns stay empty." if missing else ""
    )
    crops = next(form for stage in stages for form in stage.inputs if form.name == "crops")
    sources = list(facts.trained_on) or (["none"] if not facts.step else [])
    return card_text("method").format(
        name=RECIPES[int(recipe.paper[1:]) - 1],
        paper=recipe.paper,
        sentence=recipe.sentence,
        preset=recipe.preset,
        trained=f"trained for {facts.step} steps" if facts.step else "untrained",
        heads=said[0].upper() + said[1:],
        follow=DEFAULT_NAME,
        costs="\n".join(_cost_rows(stages, networks)),
        size=crops.shape[-1],
        parts=_parts_text(crops.shape[0], facts.offset_y_px),
        audio=_audio_text(stages) + _pace_text(net, facts.fps),
        sources="\n".join(f"- {SOURCES.get(name, name)}" for name in sources) or _UNSAID,
        thresholds=facts.thresholds_from,
        figures=f"On the validation part of what it was trained on: {scores_text(facts.scores)}."
        if facts.scores
        else "None.",
        must_not=card_text("must_not"),
    )


def _cost_rows(stages: Sequence[Stage], networks: Mapping[str, bytes]) -> Iterator[str]:
    follow = open_bundle(DEFAULT_NAME)
    model = onnx.load_from_string(follow.onnx)
    macs = multiply_accumulates(model, follow.spec.crop.size_px)
    yield f"| model `{DEFAULT_NAME}` | {_weights(model):,} | {macs / 1e6:.1f} | 0 | all |"
    for stage in stages:
        example = [torch.zeros(1, *form.shape) for form in (*stage.inputs, *stage.states)]
        macs = macs_of(lambda stage=stage, example=example: stage.module(*example))  # type: ignore[misc]
        weights = _weights(onnx.load_from_string(networks[stage.name]))
        memory = sum(math.prod(form.shape) for form in stage.states)
        pace = "all" if stage.every == 1 else f"one in {stage.every}"
        if stage.uses_audio:
            pace = "once for all faces every 100 ms"
        yield f"| stage `{stage.name}` | {weights:,} | {macs / 1e6:.2f} | {memory:,} | {pace} |"


def _weights(model: onnx.ModelProto) -> int:
    """Numbers that the file holds, normalization folded; constants of the graph's own (a mask, a
    grid) count too.
    """
    return sum(math.prod(each.dims) for each in model.graph.initializer)


def _parts_text(channels: int, offset_y_px: float) -> str:
    parts = (
        " with a fourth channel, the image of facial parts drawn from the landmarks"
        if channels > 3
        else ""
    )
    lower = (
        f", the face {offset_y_px:g} px (of 112) lower, as in the crops of Aff-Wild2"
        if offset_y_px
        else ""
    )
    return parts + lower


def _audio_text(stages: Sequence[Stage]) -> str:
    if not any(stage.uses_audio for stage in stages):
        return "It hears nothing."
    return (
        "It hears: log-mel of the audio up to the last whole 100 ms before a frame, never later. Without audio it runs on "
        "video alone, which is what zeros in place of the audio's features mean to it."
    )


def has_memory(net: MethodNet) -> bool:
    """Whether what a network reads of a face depends on the face's earlier frames, hence on how
    fast these come.
    """
    return any(stage.states for stage in net.stages() if not stage.uses_audio)


def _pace_text(net: MethodNet, fps: float | None) -> str:
    if not has_memory(net):
        return ""
    if fps is None:
        return " Its memory counts frames: on videos of another frame rate than those it was trained on it spans another time."
    return f" Its memory counts at most {fps:g} frames a second, as in training; what is read holds in between."


def thresholds_text(thresholds: Sequence[float], where: str) -> str:
    """What the card says of AU thresholds, such as where="best F1 on the validation part of DIR"."""
    listed = ", ".join(
        f"{name} {value:g}" for name, value in zip(AU_NAMES, thresholds, strict=True)
    )
    return f"Thresholds of action units ({where}): {listed}."
