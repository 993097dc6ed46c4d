"""`python -m export.add_intensities BUNDLE`: calibrates the intensities of a bundle's action units.

The network and all other outputs of the bundle stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from faceaffect.bundle.model_spec import ModelSpec
from training.cli.options import EXISTING_FOLDER
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.intensity import (
    fit_intensity,
    known_actions,
    rendered_images,
    rendered_videos,
)


@click.command()
@click.argument("bundle", type=EXISTING_FOLDER)
@click.option("--synthetic-images", type=EXISTING_FOLDER, required=True)
@click.option(
    "--threshold-data",
    type=EXISTING_FOLDER,
    required=True,
    help="RenderWild folder; not the one used for evaluation.",
)
@click.option(
    "--actions",
    type=EXISTING_FOLDER,
    required=True,
    help="Validation images of training.real_skin; half of the people are used.",
)
def main(bundle: Path, synthetic_images: Path, threshold_data: Path, actions: Path) -> None:
    """Fit intensities on held-out faces of known intensity and write them into BUNDLE's spec."""
    runner = BundleRunner(bundle)
    knots = fit_intensity(
        [
            rendered_images(runner, synthetic_images, for_fit=True),
            rendered_videos(runner, threshold_data),
            known_actions(runner, actions, for_fit=True),
        ]
    )
    replace(ModelSpec.load(bundle), au_intensity=knots).save(bundle)
    for name, row in zip(runner.spec.au_names, knots, strict=True):
        click.echo(f"{name}: " + ", ".join(f"{value:g}" for value in row))


if __name__ == "__main__":
    main()
