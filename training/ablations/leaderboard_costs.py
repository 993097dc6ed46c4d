"""Cost of the leaderboard's networks per frame of one face: parameters, MACs, CPU time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from training.ablations.records import machine_name
from training.ablations.variants import FULL, LEADERBOARD
from training.methods.recipe_lookup import find_recipe
from training.methods.stage_to_onnx import names_in, stage_to_onnx
from training.methods.stream_runner import StreamRunner
from training.models.cost import macs_of, parameter_count
from training.models.networks.build_network import build_network
from training.models.stages import Stage

COSTS: Final = "costs.json"
AUDIO: Final = "audio"
_WARM_UP: Final = 30


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """Cost of one frame of one face in streaming operation; audio is counted separately, per call.

    Times are medians of ONNX Runtime's CPU time on one thread, which excludes other processes.
    """

    method: str
    size_px: int
    parameters: int
    macs: int
    frame_ms: float
    audio_macs: int
    audio_ms: float | None


def session_call(
    stages: tuple[Stage, ...],
) -> Callable[[Stage, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """Function that runs a stage as its exported ONNX model on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = {
        stage.name: onnxruntime.InferenceSession(
            stage_to_onnx(stage), options, providers=["CPUExecutionProvider"]
        )
        for stage in stages
    }

    def call(stage: Stage, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        feed = {name: tensor.numpy() for name, tensor in zip(names_in(stage), tensors, strict=True)}
        return tuple(torch.from_numpy(value) for value in sessions[stage.name].run(None, feed))

    return call


def network_cost(method: str, options: tuple[str, ...], frames: int = 200) -> NetworkCost:
    """Measure a network with random weights on a random image: neither affects the cost."""
    recipe = find_recipe(method, "compact", list(options))
    torch.manual_seed(1)
    net = build_network(recipe.net).eval()
    stages = net.stages()
    visual = [stage for stage in stages if stage.name != AUDIO]
    computed = {form.name for stage in stages for form in stage.outputs}
    forms = {
        form.name: form for stage in visual for form in stage.inputs if form.name not in computed
    }
    runner = StreamRunner(stages, session_call(stages))
    rng = np.random.default_rng(1)
    inputs = {
        name: torch.from_numpy(rng.standard_normal((1, *form.shape)).astype(np.float32))
        for name, form in forms.items()
    }
    frame_ms = median_cpu_ms(lambda: runner.step("face", inputs), frames)
    macs, audio_macs = 0, 0
    for stage in stages:
        zeros = tuple(torch.zeros(1, *form.shape) for form in (*stage.inputs, *stage.states))
        counted = macs_of(lambda stage=stage, zeros=zeros: stage.module(*zeros))  # type: ignore[misc]
        macs += 0 if stage.name == AUDIO else counted // stage.frame_stride
        audio_macs += counted if stage.name == AUDIO else 0
    audio_ms = _audio_ms(stages, frames)
    return NetworkCost(
        method, recipe.net.size_px, parameter_count(net), macs, frame_ms, audio_macs, audio_ms
    )


def _audio_ms(stages: tuple[Stage, ...], calls: int) -> float | None:
    stage = next((stage for stage in stages if stage.name == AUDIO), None)
    if stage is None:
        return None
    call = session_call((stage,))
    tensors = tuple(torch.zeros(1, *form.shape) for form in (*stage.inputs, *stage.states))
    return median_cpu_ms(lambda: call(stage, tensors), calls)


def median_cpu_ms(call: Callable[[], object], runs: int) -> float:
    """Median CPU time of `runs` calls in milliseconds, after some calls to warm up."""
    times = []
    for _ in range(_WARM_UP + runs):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return 1e3 * float(np.median(times[_WARM_UP:]))


def write_costs(folder: Path, frames: int = 200) -> list[NetworkCost]:
    """Measure all networks of the leaderboard and write `costs.json`."""
    rows = [network_cost(ablation.method, ablation.options, frames) for ablation in LEADERBOARD]
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {"machine": machine_name(), "variant": FULL, "rows": [asdict(row) for row in rows]},
        indent=1,
    )
    (folder / COSTS).write_text(text + "\n", encoding="utf-8")
    return rows


def read_costs(folder: Path) -> tuple[str, dict[str, NetworkCost]]:
    """Machine and costs by method; empty if they were not measured."""
    path = folder / COSTS
    if not path.is_file():
        return "", {}
    record = json.loads(path.read_text(encoding="utf-8"))
    return record["machine"], {row["method"]: NetworkCost(**row) for row in record["rows"]}
