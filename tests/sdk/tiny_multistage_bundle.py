"""A small model of stages, made with `onnx` alone, that follows faces with the tiny bundle beside
it.

`frame` gives the crop's mean, `temporal` a running sum of it (halved each frame) plus twice the
audio's mean, as the logit of every AU and as valence; it reads no expression. `audio` gives the
mean of ten mel frames.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from faceaffect.bundle.mel_config import MelConfig
from faceaffect.bundle.model_spec import CropSpec, ModelSpec
from faceaffect.bundle.stage_spec import CHUNK, AudioSpec, StageSpec
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES

SIZE_PX = 32
MEL = MelConfig(rate_hz=1600, window_s=0.02, hop_s=0.01, fft=64, bands=6, high_hz=800)
FRAME = StageSpec("frame", "frame.onnx", {"crops": (3, SIZE_PX, SIZE_PX)}, {"light": (1,)})
TEMPORAL = StageSpec(
    "temporal",
    "temporal.onnx",
    {"light": (1,), "loudness": (1,)},
    {"au_logit": (12,), "va": (2,)},
    {"sum": (1,)},
)
AUDIO = StageSpec("audio", "audio.onnx", {"mel": (10, MEL.bands)}, {"loudness": (1,)})


def write_tiny_multistage_bundle(
    folder: Path, *, tracker: str = "tiny", frame_stride: int = 1
) -> Path:
    """Write the bundle to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in {"audio": _audio(), "frame": _frame(), "temporal": _temporal()}.items():
        onnx.checker.check_model(model)
        onnx.save(model, str(folder / f"{name}.onnx"))
    multistage_spec(tracker, frame_stride).save(folder)
    seal_stages(folder)
    return folder


def multistage_spec(tracker: str = "tiny", frame_stride: int = 1) -> ModelSpec:
    files = dict.fromkeys(["audio.onnx", "frame.onnx", "temporal.onnx"], "")
    return ModelSpec(
        "tiny stages",
        "Apache-2.0",
        CropSpec(SIZE_PX, (0.0,) * 3, (1.0,) * 3),
        AU_NAMES,
        EXPRESSION_NAMES,
        (0.6,) * 12,
        files,
        heads=("au", "va"),
        stages=(AUDIO, FRAME, replace(TEMPORAL, frame_stride=frame_stride)),
        audio=AudioSpec(CHUNK, MEL),
        tracker=tracker,
    )


def seal_stages(folder: Path) -> None:
    """Write the right checksums of the files that lie in `folder` into its spec."""
    spec = ModelSpec.load(folder)
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in spec.files}
    replace(spec, files=files).save(folder)


def _model(
    nodes: list[NodeProto], inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]
) -> onnx.ModelProto:
    def infos(forms: dict[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
            for name, shape in forms.items()
        ]

    constants = {
        "half": np.float32([0.5]),
        "two": np.float32([2]),
        "ones12": np.ones((1, 12)),
        "ones2": np.ones((1, 2)),
    }
    initializers = [
        numpy_helper.from_array(np.asarray(value, np.float32), name)
        for name, value in constants.items()
    ]
    graph = helper.make_graph(nodes, "stage", infos(inputs), infos(outputs), initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)


def _frame() -> onnx.ModelProto:
    mean = helper.make_node("ReduceMean", ["crops"], ["mean"], axes=[1, 2, 3], keepdims=0)
    return _model(
        [mean, helper.make_node("Unsqueeze", ["mean"], ["light"], axes=[1])],
        dict(FRAME.inputs),
        dict(FRAME.outputs),
    )


def _audio() -> onnx.ModelProto:
    mean = helper.make_node("ReduceMean", ["mel"], ["mean"], axes=[1, 2], keepdims=0)
    return _model(
        [mean, helper.make_node("Unsqueeze", ["mean"], ["loudness"], axes=[1])],
        dict(AUDIO.inputs),
        dict(AUDIO.outputs),
    )


def _temporal() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Mul", ["sum", "half"], ["halved"]),
        helper.make_node("Add", ["halved", "light"], ["sum_next"]),
        helper.make_node("Mul", ["loudness", "two"], ["heard"]),
        helper.make_node("Add", ["sum_next", "heard"], ["both"]),
        helper.make_node("MatMul", ["both", "ones12"], ["au_logit"]),
        helper.make_node("MatMul", ["both", "ones2"], ["va"]),
    ]
    inputs = {**TEMPORAL.inputs, **TEMPORAL.states}
    return _model(nodes, inputs, {**TEMPORAL.outputs, "sum_next": (1,)})
