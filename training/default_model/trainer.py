"""The one training loop."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torch.utils.tensorboard import SummaryWriter

from faceaffect.geometry import TEMPLATE_SIZE_PX
from training.default_model import losses
from training.default_model.batch_mixer import BatchMaker
from training.default_model.init_from_bundle import init_from_bundle_weights
from training.default_model.recipe import Recipe, Schedule
from training.models.affect_net import AffectNet

STATE_FILE: Final = "state.pt"
EMA_FILE: Final = "ema.safetensors"
RUN_FILE: Final = "run.json"
MEAN: Final = (0.5, 0.5, 0.5)
STD: Final = (0.25, 0.25, 0.25)
_MEASURED_BATCHES: Final = 6  # on which the filters of a bundle's network are measured


def normalize(crops: Tensor) -> Tensor:
    """(v - mean) / std of crops in 0..1, as the crop specification of the exported model says."""
    return (crops - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def total_loss(
    net: AffectNet, batch: dict[str, Tensor], recipe: Recipe, class_weight: Tensor
) -> dict[str, Tensor]:
    """All losses of a batch by name; `loss` is their weighted sum."""
    heads = net(normalize(batch["crops"]).contiguous(memory_format=torch.channels_last))
    au_logit = net.au_graph(heads["au_nodes"])
    error = losses.landmark_error(heads["landmarks_px"], batch["landmarks"])
    quality = losses.quality_target(error, batch["face"])
    known = ((batch["landmark_weight"] > 0) | (batch["face"] == 0)).float()
    parts = {
        "au": losses.au_loss(au_logit, batch["au"], batch["au_weight"]),
        "expression": losses.expression_loss(
            heads["expression_logit"], batch["expression"], batch["expression_weight"], class_weight
        ),
        "va": losses.va_loss(heads["va_raw"], batch["va"], batch["va_weight"]),
        "landmarks": losses.landmark_loss(
            heads["landmarks_px"], batch["landmarks"], batch["landmark_weight"]
        ),
        "pose": losses.pose_loss(heads["pose_deg"], batch["pose"], batch["pose_weight"]),
        "face": functional.binary_cross_entropy_with_logits(heads["face_logit"], batch["face"]),
        "quality": losses.weighted_mean(
            functional.binary_cross_entropy_with_logits(
                heads["quality_logit"], quality, reduction="none"
            ),
            known,
        ),
    }
    weights = recipe.losses
    parts["loss"] = sum(getattr(weights, name) * value for name, value in parts.items())  # type: ignore[assignment]
    return parts


class TrainLoop:
    """Runs a recipe on a batch maker; saves all it needs to go on in `folder`."""

    def __init__(
        self, recipe: Recipe, batches: BatchMaker, folder: Path, class_weight: Tensor
    ) -> None:
        self._recipe = recipe
        self._batches = batches
        self._folder = folder
        self._class_weight = class_weight
        torch.manual_seed(recipe.schedule.seed)
        self.net = AffectNet(recipe.net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net.uses_bfloat16 = recipe.schedule.bfloat16
        self.ema = copy.deepcopy(self.net).eval()
        decayed = [p for p in self.net.parameters() if p.ndim > 1]
        others = [p for p in self.net.parameters() if p.ndim <= 1]
        schedule = recipe.schedule
        groups = [
            {"params": decayed, "weight_decay": schedule.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(groups, lr=schedule.rate)
        self.step = 0
        self.started_from = ""  # SHA-256 of the network whose weights it began with

    def init_from_bundle(self, model: str | Path) -> None:
        """Take the weights of a bundle (a folder, or a listed name); ValueError where they are of
        another network.
        """
        schedule = self._recipe.schedule
        batches = [
            self._batches.make(schedule.steps + k, schedule.small_px)["crops"]
            for k in range(_MEASURED_BATCHES)
        ]
        crops = [
            normalize(batch).contiguous(memory_format=torch.channels_last) for batch in batches
        ]
        self.started_from = init_from_bundle_weights(self.net, model, crops)
        self.ema.load_state_dict(self.net.state_dict())

    def init_from_run(self, folder: Path) -> None:
        """Take the averaged weights of another run of the same network."""
        self.started_from = hashlib.sha256((folder / EMA_FILE).read_bytes()).hexdigest()
        self.net.load_state_dict(load_file(folder / EMA_FILE))
        self.ema.load_state_dict(self.net.state_dict())

    def resume(self) -> bool:
        """Go on from the last saved step; False where there is none."""
        path = self._folder / STATE_FILE
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.started_from = int(state["step"]), state.get("started_from", "")
        return True

    def run(self) -> None:
        """Train to the recipe's last step, with progress and TensorBoard curves."""
        schedule = self._recipe.schedule
        self._folder.mkdir(parents=True, exist_ok=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
        )
        with SummaryWriter(str(self._folder)) as writer, Progress(*columns) as progress:
            bar = progress.add_task("training", total=schedule.steps, completed=self.step)
            started, faces = time.time(), 0
            for batch in self._coming_batches():
                parts = self.train_step(batch)
                faces += len(batch["crops"])
                if self.step % 50 == 0:
                    rate = faces / (time.time() - started)
                    started, faces = time.time(), 0
                    for name, value in parts.items():
                        writer.add_scalar(name, value, self.step)
                    text = " ".join(f"{name} {value:.3f}" for name, value in parts.items())
                    progress.console.print(f"step {self.step} {text} {rate:.0f} faces/s")
                progress.update(bar, completed=self.step)
                if self.step % schedule.save_every == 0 or self.step == schedule.steps:
                    self.save()

    def _coming_batches(self) -> Iterable[dict[str, Tensor]]:
        """Batches from the next step on, made ahead by processes of their own; which one makes it
        changes nothing.
        """
        steps = _Batches(self._batches, self._recipe.schedule)
        order = range(self.step, self._recipe.schedule.steps)
        workers = self._recipe.schedule.batch_workers
        return DataLoader(steps, batch_size=None, sampler=order, num_workers=workers)

    def train_step(self, batch: dict[str, Tensor] | None = None) -> dict[str, float]:
        """One batch, by default made on the spot; gives the losses by name."""
        schedule = self._recipe.schedule
        if batch is None:
            batch = _Batches(self._batches, schedule)[self.step]
        for group in self._optimizer.param_groups:
            group["lr"] = _rate(self.step, schedule.steps, schedule.warmup_steps, schedule.rate)
        # Dropout draws from the global generator: seeded by the step, so that a resumed run draws
        # the same.
        torch.manual_seed(schedule.seed * 7_919 + self.step)
        self.net.train()
        parts = total_loss(self.net, batch, self._recipe, self._class_weight)
        self._optimizer.zero_grad()
        parts["loss"].backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self._optimizer.step()
        self.step += 1
        self._average()
        return {name: float(value.detach()) for name, value in parts.items()}

    def _average(self) -> None:
        decay = min(self._recipe.schedule.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            pairs = zip(self.ema.state_dict().values(), self.net.state_dict().values(), strict=True)
            for average, value in pairs:
                if average.dtype.is_floating_point:
                    average.lerp_(value, 1 - decay)
                else:
                    average.copy_(value)

    def save(self) -> None:
        """Write the state, the averaged weights and the recipe; each file is replaced whole."""
        state = {"net": self.net.state_dict(), "ema": self.ema.state_dict(),
                 "optimizer": self._optimizer.state_dict(), "step": self.step,
                 "started_from": self.started_from}  # fmt: skip
        _replace(self._folder / STATE_FILE, lambda path: torch.save(state, path))
        weights = {name: value.contiguous() for name, value in self.ema.state_dict().items()}
        _replace(self._folder / EMA_FILE, lambda path: save_file(weights, path))
        run = {
            "recipe": json.loads(self._recipe.to_json()),
            "step": self.step,
            "started_from": self.started_from,
        }
        _replace(
            self._folder / RUN_FILE,
            lambda path: Path(path).write_text(json.dumps(run, indent=2), encoding="utf-8"),
        )


class _Batches(Dataset[dict[str, Tensor]]):
    """Batch number i of a run."""

    def __init__(self, batches: BatchMaker, schedule: Schedule) -> None:
        self._batches = batches
        self._schedule = schedule

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        small = step < self._schedule.small_until * self._schedule.steps
        return self._batches.make(step, self._schedule.small_px if small else TEMPLATE_SIZE_PX)


def _replace(path: Path, write: Any) -> None:
    partial = path.with_name(path.name + ".partial")
    write(partial)
    partial.replace(path)


def _rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up, then half a cosine down to a hundredth."""
    if step < warmup:
        return peak * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def class_weights(
    expression: np.ndarray[Any, Any], weight: np.ndarray[Any, Any], power: float = 0.25
) -> Tensor:
    """Weight of each expression class [7] by (1 / frequency) ** power, of mean one over the data."""
    frequency = (expression * weight[:, None]).sum(axis=0) / weight.sum()
    raw = 1 / np.maximum(frequency, 1e-4) ** power
    return torch.from_numpy((raw / (raw * frequency).sum()).astype(np.float32))
