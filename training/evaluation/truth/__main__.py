"""`python -m training.evaluation.truth BUNDLE`: whether action units are true of real people."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from training.cli.options import EXISTING_FOLDER, assets_option, labels_option
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.truth.truth_page import write_page


@click.command()
@click.argument("bundle", type=EXISTING_FOLDER)
@assets_option
@labels_option
@click.option("--actions", type=EXISTING_FOLDER, help="Validation images of training.real_skin.")
@click.option("--synthetic-images", type=EXISTING_FOLDER, help="For intensities.")
@click.option("--renderwild", type=EXISTING_FOLDER, help="RenderWild folder for its validation.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="JSON file of the measurements; sections that it has for this bundle are kept.",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Markdown page of --out beside the files of --compare.",
)
@click.option(
    "--compare",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    help="Measurements of other bundles, for earlier columns of the page.",
)
def main(
    bundle: Path,
    assets: Path,
    labels: Path,
    actions: Path | None,
    synthetic_images: Path | None,
    renderwild: Path | None,
    out: Path,
    page: Path | None,
    compare: tuple[Path, ...],
) -> None:
    """Measure BUNDLE on held-out real faces and write the record; rerun to resume."""
    from training.evaluation.intensity import measure_intensity
    from training.evaluation.speech_metrics import speech_metrics
    from training.evaluation.truth.eye_metrics import eye_metrics
    from training.evaluation.truth.known_actions import known_action_metrics
    from training.evaluation.truth.real_face_metrics import real_face_metrics
    from training.evaluation.truth.robustness import robustness_metrics
    from training.evaluation.video_metrics import renderwild_metrics

    runner = BundleRunner(bundle)
    sections: dict[str, Callable[[], dict[str, Any]]] = {
        "real_faces": lambda: real_face_metrics(runner, assets, labels),
        "speech": lambda: speech_metrics(runner, assets),
        "eyes": lambda: eye_metrics(runner, assets, labels),
        "robustness": lambda: robustness_metrics(runner, assets, labels),
    }
    if actions is not None:
        sections["known_actions"] = lambda: known_action_metrics(runner, actions)
    if renderwild is not None:
        sections["renderwild"] = lambda: renderwild_metrics(bundle, renderwild)
    given = {"images": synthetic_images, "videos": renderwild, "actions": actions}
    folders = {name: folder for name, folder in given.items() if folder is not None}
    if runner.spec.au_intensity is not None and len(folders) == len(given):
        sections["intensity"] = lambda: measure_intensity(runner, folders)
    record = _previous(out, runner)
    for name, measure in sections.items():
        if name not in record:
            click.echo(f"measuring {name}")
            record[name] = measure()
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if page is not None:
        write_page(page, [*compare, out])
        click.echo(f"{page}")


def _previous(out: Path, runner: BundleRunner) -> dict[str, Any]:
    """Sections of an earlier run with the same bundle, or a new record."""
    identity = {
        "model": str(runner.spec.files["model.onnx"]),
        "thresholds": [float(value) for value in runner.spec.au_thresholds],
    }
    if out.exists():
        record: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        if record.get("bundle") == identity:
            return record
    return {"bundle": identity}


if __name__ == "__main__":
    main()
