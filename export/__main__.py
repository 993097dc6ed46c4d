"""`python -m export RUN_DIR --to BUNDLE_DIR`: a bundle, its parity check and, unless told
otherwise, its figures.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
import torch

from export.calibrate import DEFAULT_THRESHOLD, Calibrated, calibrate, validation_faces
from export.check_parity import check_parity, exceeding_tolerance
from export.export_method import MethodOptions, export_method, is_method_run
from export.load_run import read_origin, read_run
from export.method_card import SOURCES
from export.model_card import model_card
from export.write_bundle import CROP, write_bundle
from faceaffect.labels import AU_NAMES
from training.datasets.face_table import FaceTable
from training.evaluation.model_metrics import model_metrics
from training.evaluation.network_runner import table_crops
from training.evaluation.record import write_record
from training.models.affect_net import AffectNet

_ROOT = Path(__file__).resolve().parents[1]
_PARITY_CROPS = 200


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What the command line said beside the two folders."""

    shared: Path
    labels: Path
    renders: Path | None
    wild: Path | None
    people: Path | None
    early: bool
    record: Path | None


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
    "--shared",
    type=click.Path(path_type=Path),
    default=_ROOT.parent / "shared",
    help="Folder of faces.",
)
@click.option(
    "--labels", type=click.Path(path_type=Path), default=Path("runs/labels"), show_default=True
)
@click.option(
    "--renders",
    type=click.Path(path_type=Path),
    default=None,
    help="Rendered faces, if trained on them.",
)
@click.option(
    "--wild",
    type=click.Path(path_type=Path),
    default=None,
    help="A RenderWild folder, to judge by.",
)
@click.option(
    "--people",
    type=click.Path(path_type=Path),
    default=None,
    help="Another RenderWild folder (--size people), whose validation people help to choose thresholds.",
)
@click.option("--early", is_flag=True, help="Default thresholds and no figures.")
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder for the record of figures.",
)
@click.option(
    "--thresholds",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help="Methods: JSON, one for each AU.",
)
@click.option(
    "--validation",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help="Methods: data to choose them on.",
)
@click.option(
    "--trained-on",
    multiple=True,
    metavar="SOURCE",
    help=f"Methods: {', '.join(SOURCES)} or words for the card.",
)
@click.option("--averaged", is_flag=True, help="Methods: the weights of the moving average.")
@click.option(
    "--official-crops",
    is_flag=True,
    help="Methods: trained on crops as Aff-Wild2 has them, eyes 10 px lower.",
)
@click.option(
    "--fps",
    type=click.FloatRange(0, 1000, min_open=True),
    help="Methods: frame rate of the videos trained on.",
)
def main(run_dir: Path, bundle_dir: Path, **options: Any) -> None:
    """Export RUN_DIR: the averaged weights of the default model, or the stages of one of the eight
    methods.
    """
    own = {name: options.pop(name) for name in [each.name for each in fields(MethodOptions)]}
    if is_method_run(run_dir):
        _export_method(run_dir, bundle_dir, MethodOptions(**own))
        return
    if given := [name for name, value in own.items() if value]:
        raise click.UsageError(f"{run_dir} is a run of the default model; {given} are for methods")
    chosen = ExportOptions(**options)
    net, run = read_run(run_dir)
    notes = f"Trained for {run['step']} steps with seed {run['recipe']['schedule']['seed']}.\n"
    faces = None if chosen.early else validation_faces(chosen.shared, chosen.labels)
    done = Calibrated(net, (DEFAULT_THRESHOLD,) * len(AU_NAMES), (0.0,) * len(AU_NAMES), "")
    if faces is not None:
        done = calibrate(net, faces, chosen.renders, CROP.size_px, chosen.people)
    with_renders, origin = chosen.renders is not None, read_origin(run_dir, run)
    decisions = done.thresholds, done.neutral_logits
    write_bundle(
        done.net, bundle_dir, model_card({}, with_renders, notes + done.notes, origin), *decisions
    )
    figures: dict[str, Any] = {"parity": _parity(done.net, bundle_dir, faces)}
    if faces is not None:
        figures = (
            model_metrics(bundle_dir, chosen.shared, chosen.labels, chosen.renders, chosen.wild)
            | figures
        )
        write_bundle(
            done.net,
            bundle_dir,
            model_card(figures, with_renders, notes + done.notes, origin),
            *decisions,
        )
    if chosen.record is not None:
        write_record(figures, chosen.record, f"model_{run['recipe']['name']}")
    click.echo(f"wrote {bundle_dir}, thresholds {done.thresholds}")


def _export_method(run_dir: Path, bundle_dir: Path, options: MethodOptions) -> None:
    try:
        spec = export_method(run_dir, bundle_dir, options, click.echo)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"wrote {bundle_dir}: {spec.name} reads {', '.join(spec.heads)}")


def _parity(net: AffectNet, bundle_dir: Path, faces: FaceTable | None) -> dict[str, float]:
    """Differences on real faces, or on noise for an early bundle."""
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
