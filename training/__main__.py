"""Command line of training: scan data sets, pseudo-label images, train recipes, evaluate models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from training.cli.data import data
from training.cli.detector import train_detector
from training.cli.distill import distill
from training.cli.loop import reported_errors
from training.cli.methods import features, list_recipes, model_cost, pretrain
from training.cli.options import (
    EXISTING,
    assets_option,
    cache_option,
    data_paths,
    labels_option,
    out_option,
    set_option,
    synthetic_images_option,
    synthetic_videos_option,
)
from training.cli.train import train


@click.group()
def main() -> None:
    """Training of faceaffect's models."""


main.add_command(data)
main.add_command(list_recipes)
main.add_command(model_cost)
main.add_command(train)
main.add_command(train_detector)
main.add_command(distill)
main.add_command(pretrain)
main.add_command(features)


@main.command("pseudo-label")
@assets_option
@out_option("runs/labels")
@synthetic_images_option
def pseudo_label(assets: Path, out: Path, synthetic_images: Path | None) -> None:
    """Run the landmark and blendshape teachers over FER+ and the web faces (3 to 10 minutes on two
    cores), or over --synthetic-images instead.
    """
    from training.labeling.label_faces import label_ferplus, label_synthetic_images, label_web_faces

    if synthetic_images is not None:
        label_synthetic_images(assets, synthetic_images)
        return
    label_web_faces(assets, out)
    label_ferplus(assets, out)


@main.command()
@click.argument("bundle", type=EXISTING)
@assets_option
@labels_option
@synthetic_images_option
@click.option("--synthetic-videos", type=EXISTING, help="A RenderWild folder (synthetic videos).")
def metrics(
    bundle: Path,
    assets: Path,
    labels: Path,
    synthetic_images: Path | None,
    synthetic_videos: Path | None,
) -> None:
    """Print the metrics of the model record: FER+, web faces, clips, cost."""
    from training.evaluation.model_metrics import model_metrics
    from training.evaluation.record import format_metrics

    click.echo(
        format_metrics(model_metrics(bundle, assets, labels, synthetic_images, synthetic_videos))
    )


@main.command()
@click.argument("bundle")
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--labels",
    type=click.Path(path_type=Path, file_okay=False),
    help="Label folder for a file of predictions.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/evaluation"),
    show_default=True,
)
@click.option(
    "--split",
    type=click.Choice(["training", "validation", "all", "test"]),
    default="validation",
    show_default=True,
)
@click.option(
    "--annotations",
    metavar="NAME",
    help="The annotation folder, if a copy of Aff-Wild2 has several.",
)
@click.option(
    "--missing",
    type=click.Choice(["hold", "drop"]),
    default="hold",
    show_default=True,
    help="Frames without a face: hold the last prediction or drop them (-1, -5 in submissions).",
)
@click.option(
    "--workers", type=click.IntRange(1), help="Videos at a time.  [default: number of cores]"
)
@click.option(
    "--bootstrap-samples",
    type=click.IntRange(100),
    default=1000,
    show_default=True,
    help="Bootstrap samples of the confidence intervals.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="runs: cpu or cuda.")
@cache_option
@click.option(
    "--smooth",
    "smoothing",
    metavar="FRAMES",
    help="Moving average over an odd number of frames; auto: the best on validation labels.",
)
@click.option(
    "--single-file",
    is_flag=True,
    help="Write predictions.txt for each task, as from ABAW6 on, not a file for each video.",
)
@click.option(
    "--multi-task",
    is_flag=True,
    help="Also write predictions.txt of all three tasks, as multi-task challenges want it.",
)
@click.option(
    "--rules",
    type=click.Choice(["auto", "abaw2", "abaw3"]),
    default="auto",
    show_default=True,
    help="Scores of ABAW2 (7 expressions) or of ABAW3 and later (8, F1 without accuracy).",
)
@click.option("--overwrite", is_flag=True, help="Replace an evaluation in --out.")
def evaluate(
    bundle: str,
    data: Path,
    out: Path,
    missing: str,
    bootstrap_samples: int,
    seed: int,
    **options: Any,
) -> None:
    """Evaluate BUNDLE (a folder, a name, or the folder of a method's run) on the labels of DATA;
    write metrics, a page and submission files to --out.

    DATA is a folder in the layout of Aff-Wild2 (annotations and cropped_aligned), a folder of
    rendered faces (faces_*.npz), or a CSV or Parquet file of predictions, such as `faceaffect
    analyze --out` writes, with --labels. For a file that holds decisions (AU1_on ...) BUNDLE may
    be "-".
    """
    from rich.console import Console

    from training.evaluation.dataset_metrics import MetricOptions
    from training.evaluation.evaluate import PAGE_FILE, EvaluateOptions, print_scores
    from training.evaluation.evaluate import evaluate as run_evaluation

    chosen = {name: value for name, value in options.items() if value is not None}
    metric_options = MetricOptions(missing, bootstrap_samples, seed)
    with reported_errors():
        measured = run_evaluation(
            bundle, data, out, EvaluateOptions(metrics=metric_options, **chosen)
        )
    print_scores(measured, Console())
    click.echo(f"{out / PAGE_FILE}")


@main.command("cross-rig")
@out_option("runs/transfer")
@assets_option
@labels_option
@click.option(
    "--synthetic-images", type=EXISTING, required=True, help="Rendered faces of both rigs."
)
@synthetic_videos_option
@click.option(
    "--base-steps",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Train one network on real faces for so many steps first and start both runs with it.",
)
@click.option(
    "--threshold-data",
    type=EXISTING,
    help="A RenderWild folder whose validation people help to choose thresholds.",
)
@set_option
def cross_rig(
    out: Path,
    base_steps: int,
    threshold_data: Path | None,
    overrides: tuple[str, ...],
    **options: Any,
) -> None:
    """Train on each face rig alone, test on the one left out; a stopped run is resumed."""
    from training.ablations.cross_rig import measure_cross_rig
    from training.default_model.default_recipe import recipe
    from training.engine.recipe_overrides import apply_overrides

    student = apply_overrides(recipe(), overrides)
    measured = measure_cross_rig(student, out, data_paths(options), base_steps, threshold_data)
    click.echo(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
