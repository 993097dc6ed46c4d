"""The part of `spec.json` that describes a model made of stages: tensors, states, audio."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from faceaffect.bundle.json_value import JsonValue
from faceaffect.bundle.mel_config import MelConfig
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES

STAGE_ORDER: Final[tuple[str, ...]] = ("audio", "frame", "temporal", "graph")
"""All stages in execution order; a model has some of them."""

OUTPUT_HEADS: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "au": ("au_logit", (len(AU_NAMES),)),  # active where positive
    "expression": ("expression_logit", (len(EXPRESSION_NAMES),)),
    "va": ("va", (2,)),  # valence, arousal in [-1, 1] once clipped
}
"""Output tensor of each head of a multi-stage model, with its shape without the face axis."""

HEAD_NAMES: Final[tuple[str, ...]] = tuple(OUTPUT_HEADS)

CROPS: Final = "crops"
AUDIO: Final = "mel"
STATE_SUFFIX: Final = "_next"
"""Suffix of the output tensor that holds the next value of a state."""

CHUNK: Final = "chunk"
"""Audio framing: the next ten mel frames [10, bands]; states remember earlier ones."""
WINDOW: Final = "window"
"""Audio framing: the most recent mel frames [bands, columns]; no states."""

_MAX_TENSOR_SIZE: Final = 1 << 26  # elements per face; a larger size means a damaged spec
_TENSOR_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_SHAPE_FIELDS: Final = ("inputs", "outputs", "states")

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One ONNX file of a multi-stage model.

    It maps float32 inputs and states to outputs and next states, each [N, *shape] for N faces.
    States are zeros for a new face. A stage runs on frames 0, `frame_stride`,
    2 `frame_stride` ... of a face; its outputs are held in between.
    """

    name: str
    file: str
    inputs: Shapes
    outputs: Shapes
    states: Shapes = field(default_factory=dict)
    frame_stride: int = 1


@dataclass(frozen=True, slots=True)
class AudioSpec:
    """Input of the stage `audio`: `framing` is `CHUNK` or `WINDOW`."""

    framing: str
    mel: MelConfig = field(default_factory=MelConfig)


def stage_from_json(raw: JsonValue) -> StageSpec:
    """Read one stage; raises ValueError."""
    stage = raw.fields([each.name for each in fields(StageSpec)])
    return StageSpec(
        stage["name"].text(),
        stage["file"].text(),
        inputs=_read_shapes(stage["inputs"]),
        outputs=_read_shapes(stage["outputs"]),
        states=_read_shapes(stage["states"]),
        frame_stride=stage["frame_stride"].integer(minimum=1),
    )


def _read_shapes(raw: JsonValue) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for name, value in raw.members().items():
        shape = tuple(side.integer(minimum=1) for side in value.items())
        if not _TENSOR_NAME.fullmatch(name):
            raise ValueError(
                f"{raw.path}: expected tensor names like {_TENSOR_NAME.pattern}, got {name!r}"
            )
        if math.prod(shape) > _MAX_TENSOR_SIZE:
            raise value.expected(f"a shape of at most {_MAX_TENSOR_SIZE} elements")
        shapes[name] = shape
    return shapes


def audio_from_json(raw: JsonValue) -> AudioSpec:
    """Read the audio section; raises ValueError."""
    audio = raw.fields(["framing", "mel"])
    mel = audio["mel"].fields([each.name for each in fields(MelConfig)])
    values: dict[str, Any] = {
        each.name: mel[each.name].integer() if each.type == "int" else mel[each.name].number()
        for each in fields(MelConfig)
    }
    return AudioSpec(audio["framing"].text(), MelConfig(**values))


def stage_to_json(stage: StageSpec) -> dict[str, Any]:
    """Convert a stage to JSON values."""
    shapes = {
        kind: {name: list(shape) for name, shape in getattr(stage, kind).items()}
        for kind in _SHAPE_FIELDS
    }
    return asdict(stage) | shapes


def validation_errors(
    stages: tuple[StageSpec, ...],
    audio: AudioSpec | None,
    heads: tuple[str, ...],
    crop_shape: tuple[int, ...],
) -> Iterator[str]:
    """Yield a message for each inconsistency between stages, audio, heads and crop."""
    names = [stage.name for stage in stages]
    has_trunk = not {"frame", "temporal"}.isdisjoint(names)
    if names != [name for name in STAGE_ORDER if name in names] or not has_trunk:
        yield (
            f"stages: expected some of {STAGE_ORDER} in this order, with frame or temporal, "
            f"got {names}"
        )
    available: dict[str, tuple[int, ...]] = {CROPS: crop_shape}
    for stage in stages:
        if stage.name == "audio":
            yield from _audio_errors(stage, audio)
        else:
            for name, shape in stage.inputs.items():
                if available.get(name) != shape:
                    yield (
                        f"stage {stage.name}: expected input {name} {list(shape)}, "
                        f"got {_shape_text(available.get(name))}"
                    )
        available |= stage.outputs
    if audio is not None and "audio" not in names:
        yield "audio: expected a stage audio, got none"
    for head in heads:
        tensor, shape = OUTPUT_HEADS[head]
        if available.get(tensor) != shape:
            yield (
                f"head {head}: expected output {tensor} {list(shape)}, "
                f"got {_shape_text(available.get(tensor))}"
            )


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else str(list(shape))


def _audio_errors(stage: StageSpec, audio: AudioSpec | None) -> Iterator[str]:
    if audio is None or audio.framing not in (CHUNK, WINDOW):
        yield (
            f"stage audio: expected audio with framing {CHUNK} or {WINDOW}, "
            f"got {audio and audio.framing!r}"
        )
        return
    shape = stage.inputs.get(AUDIO, ())
    bands = shape[1 if audio.framing == CHUNK else 0] if len(shape) == 2 else 0
    is_single_input = set(stage.inputs) == {AUDIO}
    has_window_state = audio.framing == WINDOW and bool(stage.states)
    if not is_single_input or bands != audio.mel.bands or has_window_state:
        yield (
            f"stage audio: expected {AUDIO} of {audio.mel.bands} bands as its only input, "
            f"got {dict(stage.inputs)}"
        )
