"""The option `--data` of the commands that render faces."""

from __future__ import annotations

from pathlib import Path

import click

from training.synthesis.head_mesh import DEFAULT_DATA

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    show_default=True,
)
