"""`python -m training train-detector`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from training.cli.loop import run_loop
from training.methods.recipe_overrides import with_options

if TYPE_CHECKING:
    from training.methods.trainer import MethodLoop

_SHARED = Path(__file__).resolve().parents[3] / "shared"


@click.command("train-detector")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs/detector"), show_default=True
)
@click.option(
    "--shared",
    type=click.Path(path_type=Path),
    default=_SHARED,
    help="Folder of faces and teachers.",
)
@click.option(
    "--wild",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help="A RenderWild folder.",
)
@click.option("--resume", is_flag=True, help="Go on where a stopped run was saved.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--set", "options", multiple=True, metavar="NAME=VALUE", help="Change an option of the recipe."
)
def train_detector(
    out: Path, shared: Path, wild: Path | None, resume: bool, threads: int, options: tuple[str, ...]
) -> None:
    """Distil the face detector from YuNet (about 20 minutes of one core); a stop loses at most 100
    steps.
    """
    from training.detector.train_detector import DetectorRecipe, open_detector_loop

    def opened() -> MethodLoop:
        return open_detector_loop(
            with_options(DetectorRecipe(), list(options)), out, shared, wild, threads
        )

    loop = run_loop(out, resume, opened)
    click.echo(
        f"{out}: {loop.steps} steps; `python -m export.export_detector {out}` writes the ONNX file"
    )
