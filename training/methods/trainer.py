"""The training loop of all eight methods."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from training.methods.distributed import Processes
from training.methods.ema_teacher import Teacher
from training.methods.objectives import Objective
from training.methods.optimizer import build_optimizer, rate_at
from training.methods.recipe import Recipe
from training.models.audio.ftdnn import Ftdnn

STATE_FILE: Final = "state.pt"
WEIGHTS_FILE: Final = "weights.safetensors"
TEACHER_FILE: Final = "teacher.safetensors"
RUN_FILE: Final = "run.json"
CONSTRAIN_EVERY: Final = 4  # steps between semi-orthogonal updates of an F-TDNN
GRADIENT_LIMIT: Final = 5.0
EMPTY_LIMIT: Final = 50
PRECISIONS: Final = ("float32", "bfloat16", "float16")


class TrainingError(RuntimeError):
    """A run that cannot go on: what happened, and what to do."""


class BatchSource(Protocol):
    """Where batches come from; a step's batches depend on its number alone, so that a resumed run
    sees the same.
    """

    steps_per_epoch: int

    def make(self, step: int) -> Sequence[Mapping[str, Tensor]]:
        """The batches of a step, whose losses are added (one, or one for each task)."""
        ...


class MethodLoop:
    """Trains a network by an objective; `folder` holds all that it needs to go on.

    Samples whose inputs are not finite are left out, and so is a batch with fewer than two
    samples left (batch statistics need two); `left_out` counts samples, and a run in which
    nothing at all is left stops. `teacher`, where given, follows the network after each step. A
    run has `steps` steps, over which the rates' course is stretched, or `recipe.epochs` times
    those of the source. `facts` go into run.json.
    """

    def __init__(
        self, recipe: Recipe, net: nn.Module, objective: Objective, source: BatchSource, folder: Path,
        teacher: Teacher | None = None, device: str = "cpu", bfloat16: bool = False, save_every: int = 100, seed: int = 1,
        steps: int | None = None, processes: Processes | None = None, precision: str = "float32",
        facts: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        if precision == "float16" and not device.startswith("cuda"):
            raise ValueError(
                f"precision float16 needs a CUDA device, got {device!r}; take bfloat16 or float32"
            )
        net = _placed(net, device)
        self.recipe, self.net, self.teacher, self.folder = recipe, net, teacher, folder
        self._objective, self._source, self._device = objective, source, device
        self._half = torch.bfloat16 if bfloat16 or precision == "bfloat16" else torch.float16
        self._is_mixed = bfloat16 or precision != "float32"
        self._save_every, self._seed, self._facts = save_every, seed, dict(facts or {})
        self._processes = processes or Processes()
        self.steps = steps or source.steps_per_epoch * recipe.epochs
        self.epoch_steps = self.steps / recipe.epochs
        self._optimizer = build_optimizer(self.net, recipe.optimizer)
        # Small float16 gradients would vanish; the scaler's factor is part of the state.
        self._scaler = torch.amp.GradScaler("cuda", enabled=precision == "float16")
        self.step = self.left_out = 0
        self._empty = 0  # steps in a row without a usable sample
        if teacher is not None:
            _placed(teacher.net, device)

    def train_step(self) -> dict[str, float]:
        """One step; gives its losses by name (none where every batch was left out)."""
        rate = rate_at(self.recipe.optimizer, self.step, self.epoch_steps, self.recipe.epochs)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        # Dropout and jitter draw from the global generator: seeded by the step, a resumed run draws
        # the same.
        torch.manual_seed(self._seed * 7_919 + self.step)
        self.net.train()
        self._optimizer.zero_grad()
        found: dict[str, float] = {}
        for batch in self._source.make(self.step):
            audio = self._usable({name: value.to(self._device) for name, value in batch.items()})
            if audio is None:
                continue
            with torch.autocast(self._device.split(":")[0], self._half, enabled=self._is_mixed):
                parts = self._objective(self.net, audio, self.step / self.epoch_steps)
            if not torch.isfinite(parts["loss"]):
                values = {name: float(value.detach()) for name, value in parts.items()}
                raise TrainingError(
                    f"step {self.step}: the loss is not finite: {values}; resume with a lower optimizer.rate"
                )
            if parts["loss"].requires_grad:
                self._scaler.scale(parts["loss"]).backward()
            for name, value in parts.items():
                found[name] = found.get(name, 0.0) + float(value.detach())
        if self._processes.average(self.net, bool(found)):
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self.net.parameters(), GRADIENT_LIMIT)
            self._scaler.step(self._optimizer)
            self._scaler.update()
            self._after_step()
            self._empty = 0
        else:
            self._empty += 1
            if self._empty >= EMPTY_LIMIT:
                raise TrainingError(
                    f"step {self.step}: no usable sample in {EMPTY_LIMIT} steps; samples are left out where their inputs are "
                    "not finite or where fewer than two are left in a batch: look at the images, or take a larger batch"
                )
        self.step += 1
        return found

    def _usable(self, batch: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """The batch without samples that hold NaN or infinity where the network looks; None where
        fewer than two are left.
        """
        count = len(next(iter(batch.values())))
        kept = torch.ones(count, dtype=torch.bool, device=self._device)
        for name in ("crops", "clip", "mel", "first", "second", "intensity", "confidence"):
            if name in batch:
                kept &= torch.isfinite(batch[name]).flatten(1).all(dim=1)
        remaining = int(kept.sum())
        self.left_out += count - remaining
        if remaining < 2:
            self.left_out += remaining
            return None
        return batch if remaining == count else {name: value[kept] for name, value in batch.items()}

    def _after_step(self) -> None:
        if self.step % CONSTRAIN_EVERY == 0:
            for part in self.net.modules():
                if isinstance(part, Ftdnn):
                    part.constrain()
        if self.teacher is not None:
            self.teacher.follow(self.net)

    def run(
        self, after_epoch: Callable[[int], None] | None = None, until: int | None = None
    ) -> None:
        """Train to the last step, or to step `until`, with progress and TensorBoard curves;
        `after_epoch` gets each epoch's number. Of several processes the first one saves, shows
        and judges.
        """
        first, last = self._processes.is_first, min(self.steps, until or self.steps)
        self.folder.mkdir(parents=True, exist_ok=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
        )
        with ExitStack() as stack:
            writer = stack.enter_context(SummaryWriter(str(self.folder))) if first else None
            progress = stack.enter_context(
                Progress(*columns, TimeRemainingColumn(), disable=not first)
            )
            bar = progress.add_task(self.recipe.name, total=self.steps, completed=self.step)
            while self.step < last:
                epoch = int(self.step / self.epoch_steps)
                parts = self.train_step()
                if writer is not None:
                    for name, value in parts.items():
                        writer.add_scalar(name, value, self.step)
                progress.update(bar, completed=self.step)
                if first and (self.step % self._save_every == 0 or self.step == last):
                    self.save()
                if first and after_epoch is not None and int(self.step / self.epoch_steps) > epoch:
                    after_epoch(int(self.step / self.epoch_steps))
            if self.left_out:
                progress.console.print(
                    f"{self.left_out} samples left out: not finite, or alone in their batch"
                )
        self._processes.wait()

    def save(self) -> None:
        """Write state, weights and recipe; each file is replaced whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = {
            "recipe": self.recipe.to_json(), "net": self.net.state_dict(), "optimizer": self._optimizer.state_dict(),
            "step": self.step, "left_out": self.left_out, "scaler": self._scaler.state_dict(), "steps": self.steps,
        }  # fmt: skip
        if self.teacher is not None:
            state["teacher"] = self.teacher.state_dict()
            self._write(TEACHER_FILE, lambda path: save_file(_whole(self.teacher.net), path))  # type: ignore[union-attr]
        self._write(WEIGHTS_FILE, lambda path: save_file(_whole(self.net), path))
        run = {
            "recipe": json.loads(self.recipe.to_json()),
            "step": self.step,
            "steps": self.steps,
            **self._facts,
        }
        self._write(
            RUN_FILE, lambda path: path.write_text(json.dumps(run, indent=2), encoding="utf-8")
        )
        # Last, so that where there is a state all the rest is there too, whenever the process is
        # killed.
        self._write(STATE_FILE, lambda path: torch.save(state, path))

    def _write(self, name: str, write: Callable[[Path], Any]) -> None:
        partial = self.folder / f"{name}.partial"
        write(partial)
        partial.replace(self.folder / name)

    def resume(self) -> bool:
        """Go on from the last saved step; False where nothing was saved.

        TrainingError where the state cannot be read or is of another recipe; the network is then
        unchanged.
        """
        path = self.folder / STATE_FILE
        if not path.exists():
            return False
        try:
            state = torch.load(path, map_location=self._device, weights_only=True)
            other = json.loads(state["recipe"])
        except Exception as error:  # readers raise what they please at broken files
            raise TrainingError(
                f"{path} cannot be read ({type(error).__name__}); delete it to start anew"
            ) from None
        own = json.loads(self.recipe.to_json())
        differing = sorted(name for name in own if own[name] != other.get(name))
        if differing or (self.teacher is None) != ("teacher" not in state):
            raise TrainingError(
                f"{path} is of another run: {differing or ['teacher']} differ "
                f"({other.get('paper')} {other.get('preset')} there, {own['paper']} {own['preset']} here); take another folder"
            )
        if state["steps"] != self.steps:
            raise TrainingError(
                f"{path} is of a run of {state['steps']} steps, not {self.steps}: its data or epochs differ"
            )
        self.net.load_state_dict(state["net"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        if self.teacher is not None:
            self.teacher.load_state_dict(state["teacher"])
        self.step, self.left_out = int(state["step"]), int(state["left_out"])
        return True


def _placed(net: nn.Module, device: str) -> nn.Module:
    """The network on its device. Convolutions over images of this layout train up to 1.4 times
    faster on a CPU, and no slower on a GPU; weights of five axes, over clips, cannot have it.
    """
    net = net.to(device)
    if all(value.ndim < 5 for value in net.parameters()):
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def _whole(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
