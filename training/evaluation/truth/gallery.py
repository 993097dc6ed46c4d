"""`python -m training.evaluation.truth.gallery BUNDLE`: a page of the strongest faces of each AU.

The page shows photographs whose terms do not allow publication: keep it on the machine.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_MEANINGS, AU_NAMES
from faceaffect.types import FloatArray
from training.cli.options import EXISTING_FOLDER, assets_option, labels_option
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.crop_jitter import aligned_transforms
from training.evaluation.truth.face_sets import ferplus_faces, web_faces

_STYLE = (
    "body{font:14px sans-serif;margin:2em}img{width:96px}figure{display:inline-block;margin:4px}"
)


@click.command()
@click.argument("bundle", type=EXISTING_FOLDER)
@assets_option
@labels_option
@click.option("--count", default=20, show_default=True, help="Faces of each unit and source.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
def main(bundle: Path, assets: Path, labels: Path, count: int, out: Path) -> None:
    """Write an HTML page of the held-out real faces with the highest scores of each AU."""
    runner = BundleRunner(bundle)
    web, masks = web_faces(assets, labels)
    sources = {
        "held-out web faces": web.select(masks["held_out"]),
        "FER+ faces that no version was trained on": ferplus_faces(assets, labels).table,
    }
    sections = {name: "" for name in AU_NAMES}
    for label, table in sources.items():
        affect = runner.affect(runner.predict(table.images, aligned_transforms(table)))
        for k, name in enumerate(AU_NAMES):
            score = affect.au_probability[:, k]
            best = strongest(score, count)
            sections[name] += f"<h3>{escape(label)}</h3>" + figures(
                [table.images[row] for row in best], score[best]
            )
    body = "".join(
        f"<h2>{name}: {escape(AU_MEANINGS[name])}</h2>{html}" for name, html in sections.items()
    )
    out.write_text(
        f"<!doctype html><meta charset=utf-8><title>Strongest faces</title><style>{_STYLE}</style>"
        f"<h1>{escape(runner.spec.name)}: strongest faces of each action unit</h1>{body}",
        encoding="utf-8",
    )
    click.echo(f"{out}: not for publication")


def strongest(score: FloatArray, count: int) -> NDArray[np.intp]:
    """Rows of the highest scores [N], the highest first."""
    return np.argsort(-score, kind="stable")[:count]


def figures(images: Sequence[NDArray[np.uint8]], scores: FloatArray) -> str:
    """HTML of images, RGB [H, W, 3] or gray [H, W], each with its score."""
    parts = []
    for image, score in zip(images, scores.tolist(), strict=True):
        bgr = image if image.ndim == 2 else image[:, :, ::-1]
        data = base64.b64encode(cv2.imencode(".jpg", bgr)[1].tobytes()).decode()
        parts.append(
            f"<figure><img src='data:image/jpeg;base64,{data}'>"
            f"<figcaption>{score:.2f}</figcaption></figure>"
        )
    return "".join(parts)


if __name__ == "__main__":
    main()
