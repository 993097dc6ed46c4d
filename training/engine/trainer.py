"""Training loop of every model."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from training.engine.checkpoint import (
    EMA_FILE,
    RUN_FILE,
    STATE_FILE,
    WEIGHTS_FILE,
    TrainingError,
    read_state,
    replace_file,
    write_json,
    write_weights,
)
from training.engine.distributed import ProcessGroup
from training.engine.ema import EmaModel
from training.engine.optimizer import build_optimizer, learning_rate_at
from training.engine.progress import PRINT_EVERY, TrainingProgress
from training.engine.recipe import Recipe

CONSTRAIN_EVERY: Final = 4  # steps between projections of constrained layers
MAX_EMPTY_STEPS: Final = 50
PRECISIONS: Final = ("float32", "bfloat16", "float16")
_INPUTS: Final = ("crops", "clip", "mel", "first", "second", "intensity", "confidence")

Objective = Callable[[nn.Module, Mapping[str, Tensor], float], dict[str, Tensor]]
"""(network, batch, epochs passed) -> losses by name, `loss` their sum."""


def _silent(text: str) -> None:
    pass


class BatchSource(Protocol):
    """Batches by step; those of a step depend on its number alone, so that a resumed run gets the
    same ones.
    """

    steps_per_epoch: int

    def get(self, step: int) -> Sequence[Mapping[str, Tensor]]:
        """The batches of a step, whose losses are added (one, or one for each task)."""
        ...


@runtime_checkable
class FinishesBatches(Protocol):
    """A batch source whose batches are finished on the device."""

    def finish(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]: ...


@runtime_checkable
class ConstrainedLayer(Protocol):
    """Layer whose weights are projected onto a constraint every few steps (F-TDNN)."""

    def constrain(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """Output folder and options of a training run.

    Attributes:
        steps: Length of the run, which the learning-rate schedule spans; None for
            `recipe.epochs` times the steps of an epoch.
        precision: float32, or the type of mixed precision.
        resume: Continue from the saved state in `folder`, if there is one.
        allow_changed_recipe: Resume from the state of another recipe or length too.
        keep_best: Methods: validate after each epoch, keep the weights of the best one, and stop
            after the recipe's `patience`.
        loader_threads: Methods: threads that build batches.
        accumulate: Parts that a batch is trained in one after the other, to save memory.
        recompute: Methods: blocks of trunks compute their activations again for the backward pass.
        sync_norm: Methods: batch normalizations share their statistics over all processes, which
            then leave out a batch together.
        compile: Backend of torch.compile for the network, such as inductor; empty for none.
        echo: Receives a line of text for each validation.
        metadata: Further entries of run.json.
    """

    folder: Path
    seed: int = 1
    device: str = "cpu"
    precision: str = "float32"
    steps: int | None = None
    save_every: int = 100
    resume: bool = False
    allow_changed_recipe: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    keep_best: bool = False
    loader_threads: int = 1
    accumulate: int = 1
    recompute: bool = False
    sync_norm: bool = False
    compile: str = ""
    echo: Callable[[str], None] = _silent

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}"
            )
        if self.sync_norm and self.accumulate > 1:
            raise ValueError("sync_norm and accumulate exclude each other: choose one of them")
        if self.precision == "float16" and not self.device.startswith("cuda"):
            raise ValueError(
                f"precision float16 needs a CUDA device, got {self.device!r}; "
                "use bfloat16 or float32"
            )


class Trainer:
    """Trains a network by an objective and saves everything needed to resume in `config.folder`.

    Samples whose inputs are not finite are left out, and so is a batch with fewer than two
    samples left (batch statistics need two); `left_out` counts samples, and a run without any
    usable sample stops. `ema`, if any, is updated after each step.
    """

    def __init__(
        self,
        net: nn.Module,
        objective: Objective,
        batches: BatchSource,
        recipe: Recipe,
        config: TrainerConfig,
        *,
        ema: EmaModel | None = None,
        processes: ProcessGroup | None = None,
    ) -> None:
        self._processes = processes or ProcessGroup()
        self._device = self._processes.device(config.device)
        self.net = to_device(net, self._device)
        self.ema, self.recipe, self.config = ema, recipe, config
        if ema is not None:
            to_device(ema.net, self._device)
        self.batches = batches
        self._objective = objective
        self.steps = config.steps or batches.steps_per_epoch * recipe.epochs
        self.steps_per_epoch = self.steps / recipe.epochs
        self._optimizer = build_optimizer(self.net, recipe.optimizer)
        self._constrained = list(_constrained_layers(self.net))
        # Small float16 gradients would underflow; the scaler's factor is part of the state.
        self._scaler = torch.amp.GradScaler("cuda", enabled=config.precision == "float16")
        self.step = self.left_out = 0
        self.is_stopped = False  # early, by `after_epoch`
        self.started_from = ""  # SHA-256 of the weights that the run began with
        self._empty_steps = 0  # in a row
        self._samples = 0  # since the trainer was built
        if config.compile:
            self.net.compile(backend=config.compile)

    def train_step(self) -> dict[str, float]:
        """Train one step; returns its losses by name (none if every batch was left out)."""
        # Before seeding, since a data loader draws from the global generator when it starts.
        batches = self.batches.get(self.step)
        rate = learning_rate_at(
            self.recipe.optimizer, self.step, self.steps_per_epoch, self.recipe.epochs
        )
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        # Dropout and jitter draw from the global generator: seeded by the step, a resumed run draws
        # the same numbers.
        torch.manual_seed(self.config.seed * 7_919 + self.step)
        self.net.train()
        self._optimizer.zero_grad()
        losses: dict[str, Tensor] = {}
        for batch in batches:
            self._samples += len(next(iter(batch.values())))
            usable = self._usable(batch)
            if self.config.sync_norm and not self._processes.all(usable is not None):
                usable = None
            for part, share in () if usable is None else self._parts(usable):
                for name, value in self._backward(self._on_device(part), share).items():
                    losses[name] = losses[name] + value if name in losses else value
        if self._processes.average(self.net, bool(losses)):
            self._update_weights()
        else:
            self._count_empty_step()
        self.step += 1
        return self._values(losses)

    def _parts(self, batch: Mapping[str, Tensor]) -> Iterator[tuple[dict[str, Tensor], float]]:
        """Parts of a batch whose gradients are added, and their shares of it.

        Each has at least two samples, for batch statistics.
        """
        count = len(next(iter(batch.values())))
        parts = max(1, min(self.config.accumulate, count // 2))
        for rows in torch.arange(count).tensor_split(parts):
            yield {name: value[rows] for name, value in batch.items()}, len(rows) / count

    def _on_device(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        moved = {name: value.to(self._device, non_blocking=True) for name, value in batch.items()}
        return self.batches.finish(moved) if isinstance(self.batches, FinishesBatches) else moved

    def _values(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """Losses of the step that ended; on a GPU only of some steps, since that waits for it."""
        is_due = any(self.step % every == 0 for every in (PRINT_EVERY, self.config.save_every))
        if not (self._device == "cpu" or is_due or self.step == self.steps):
            return {}
        values = {name: float(value) for name, value in losses.items()}
        if not math.isfinite(values.get("loss", 0.0)):
            raise TrainingError(
                f"step {self.step - 1}: the loss is not finite: {values}; "
                "resume with a lower optimizer.rate"
            )
        return values

    def _backward(self, batch: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
        """Add the gradients of a part of a batch; returns its share of the losses."""
        precision = self.config.precision
        half = torch.float16 if precision == "float16" else torch.bfloat16
        with torch.autocast(self._device.split(":")[0], half, enabled=precision != "float32"):
            parts = self._objective(self.net, batch, self.step / self.steps_per_epoch)
        losses = {name: share * value.detach() for name, value in parts.items()}
        if parts["loss"].requires_grad:
            self._scaler.scale(share * parts["loss"]).backward()  # type: ignore[no-untyped-call]
        return losses

    def _usable(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Batch without samples of non-finite inputs; None if fewer than two are left."""
        count = len(next(iter(batch.values())))
        is_finite = torch.ones(count, dtype=torch.bool)
        for name in _INPUTS:
            if name in batch:
                is_finite &= torch.isfinite(batch[name]).flatten(1).all(dim=1)
        remaining = int(is_finite.sum())
        self.left_out += count - remaining
        if remaining < 2:
            self.left_out += remaining
            return None
        if remaining == count:
            return batch
        return {name: value[is_finite] for name, value in batch.items()}

    def _update_weights(self) -> None:
        self._empty_steps = 0
        self._scaler.unscale_(self._optimizer)
        if self.recipe.optimizer.max_gradient_norm:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.optimizer.max_gradient_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self.step % CONSTRAIN_EVERY == 0:
            for layer in self._constrained:
                layer.constrain()
        if self.ema is not None:
            self.ema.update(self.net)

    def _count_empty_step(self) -> None:
        self._empty_steps += 1
        if self._empty_steps >= MAX_EMPTY_STEPS:
            raise TrainingError(
                f"step {self.step}: no usable sample in {MAX_EMPTY_STEPS} steps; samples are left "
                "out if their inputs are not finite or fewer than two are left in a batch: check "
                "the images, or use a larger batch"
            )

    def run(
        self, after_epoch: Callable[[int], bool | None] | None = None, stop_at: int | None = None
    ) -> None:
        """Train to the last step, or to step `stop_at`; `after_epoch` gets each epoch's number and
        returns true to stop the run.

        The first of several processes saves, shows progress and calls `after_epoch`.
        """
        is_first, last = self._processes.is_first, min(self.steps, stop_at or self.steps)
        folder = self.config.folder
        folder.mkdir(parents=True, exist_ok=True)
        with TrainingProgress(
            self.recipe.name, folder, self.step, self.steps, is_first
        ) as progress:
            while self.step < last and not self.is_stopped:
                epoch = int(self.step / self.steps_per_epoch)
                losses = self.train_step()
                progress.update(self.step, losses, self._samples)
                passed = int(self.step / self.steps_per_epoch)
                if after_epoch is not None and passed > epoch:
                    self.is_stopped = self._processes.any(is_first and bool(after_epoch(passed)))
                is_due = self.step % self.config.save_every == 0 or self.step == last
                if is_first and (is_due or self.is_stopped):
                    self.save()
            if self.left_out:
                progress.print(
                    f"{self.left_out} samples left out: not finite, or alone in their batch"
                )
        self._processes.wait()

    def save(self) -> None:
        """Write weights, EMA weights, run.json and the state; each file is replaced atomically."""
        folder = self.config.folder
        state: dict[str, Any] = {
            "recipe": self.recipe.to_json(),
            "net": self.net.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "step": self.step,
            "steps": self.steps,
            "left_out": self.left_out,
            "is_stopped": self.is_stopped,
            "started_from": self.started_from,
        }
        if self.ema is not None:
            state["ema"] = self.ema.state_dict()
            write_weights(folder / EMA_FILE, self.ema.net)
        write_weights(folder / WEIGHTS_FILE, self.net)
        run = {
            "recipe": json.loads(self.recipe.to_json()),
            "step": self.step,
            "steps": self.steps,
            "started_from": self.started_from,
            **self.config.metadata,
        }
        write_json(folder / RUN_FILE, run)
        # Last, so that all other files exist wherever there is a state, even after a kill.
        replace_file(folder / STATE_FILE, lambda partial: torch.save(state, partial))

    def resume(self) -> bool:
        """Continue from the last saved step; False if nothing was saved.

        Raises:
            TrainingError: the state is damaged or of another recipe; the network is unchanged.
        """
        path = self.config.folder / STATE_FILE
        if not path.exists():
            return False
        state = read_state(path, self._device)
        if not self.config.allow_changed_recipe:
            self._check_same_run(path, state)
        self.net.load_state_dict(state["net"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.step, self.left_out = int(state["step"]), int(state["left_out"])
        self.is_stopped = bool(state.get("is_stopped", False))
        self.started_from = state["started_from"]
        return True

    def _check_same_run(self, path: Path, state: Mapping[str, Any]) -> None:
        recipe, saved = json.loads(self.recipe.to_json()), json.loads(state["recipe"])
        differing = sorted(name for name in recipe if recipe[name] != saved.get(name))
        if differing or (self.ema is None) != ("ema" not in state):
            raise TrainingError(
                f"{path} is of another run: {', '.join(differing or ['ema'])} differ "
                f"({saved.get('name')} {saved.get('preset')} there, {self.recipe.title} here); "
                "use another folder"
            )
        if state["steps"] != self.steps:
            raise TrainingError(
                f"{path} is of a run of {state['steps']} steps, not {self.steps}: "
                "its data or epochs differ"
            )

    def init_from_run(self, folder: Path) -> None:
        """Start with the EMA weights of another run of the same network."""
        path = folder / EMA_FILE
        self.net.load_state_dict(load_file(path))
        self.set_started_from(hashlib.sha256(path.read_bytes()).hexdigest())

    def set_started_from(self, sha256: str) -> None:
        """Record the origin of the network's current weights and start the EMA with them."""
        self.started_from = sha256
        if self.ema is not None:
            self.ema.net.load_state_dict(self.net.state_dict())


def _constrained_layers(net: nn.Module) -> Iterator[ConstrainedLayer]:
    """Outermost constrained layers: an F-TDNN constrains its own factors."""
    if isinstance(net, ConstrainedLayer):
        yield net
        return
    for child in net.children():
        yield from _constrained_layers(child)


def to_device(net: nn.Module, device: str) -> nn.Module:
    """The network on its device, in channels-last layout where possible.

    Convolutions over images train up to 1.4 times faster in this layout on a CPU, and no slower
    on a GPU; weights of five axes, over clips, do not support it.
    """
    net = net.to(device)
    if all(value.ndim < 5 for value in net.parameters()):
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net
