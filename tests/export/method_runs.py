"""Runs of compact methods as training saves them, and their offline predictions on a sequence."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from faceaffect.audio.mel import STEP_FRAMES
from tests.training.methods.network_cases import SMALL, small_net
from tests.training.methods.synthetic_faces import synthetic_data
from training.audio.mel_track import MelTrack
from training.engine.checkpoint import RUN_FILE, WEIGHTS_FILE
from training.engine.trainer import TrainerConfig
from training.methods.recipe_lookup import find_recipe
from training.methods.train_method import train_method
from training.models.networks.mean_teacher_clip import FRAMES, MeanTeacherClip
from training.models.networks.multimodal_transformer import MultimodalTransformer
from training.models.networks.pairwise_intensity import PairwiseIntensity
from training.models.networks.prior_aided_streaming import PriorAidedStreaming
from training.models.stages import MethodNet
from training.models.temporal.rings import windows


def train_run(name: str, folder: Path) -> MethodNet:
    """Write a run of three steps on synthetic faces to `folder`; returns its network."""
    options = ["batch=6", "sampling.windows=2", "sampling.pairs=24"]
    net = train_method(
        find_recipe(name, "compact", [*SMALL[name], *options]),
        synthetic_data(size_px=48),
        TrainerConfig(folder, steps=3),
    )
    return net.eval()


def write_run(name: str, folder: Path, *options: str) -> MethodNet:
    """Write an untrained run to `folder`; returns its network."""
    net = network_with_distinct_outputs(name, *options)
    recipe = find_recipe(name, "compact", [*SMALL[name], *options])
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.contiguous() for key, value in net.state_dict().items()}, folder / WEIGHTS_FILE
    )
    (folder / RUN_FILE).write_text(json.dumps({"recipe": json.loads(recipe.to_json()), "step": 0}))
    return net


def network_with_distinct_outputs(name: str, *options: str) -> MethodNet:
    """A compact network whose outputs differ between faces by much more than the tolerance."""
    net = small_net(name, *options)
    if isinstance(net, PriorAidedStreaming):  # differences of sigmoids of unit vectors are small
        for part in net.heads.modules():
            if isinstance(part, torch.nn.Linear):
                part.weight.data.mul_(3)
    if isinstance(net, PairwiseIntensity):
        size = net.config.size_px
        torch.manual_seed(5)
        with torch.no_grad():
            net.fit_ranges(
                *net.measure(
                    torch.randn(64, 3, size, size) * torch.linspace(0.2, 2, 64)[:, None, None, None]
                )
            )
    return net


@torch.no_grad()
def predict_offline(
    net: MethodNet, crops: Tensor, offsets_s: list[float], track: MelTrack | None = None
) -> dict[str, Tensor]:
    """All outputs [T, ...] for a sequence of crops [T, C, S, S], as in training and evaluation.

    `offsets_s` is each frame's time in the audio of `track`.
    """
    if isinstance(net, MeanTeacherClip):
        clips, real = windows(crops[None], FRAMES, net.config.spacing)
        batch = {"clip": clips[0], "clip_real": real[0]}
        if track is not None:
            batch["mel"] = torch.stack(
                [
                    torch.from_numpy(track.latest_frames(t, net.config.mel_columns))
                    for t in offsets_s
                ]
            )
        return net(batch)
    batch = {"crops": crops[None]}
    if isinstance(net, MultimodalTransformer) and track is not None:
        arrived = [track.frames_available(t) for t in offsets_s]
        end = -(-(arrived[-1] + 1) // STEP_FRAMES) * STEP_FRAMES
        batch |= {
            "mel": torch.from_numpy(track.chunk(0, end))[None],
            "mel_index": torch.tensor([arrived]).float(),
        }
    if net.stages()[-1].name == "temporal":
        return {
            key: value[0] for key, value in net(batch).items() if value.ndim > 1 and len(value) == 1
        }
    return net({"crops": crops})
