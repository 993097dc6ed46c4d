"""What one frame of one face costs in each network of the board: parameters, multiply-accumulates,
time on one thread.
"""

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
from training.ablations.variants import BOARD, FULL, Run
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
class BoardCost:
    """Of one frame of one face, frame by frame with the memory that the network has; audio is
    apart, for one call of it.

    Times are ONNX Runtime's CPU time on one thread, medians over frames: other work on the
    machine does not count.
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
    """Runs a stage as the ONNX model that it exports to, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    opened = {
        stage.name: onnxruntime.InferenceSession(
            stage_to_onnx(stage), options, providers=["CPUExecutionProvider"]
        )
        for stage in stages
    }

    def call(stage: Stage, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        feed = {name: tensor.numpy() for name, tensor in zip(names_in(stage), tensors, strict=True)}
        return tuple(torch.from_numpy(value) for value in opened[stage.name].run(None, feed))

    return call


def board_cost(method: str, options: tuple[str, ...], frames: int = 200) -> BoardCost:
    """Measured on images of noise: what a network costs does not depend on what it sees or has
    learned.
    """
    recipe = find_recipe(method, "compact", list(options))
    torch.manual_seed(1)
    net = build_network(recipe.net).eval()
    stages = net.stages()
    seen = [stage for stage in stages if stage.name != AUDIO]
    made = {form.name for stage in stages for form in stage.outputs}
    forms = {form.name: form for stage in seen for form in stage.inputs if form.name not in made}
    runner, random = StreamRunner(stages, session_call(stages)), np.random.default_rng(1)
    times = []
    for _ in range(_WARM_UP + frames):
        shown = {
            n: torch.from_numpy(random.standard_normal((1, *f.shape)).astype(np.float32))
            for n, f in forms.items()
        }
        started = time.process_time()
        runner.step("face", shown)
        times.append(time.process_time() - started)
    macs, audio_macs = 0, 0
    for stage in stages:
        zeros = tuple(torch.zeros(1, *form.shape) for form in (*stage.inputs, *stage.states))
        counted = macs_of(lambda stage=stage, zeros=zeros: stage.module(*zeros))  # type: ignore[misc]
        macs += 0 if stage.name == AUDIO else counted // stage.frame_stride
        audio_macs += counted if stage.name == AUDIO else 0
    audio_ms = _audio_ms(stages, frames)
    median = 1e3 * float(np.median(times[_WARM_UP:]))
    return BoardCost(
        method, recipe.net.size_px, parameter_count(net), macs, median, audio_macs, audio_ms
    )


def _audio_ms(stages: tuple[Stage, ...], calls: int) -> float | None:
    stage = next((stage for stage in stages if stage.name == AUDIO), None)
    if stage is None:
        return None
    call = session_call((stage,))
    tensors = tuple(torch.zeros(1, *form.shape) for form in (*stage.inputs, *stage.states))
    times = []
    for _ in range(_WARM_UP + calls):
        started = time.process_time()
        call(stage, tensors)
        times.append(time.process_time() - started)
    return 1e3 * float(np.median(times[_WARM_UP:]))


def write_costs(folder: Path, frames: int = 200) -> list[BoardCost]:
    """Measure all networks of the board into `costs.json` of the records."""
    rows = [
        board_cost(trial.method, Run(trial, trial.arms[0], 1).trial.options, frames)
        for trial in BOARD
    ]
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {"machine": machine_name(), "arm": FULL, "rows": [asdict(row) for row in rows]}, indent=1
    )
    (folder / COSTS).write_text(text + "\n", encoding="utf-8")
    return rows


def read_costs(folder: Path) -> tuple[str, dict[str, BoardCost]]:
    """The machine and the rows by method; nothing where they were not measured."""
    path = folder / COSTS
    if not path.is_file():
        return "", {}
    said = json.loads(path.read_text(encoding="utf-8"))
    return said["machine"], {row["method"]: BoardCost(**row) for row in said["rows"]}
