"""Shared steps of the commands that train: a folder in use is refused, a run is resumed, errors are
plain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from training.engine.trainer import Trainer


@contextmanager
def reported_errors(*more: type[Exception]) -> Iterator[None]:
    """Show errors of input and files, and those of `more` types, without a traceback."""
    shown: tuple[type[Exception], ...] = (ValueError, OSError, *more)
    try:
        yield
    except shown as error:
        raise click.ClickException(str(error)) from None


def check_folder(out: Path, resume: bool) -> None:
    """ClickException if the folder holds a run that is not to be resumed."""
    from training.engine.checkpoint import STATE_FILE

    if not resume and (out / STATE_FILE).exists():
        raise click.ClickException(
            f"{out} holds a run already; add --resume or choose another --out"
        )


def run_trainer(out: Path, resume: bool, build: Callable[[], Trainer]) -> Trainer:
    """Build a trainer, resume it if asked, and train to the end."""
    from training.engine.checkpoint import TrainingError

    check_folder(out, resume)
    with reported_errors(TrainingError):
        trainer = build()
        if resume:
            is_resumed = trainer.resume()
            click.echo(
                f"resumed at step {trainer.step}"
                if is_resumed
                else "nothing to resume, starting anew"
            )
        trainer.run()
    return trainer
