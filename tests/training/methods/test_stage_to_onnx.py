"""ONNX stages of the compact networks compared with PyTorch, with one face and several."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
import torch

from tests.training.methods.network_cases import VARIANTS, variant
from training.methods.stage_to_onnx import names_in, names_out, stage_to_onnx
from training.methods.stream_runner import StreamRunner, run_in_torch
from training.models.stages import STAGE_NAMES, Stage

pytestmark = pytest.mark.train
CLOSE = 1e-4


def session(stage: Stage) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        stage_to_onnx(stage), options, providers=["CPUExecutionProvider"]
    )


def run(
    opened: onnxruntime.InferenceSession, stage: Stage, tensors: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    feeds = {name: tensor.numpy() for name, tensor in zip(names_in(stage), tensors, strict=True)}
    return tuple(
        torch.from_numpy(np.asarray(value)) for value in opened.run(names_out(stage), feeds)
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_stage_to_onnx_matches_torch_over_frames_and_faces(name: str) -> None:
    """States are carried over three frames, separately for both."""
    net = variant(name)
    torch.manual_seed(1)
    for stage in net.stages():
        opened = session(stage)
        for count in (1, 3):
            ours = theirs = tuple(torch.zeros(count, *form.shape) for form in stage.states)
            for _ in range(3):
                inputs = tuple(torch.randn(count, *form.shape) for form in stage.inputs)
                expected, actual = (
                    run_in_torch(stage, (*inputs, *ours)),
                    run(opened, stage, (*inputs, *theirs)),
                )
                for value, form in zip(expected, (*stage.outputs, *stage.states), strict=True):
                    assert tuple(value.shape) == (count, *form.shape), form.name
                assert (
                    max(float((a - b).abs().max()) for a, b in zip(expected, actual, strict=True))
                    < CLOSE
                )
                ours, theirs = expected[len(stage.outputs) :], actual[len(stage.outputs) :]


def test_stream_runner_over_onnx_matches_torch() -> None:
    net = variant("multi_database")
    stages = net.stages()
    opened = {stage.name: session(stage) for stage in stages}
    ours = StreamRunner(stages)
    theirs = StreamRunner(stages, lambda stage, tensors: run(opened[stage.name], stage, tensors))
    for _ in range(5):
        crops = {"crops": torch.randn(1, 3, 32, 32)}
        assert torch.allclose(ours.step(0, crops)["va"], theirs.step(0, crops)["va"], atol=CLOSE)


def test_stage_describe_lists_names_shapes_and_frame_stride() -> None:
    described = [stage.describe() for stage in variant("mean_teacher, 3d").stages()]
    assert json.loads(json.dumps(described)) == described
    assert [stage["name"] for stage in described] == ["audio", "temporal"]
    assert described[1]["frame_stride"] == 6
    assert described[1]["inputs"] == {"crops": [4, 32, 32], "audio_features": [64]}
    assert described[1]["states"] == {"clip_frames": [7, 4, 32, 32], "frames_seen": [1]}
    assert described[1]["outputs"] == {
        "au_logit": [12],
        "expression_logit": [7],
        "va": [2],
        "alpha": [],
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_stage_inputs_are_outputs_of_earlier_stages(name: str) -> None:
    available = {"crops", "mel"}
    for stage in variant(name).stages():
        assert stage.name in STAGE_NAMES
        assert {form.name for form in stage.inputs} <= available
        available |= {form.name for form in stage.outputs}
