"""What the commands that train by one `MethodLoop` share: a folder that is not written over,
resuming, plain errors.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from training.methods.trainer import MethodLoop


def run_loop(out: Path, resume: bool, open_loop: Callable[[], MethodLoop]) -> MethodLoop:
    """Open, resume where that is wanted, train to the end; raises ClickException for a folder in
    use and for what fails.
    """
    from training.methods.trainer import STATE_FILE, TrainingError

    if not resume and (out / STATE_FILE).exists():
        raise click.ClickException(
            f"{out} holds a run already; add --resume or choose another --out"
        )
    try:
        loop = open_loop()
        if resume:
            click.echo(
                f"resumed at step {loop.step}"
                if loop.resume()
                else "nothing to resume, starting anew"
            )
        loop.run()
    except (ValueError, OSError, TrainingError) as error:
        raise click.ClickException(str(error)) from None
    return loop
