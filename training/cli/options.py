"""Options that several commands of `python -m training` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from training.default_model.build_trainer import DataPaths

Command = TypeVar("Command", bound=Callable[..., Any])

ASSETS: Final = Path(__file__).resolve().parents[2] / "shared"
PATH: Final = click.Path(path_type=Path)
EXISTING: Final = click.Path(path_type=Path, exists=True)
EXISTING_FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False)

assets_option = click.option(
    "--assets", type=PATH, default=ASSETS, help="Folder of face images and teachers."
)
labels_option = click.option(
    "--labels",
    type=PATH,
    default=Path("runs/labels"),
    show_default=True,
    help="Output of `pseudo-label`.",
)
synthetic_images_option = click.option(
    "--synthetic-images", type=EXISTING, help="Folder of rendered faces."
)
synthetic_videos_option = click.option(
    "--synthetic-videos",
    type=EXISTING,
    multiple=True,
    help="A RenderWild folder (synthetic videos); may be repeated.",
)
synthetic_only_option = click.option(
    "--synthetic-only", is_flag=True, help="Leave out FER+ and the web faces."
)
init_from_option = click.option(
    "--init-from",
    metavar="BUNDLE",
    help="Start with the weights of this bundle (a folder, or default); methods: of this run.",
)
cache_option = click.option(
    "--cache", type=PATH, help="Decoded images and tables.  [default: runs/tables]"
)
resume_option = click.option("--resume", is_flag=True, help="Resume a stopped run.")
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Override a recipe option."
)
threads_option = click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads."
)


def data_options(command: Command) -> Command:
    """Options of the default model's data, which `data_paths` reads."""
    for option in (
        synthetic_videos_option,
        synthetic_images_option,
        labels_option,
        assets_option,
    ):
        command = option(command)
    return command


def data_paths(options: dict[str, Any]) -> DataPaths:
    """Take the data of the default model out of a command's options."""
    from training.default_model.build_trainer import DataPaths

    labels, only_synthetic = options.pop("labels"), options.pop("synthetic_only", False)
    return DataPaths(
        options.pop("assets"),
        None if only_synthetic else labels,
        options.pop("synthetic_images"),
        options.pop("synthetic_videos"),
    )


def out_option(default: str) -> Callable[[Command], Command]:
    """`--out` with this default."""
    return click.option(
        "--out", type=PATH, default=Path(default), show_default=True, help="Folder of the run."
    )
