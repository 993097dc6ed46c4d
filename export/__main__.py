"""`python -m export RUN_DIR --to BUNDLE_DIR`: writes a bundle, checks parity and measures it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
import torch

from export.calibrate import DEFAULT_THRESHOLD, Calibrated, calibrate, validation_faces
from export.check_parity import check_parity, exceeding_tolerance
from export.export_method import MethodOptions, export_method, is_method_run
from export.load_run import load_origin, load_run
from export.method_card import SOURCES
from export.model_card import model_card
from export.write_bundle import CROP, write_bundle
from faceaffect.labels import AU_NAMES
from training.datasets.face_table import FaceTable
from training.evaluation.model_metrics import model_metrics
from training.evaluation.network_runner import table_crops
from training.evaluation.record import write_record
from training.models.affect_net import AffectNet
from training.real_skin.threshold_faces import threshold_faces

_ROOT = Path(__file__).resolve().parents[1]
_PARITY_CROPS = 200


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Options for runs of the default model."""

    assets: Path
    labels: Path
    synthetic_images: Path | None
    synthetic_videos: Path | None
    threshold_data: Path | None
    actions: Path | None
    skip_calibration: bool
    metrics_dir: Path | None


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--to",
    "bundle_dir",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the bundle.",
)
@click.option(
    "--assets",
    type=click.Path(path_type=Path),
    default=_ROOT.parent / "shared",
    show_default=True,
    help="Folder of face images.",
)
@click.option(
    "--labels", type=click.Path(path_type=Path), default=Path("runs/labels"), show_default=True
)
@click.option(
    "--synthetic-images",
    type=click.Path(path_type=Path),
    default=None,
    help="Synthetic images, if trained on them.",
)
@click.option(
    "--synthetic-videos",
    type=click.Path(path_type=Path),
    default=None,
    help="RenderWild folder for the evaluation.",
)
@click.option(
    "--threshold-data",
    type=click.Path(path_type=Path),
    default=None,
    help="RenderWild folder (--size people) whose validation set helps to choose thresholds.",
)
@click.option(
    "--actions",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=None,
    help="Validation images of training.real_skin: thresholds are chosen on them and on resting "
    "faces of several sources too.",
)
@click.option(
    "--skip-calibration", is_flag=True, help="Use default thresholds and measure nothing."
)
@click.option(
    "--metrics-dir",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder for the record of all metrics.",
)
@click.option(
    "--thresholds",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help="Methods: JSON file with a threshold for each AU.",
)
@click.option(
    "--validation",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help="Methods: data set to choose thresholds on.",
)
@click.option(
    "--trained-on",
    multiple=True,
    metavar="SOURCE",
    help=f"Methods: {', '.join(SOURCES)} or text for the model card.",
)
@click.option("--use-ema", is_flag=True, help="Methods: export the moving average of the weights.")
@click.option(
    "--affwild2-crops",
    is_flag=True,
    help="Methods: trained on the crops of Aff-Wild2, whose eyes are 10 px lower.",
)
@click.option(
    "--fps",
    type=click.FloatRange(0, 1000, min_open=True),
    help="Methods: frame rate of the training videos.",
)
def main(run_dir: Path, bundle_dir: Path, **options: Any) -> None:
    """Export RUN_DIR: the EMA weights of the default model, or the stages of a method."""
    method_options = {each.name: options.pop(each.name) for each in fields(MethodOptions)}
    if is_method_run(run_dir):
        _export_method(run_dir, bundle_dir, MethodOptions(**method_options))
        return
    if unsupported := [name for name, value in method_options.items() if value]:
        raise click.UsageError(
            f"{run_dir} is a run of the default model; the options {unsupported} are for methods"
        )
    _export_default(run_dir, bundle_dir, ExportOptions(**options))


def _export_default(run_dir: Path, bundle_dir: Path, options: ExportOptions) -> None:
    net, run = load_run(run_dir)
    notes = f"Trained for {run['step']} steps with seed {run['recipe']['schedule']['seed']}.\n"
    faces = None if options.skip_calibration else validation_faces(options.assets, options.labels)
    calibrated = Calibrated(net, (DEFAULT_THRESHOLD,) * len(AU_NAMES), (0.0,) * len(AU_NAMES), "")
    if faces is not None:
        calibrated = calibrate(
            net,
            faces,
            options.synthetic_images,
            CROP.size_px,
            options.threshold_data,
            None
            if options.actions is None
            else threshold_faces(options.assets, options.labels, options.actions),
        )
    origin = load_origin(run_dir, run)

    def write(metrics: dict[str, Any]) -> None:
        card = model_card(
            metrics, options.synthetic_images is not None, notes + calibrated.notes, origin
        )
        write_bundle(
            calibrated.net, bundle_dir, card, calibrated.thresholds, calibrated.neutral_logits
        )

    write({})
    metrics: dict[str, Any] = {"parity": _parity(calibrated.net, bundle_dir, faces)}
    if faces is not None:
        measured = model_metrics(
            bundle_dir,
            options.assets,
            options.labels,
            options.synthetic_images,
            options.synthetic_videos,
        )
        metrics = measured | metrics
        write(metrics)
    if options.metrics_dir is not None:
        write_record(metrics, options.metrics_dir, f"model_{run['recipe']['name']}")
    click.echo(f"wrote {bundle_dir}, thresholds {calibrated.thresholds}")


def _export_method(run_dir: Path, bundle_dir: Path, options: MethodOptions) -> None:
    try:
        spec = export_method(run_dir, bundle_dir, options, click.echo)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"wrote {bundle_dir}: {spec.name} predicts {', '.join(spec.heads)}")


def _parity(net: AffectNet, bundle_dir: Path, faces: FaceTable | None) -> dict[str, float]:
    """Differences from PyTorch on real faces, or on noise without them."""
    torch.manual_seed(0)
    crops = torch.randn(_PARITY_CROPS, 3, CROP.size_px, CROP.size_px)
    if faces is not None:
        crops = table_crops(faces.select(faces.face > 0).select(slice(_PARITY_CROPS)), CROP.size_px)  # type: ignore[arg-type]
    differences = check_parity(net, bundle_dir, crops.numpy())
    for name, value in differences.items():
        click.echo(f"{name:18s} {value:.2e}")
    if exceeding_tolerance(differences):
        raise click.ClickException(
            f"the exported files differ from the network: {exceeding_tolerance(differences)}"
        )
    return differences


if __name__ == "__main__":
    main()
