"""Streaming with carried state compared with the same causal network over the full sequence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from faceaffect.audio.mel import STEP_FRAMES
from tests.training.methods.network_cases import small_net, variant
from training.methods.recipe_lookup import find_recipe
from training.methods.stream_runner import StreamRunner
from training.models.networks.build_network import build_network
from training.models.networks.mean_teacher_clip import FRAMES, SPACING
from training.models.networks.pairwise_intensity import PairwiseIntensity
from training.models.temporal.rings import windows

pytestmark = pytest.mark.train
CLOSE = 1e-5


def streamed(
    runner: StreamRunner, frames: Tensor, name: str, track: str = "a", name_in: str = "crops"
) -> Tensor:
    """Output `name` for all frames [T, ...] of a face."""
    return torch.cat([runner.step(track, {name_in: frame[None]})[name] for frame in frames])


def gap(first: Tensor, second: Tensor) -> float:
    assert first.shape == second.shape
    assert first.std() > 1e-4, "a constant output proves nothing"
    return float((first - second).abs().max())


@pytest.mark.parametrize(
    "options", [(), ("net.audio=false",), ("net.layers=0",), ("net.layers=1",)]
)
def test_stream_runner_of_multimodal_transformer_matches_sequence(options: tuple[str, ...]) -> None:
    net = small_net("multimodal_transformer", *options)
    steps = 15  # more than two windows of six
    batch = {"crops": torch.randn(1, steps, 3, 48, 48), "mel": torch.randn(1, 60, 64)}
    arrived = torch.tensor([0, 3, 9, 10, 14, 20, 20, 27, 30, 30, 34, 39, 41, 50, 58])
    batch["mel_index"] = arrived[None].float()
    with torch.no_grad():
        expected = net(batch)
    runner = StreamRunner(net.stages())
    outputs = []
    pushed = 0
    for frame, columns in zip(batch["crops"][0], arrived, strict=True):
        while pushed + STEP_FRAMES <= columns:
            runner.push_audio("a", batch["mel"][:, pushed : pushed + STEP_FRAMES])
            pushed += STEP_FRAMES
        outputs.append(runner.step("a", {"crops": frame[None]}))
    for name in ("au_logit", "expression_logit"):
        assert gap(expected[name][0], torch.cat([frame[name] for frame in outputs])) < CLOSE


def test_multimodal_transformer_ignores_frames_outside_window() -> None:
    net = small_net("multimodal_transformer", "net.layers=1")
    crops = torch.randn(1, 10, 3, 48, 48)
    other = crops.clone()
    other[:, 0] = torch.randn(3, 48, 48)
    with torch.no_grad():
        first, second = (net({"crops": sequence})["au_logit"][0] for sequence in (crops, other))
    changed = (first - second).abs().amax(dim=1)
    assert (changed[:6] > 1e-6).all()
    assert (changed[6:] < 1e-6).all()


def test_stream_runner_without_audio_matches_sequence() -> None:
    net = small_net("multimodal_transformer")
    crops = torch.randn(1, 8, 3, 48, 48)
    with torch.no_grad():
        expected = net({"crops": crops})["au_logit"][0]
    assert gap(expected, streamed(StreamRunner(net.stages()), crops[0], "au_logit")) < CLOSE


@pytest.mark.parametrize("name", ["multi_database", "multi_database, no GRU"])
def test_stream_runner_of_multi_database_matches_sequence(name: str) -> None:
    net = variant(name)
    crops = torch.randn(1, 12, 3, 32, 32)
    with torch.no_grad():
        expected = net({"crops": crops})
    for output in ("expression_logit", "va"):
        assert (
            gap(expected[output][0], streamed(StreamRunner(net.stages()), crops[0], output)) < CLOSE
        )


def test_stream_runner_of_pairwise_intensity_matches_sequence() -> None:
    net = small_net("pairwise_intensity")
    assert isinstance(net, PairwiseIntensity)
    steps = 60  # three times the window
    with torch.no_grad():
        crops = (
            torch.randn(1, steps, 3, 32, 32) * torch.linspace(0.2, 2, steps)[:, None, None, None]
        )
        net.fit_ranges(*net.measure(crops[0]))
        expected = net({"crops": crops})["au_logit"][0]
    assert gap(expected, streamed(StreamRunner(net.stages()), crops[0], "au_logit")) < CLOSE


@pytest.mark.parametrize("name", ["mean_teacher", "mean_teacher, 3d", "mean_teacher, no cure"])
def test_stream_runner_of_mean_teacher_matches_clips(name: str) -> None:
    net = variant(name)
    steps, audio = 50, "mel" in {form.name for form in net.input_forms()}
    frames, mel = torch.randn(1, steps, 4, 32, 32), torch.randn(1, 64, 101)
    clips, real = windows(frames, FRAMES, SPACING)
    batch = {"clip": clips[0], "clip_real": real[0]}
    runner = StreamRunner(net.stages())
    if audio:
        batch["mel"] = mel.expand(steps, -1, -1)
        runner.push_audio("a", mel)
    with torch.no_grad():
        expected = net(batch)
    stride = runner.stages[-1].frame_stride
    assert stride == (SPACING if "3d" in name else 1)
    held = (torch.arange(steps) // stride) * stride
    outputs = [runner.step("a", {"crops": frame[None]}) for frame in frames[0]]
    for output in ("au_logit", "expression_logit", "va"):
        assert gap(expected[output][held], torch.cat([frame[output] for frame in outputs])) < CLOSE
    assert torch.allclose(
        expected["alpha"][held], torch.cat([frame["alpha"] for frame in outputs]), atol=CLOSE
    )


@pytest.mark.parametrize(
    "name",
    [
        "prior_aided_streaming",
        "incomplete_labels",
        "attention_graph",
        "feature_pyramid",
        "attention_graph, no graph",
        "pairwise_intensity, direct",
    ],
)
def test_stream_runner_of_stateless_network_matches_batch(name: str) -> None:
    net = variant(name)
    crops = torch.randn(3, *net.zeros()["crops"].shape[1:])
    with torch.no_grad():
        expected = net({"crops": crops})
    for output in net.stages()[-1].outputs:
        assert (
            gap(expected[output.name], streamed(StreamRunner(net.stages()), crops, output.name))
            < CLOSE
        )


@pytest.mark.parametrize(
    "name", ["multimodal_transformer", "mean_teacher", "pairwise_intensity", "multi_database"]
)
def test_stream_runner_keeps_states_per_track_until_drop(name: str) -> None:
    net = small_net(name)
    output = "au_logit" if name != "multi_database" else "va"
    shape = net.stages()[-2].inputs[0].shape
    first, second = torch.randn(8, *shape), torch.randn(8, *shape)
    alone = streamed(StreamRunner(net.stages()), first, output)
    runner = StreamRunner(net.stages())
    outputs = []
    for frame, other in zip(first, second, strict=True):
        outputs.append(runner.step("a", {"crops": frame[None]})[output])
        runner.step("b", {"crops": other[None]})
    assert torch.equal(torch.cat(outputs), alone)
    runner.drop("a")
    assert torch.equal(streamed(runner, first, output), alone)


@pytest.mark.parametrize("name", ["multimodal_transformer", "pairwise_intensity", "multi_database"])
def test_stages_of_non_causal_network_raise(name: str) -> None:
    options = ["net.recurrence=both"] if name == "multi_database" else ["net.causal=false"]
    net = build_network(find_recipe(name, "compact", options).net)
    with pytest.raises(ValueError, match=r"cannot run on video|to run it on video"):
        net.stages()


def test_stream_runner_of_missing_input_names_it() -> None:
    runner = StreamRunner(small_net("incomplete_labels").stages())
    with pytest.raises(ValueError, match=r"stage 'frame' expected \['crops'\], got no crops"):
        runner.step("a", {"image": torch.zeros(1, 3, 48, 48)})
