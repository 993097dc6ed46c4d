"""Progress of a training run: a progress bar, periodic lines of losses, TensorBoard curves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

PRINT_EVERY: Final = 50  # steps


class TrainingProgress:
    """Context manager that shows a run; silent if not `enabled` (processes after the first)."""

    def __init__(self, title: str, folder: Path, step: int, steps: int, enabled: bool) -> None:
        self._writer = SummaryWriter(str(folder)) if enabled else None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            disable=not enabled,
        )
        self._task = self._bar.add_task(title, total=steps, completed=step)
        self._since = time.monotonic()
        self._samples = 0  # at the last printed line

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if self._writer is not None:
            self._writer.close()

    def update(self, step: int, losses: Mapping[str, float], samples: int) -> None:
        """Show the losses of the step that ended; `samples` is their number since the start."""
        if self._writer is None:
            return
        for name, value in losses.items():
            self._writer.add_scalar(name, value, step)
        if step % PRINT_EVERY == 0:
            now = time.monotonic()
            text = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
            rate = (samples - self._samples) / max(now - self._since, 1e-9)
            self.print(f"step {step} {text} {rate:.0f} samples/s")
            self._since, self._samples = now, samples
        self._bar.update(self._task, completed=step)

    def print(self, text: str) -> None:
        if self._writer is not None:
            self._bar.console.print(text)
