"""Command line: `python -m training.synthesis faces | wild | sheet | demo`."""

from __future__ import annotations

import time
from pathlib import Path

import click
import cv2

from training.synthesis.head_mesh import DEFAULT_DATA

_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    show_default=True,
)


@click.group()
def main() -> None:
    """Render faces whose action units are known."""


@main.command()
@click.option("--count", type=int, required=True, help="Faces in all.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option(
    "--rig", type=click.Choice(["facs", "arkit", "mixed"]), default="mixed", show_default=True
)
@click.option("--size", "size_px", type=click.IntRange(64, 1024), default=160, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@_DATA
def faces(
    count: int, seed: int, out: Path, rig: str, size_px: int, workers: int, data: Path
) -> None:
    """Write labeled faces; run again to continue a stopped run."""
    from training.synthesis.write_images import FaceOrder, write_faces

    start_s = time.perf_counter()
    rendered = write_faces(FaceOrder(count, seed, size_px, rig), out, data, workers)
    took_s = time.perf_counter() - start_s
    click.echo(
        f"{rendered} faces in {took_s:.0f} s, {rendered / max(took_s, 1e-9):.1f} a second, in {out}"
    )


@main.command()
@click.option(
    "--size",
    type=click.Choice(["tiny", "small", "people", "crowd", "large"]),
    required=True,
    help="How much; see the README.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option(
    "--split",
    type=click.Choice(["all", "train", "validation"]),
    default="all",
    show_default=True,
    help="Make the videos of one split only; the others may follow into the same folder.",
)
@_DATA
def wild(size: str, seed: int, out: Path, workers: int, split: str, data: Path) -> None:
    """Write RenderWild, videos in the layout of Aff-Wild2; run again to continue a stopped run."""
    from training.synthesis.videos.video_file import MovieError
    from training.synthesis.videos.write_videos import StudioError, WildOrder, write_wild

    start_s = time.perf_counter()
    try:
        made = write_wild(WildOrder(size, seed), out, data, workers, split)
    except (ValueError, FileNotFoundError, MovieError, StudioError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{made} videos in {time.perf_counter() - start_s:.0f} s, in {out}")


@main.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option(
    "--rig", type=click.Choice(["facs", "arkit", "mixed"]), default="facs", show_default=True
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--samples", type=int, default=0, help="Random faces instead of units one by one.")
@click.option("--landmarks", is_flag=True, help="Draw the 68 points on random faces.")
@_DATA
def sheet(out: Path, rig: str, seed: int, samples: int, landmarks: bool, data: Path) -> None:
    """Write an image that shows each unit alone, or random faces."""
    from training.synthesis.contact_sheet import sample_sheet, unit_sheet

    if samples:
        image = sample_sheet(data, rig, seed, samples, with_landmarks=landmarks)
    else:
        image = unit_sheet(data, "facs" if rig == "mixed" else rig, seed)
    cv2.imwrite(str(out), image)


@main.command()
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("assets/demo.mp4")
)
@_DATA
def demo(out: Path, data: Path) -> None:
    """Write the demo clip and its truth."""
    from training.synthesis.demo_clip import write_demo

    write_demo(out, data)


if __name__ == "__main__":
    main()
