"""What `spec.json` says of a model that is made of stages: their tensors, memory and pace, and how
audio reaches them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from faceaffect.bundle.mel_config import MelConfig
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES

STAGE_ORDER: Final[tuple[str, ...]] = ("audio", "frame", "temporal", "graph")
"""Stages in the order in which one frame passes them; a model has some of them."""

OUTPUT_HEADS: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "au": ("au_logit", (len(AU_NAMES),)),  # active where positive
    "expression": ("expression_logit", (len(EXPRESSION_NAMES),)),
    "va": ("va", (2,)),  # valence, arousal in [-1, 1] once clipped
}
"""Tensor that each head of a staged model is read from, and its shape without the axis of faces."""

HEAD_NAMES: Final[tuple[str, ...]] = tuple(OUTPUT_HEADS)

CROPS, AUDIO = "crops", "mel"
STATE_SUFFIX: Final = "_next"  # a state that comes out of a stage bears its name with this behind it

CHUNK, WINDOW = "chunk", "window"
"""How audio is heard: the next ten mel frames [10, bands] with memory of those before, or the last
ones [bands, columns].
"""

_LARGEST_STATE: Final = 1 << 26  # numbers of one face; a spec that asks for more is damaged
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One ONNX file: float32 inputs and states in, outputs and the states after it out, each [N,
    *shape]; N counts faces.

    States are zeros where a face is new. A stage runs on a face's frames 0, `frame_stride`, 2 `frame_stride`
    ...; outputs hold between.
    """

    name: str
    file: str
    inputs: Shapes
    outputs: Shapes
    states: Shapes = field(default_factory=dict)
    frame_stride: int = 1


@dataclass(frozen=True, slots=True)
class AudioSpec:
    """The front end of the stage `audio`."""

    framing: str
    mel: MelConfig = field(default_factory=MelConfig)


def stage_from_json(raw: Any) -> StageSpec:
    """Raises ValueError, TypeError, KeyError or AttributeError where the form is wrong."""
    unknown = sorted(raw.keys() - {each.name for each in fields(StageSpec)})
    if unknown:
        raise ValueError(f"unknown fields {unknown} of a stage")
    frame_stride = int(raw["frame_stride"])
    if frame_stride < 1 or frame_stride != raw["frame_stride"]:
        raise ValueError(f"frame_stride must be a whole number from 1 on, got {raw['frame_stride']!r}")
    shapes = {kind: _shapes(raw[kind]) for kind in ("inputs", "outputs", "states")}
    return StageSpec(str(raw["name"]), str(raw["file"]), **shapes, frame_stride=frame_stride)


def _shapes(raw: Any) -> dict[str, tuple[int, ...]]:
    found = {}
    for name, shape in raw.items():
        sides, size = tuple(int(side) for side in shape), 1
        for side in sides:
            size *= side
        if not _NAME.fullmatch(name) or any(side < 1 for side in sides) or size > _LARGEST_STATE:
            raise ValueError(
                f"tensor {name!r} must have a plain name and sides from 1 on, got {shape}"
            )
        found[name] = sides
    return found


def audio_from_json(raw: Any) -> AudioSpec | None:
    """Raises as `stage_from_json`."""
    if raw is None:
        return None
    wanted = {each.name for each in fields(MelConfig)}
    if set(raw) != {"framing", "mel"} or set(raw["mel"]) != wanted:
        raise ValueError(f"audio must have framing and mel, mel {sorted(wanted)}")
    figures: dict[str, Any] = {
        n: (int if n in ("rate_hz", "fft", "bands") else float)(v) for n, v in raw["mel"].items()
    }
    return AudioSpec(str(raw["framing"]), MelConfig(**figures))


def stage_to_json(stage: StageSpec) -> dict[str, Any]:
    return asdict(stage) | {
        kind: {n: list(s) for n, s in getattr(stage, kind).items()}
        for kind in ("inputs", "outputs", "states")
    }


def validation_errors(
    stages: tuple[StageSpec, ...],
    audio: AudioSpec | None,
    heads: tuple[str, ...],
    image: tuple[int, ...],
) -> Iterator[str]:
    """What does not fit together, in words; `image` is the shape of a crop."""
    names = [stage.name for stage in stages]
    if names != [name for name in STAGE_ORDER if name in names] or not {"frame", "temporal"} & set(
        names
    ):
        yield f"stages must be some of {STAGE_ORDER} in this order, with a frame or temporal one, got {names}"
    given: dict[str, tuple[int, ...]] = {CROPS: image}
    for stage in stages:
        if stage.name == "audio":
            yield from _audio_problems(stage, audio)
        for name, shape in stage.inputs.items():
            if stage.name == "audio":
                continue
            if given.get(name) != shape:
                yield f"stage {stage.name} wants {name} {list(shape)}, what comes is {_listed(given.get(name))}"
        given |= stage.outputs
    if audio is not None and "audio" not in names:
        yield "audio is described, but no stage audio"
    for head in heads:
        tensor, shape = OUTPUT_HEADS[head]
        if given.get(tensor) != shape:
            yield f"head {head} is read from {tensor} {list(shape)}, what comes is {_listed(given.get(tensor))}"


def _listed(shape: tuple[int, ...] | None) -> str:
    return "nothing" if shape is None else str(list(shape))


def _audio_problems(stage: StageSpec, audio: AudioSpec | None) -> Iterator[str]:
    if audio is None or audio.framing not in (CHUNK, WINDOW):
        yield f"a stage audio needs audio of the form {CHUNK} or {WINDOW}, got {audio and audio.framing!r}"
        return
    shape = stage.inputs.get(AUDIO, ())
    bands = shape[1 if audio.framing == CHUNK else 0] if len(shape) == 2 else 0
    if (
        set(stage.inputs) != {AUDIO}
        or bands != audio.mel.bands
        or (audio.framing == WINDOW and stage.states)
    ):
        yield f"stage audio must take {AUDIO} alone, of {audio.mel.bands} bands, got {dict(stage.inputs)}"
