"""Command line: `python -m training.synthesis images | videos | contact-sheet | demo`."""

from __future__ import annotations

import time
from pathlib import Path

import click
import cv2

from training.synthesis.data_option import data_option


@click.group()
def main() -> None:
    """Render synthetic faces with known action units."""


@main.command()
@click.option("--count", type=int, required=True, help="Total number of images.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option(
    "--rig", type=click.Choice(["facs", "arkit", "mixed"]), default="mixed", show_default=True
)
@click.option("--size", "size_px", type=click.IntRange(64, 1024), default=160, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@data_option
def images(
    count: int, seed: int, out: Path, rig: str, size_px: int, workers: int, data: Path
) -> None:
    """Write labeled face images; rerun to resume an interrupted run."""
    from training.synthesis.write_images import ImageSetConfig, write_images

    start_s = time.perf_counter()
    rendered = write_images(ImageSetConfig(count, seed, size_px, rig), out, data, workers)
    elapsed_s = time.perf_counter() - start_s
    images_per_s = rendered / max(elapsed_s, 1e-9)
    click.echo(f"{rendered} images in {elapsed_s:.0f} s ({images_per_s:.1f} images/s), in {out}")


@main.command()
@click.option(
    "--size",
    type=click.Choice(["tiny", "small", "people", "crowd", "large"]),
    required=True,
    help="Size of the data set; see the README.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option(
    "--split",
    type=click.Choice(["all", "train", "validation"]),
    default="all",
    show_default=True,
    help="Render the videos of one split only; the other one can be added to the same folder.",
)
@data_option
def videos(size: str, seed: int, out: Path, workers: int, split: str, data: Path) -> None:
    """Write RenderWild (synthetic videos in the Aff-Wild2 layout); rerun to resume."""
    from training.synthesis.videos.video_file import VideoFileError
    from training.synthesis.videos.write_videos import RendererError, VideoSetConfig, write_videos

    start_s = time.perf_counter()
    try:
        rendered = write_videos(VideoSetConfig(size, seed), out, data, workers, split)
    except (ValueError, FileNotFoundError, VideoFileError, RendererError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{rendered} videos in {time.perf_counter() - start_s:.0f} s, in {out}")


@main.command("contact-sheet")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option(
    "--rig", type=click.Choice(["facs", "arkit", "mixed"]), default="facs", show_default=True
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--samples",
    type=int,
    default=0,
    help="Number of random faces to show instead of one action unit at a time.",
)
@click.option("--landmarks", is_flag=True, help="Draw the 68 landmarks on random faces.")
@data_option
def contact_sheet(
    out: Path, rig: str, seed: int, samples: int, landmarks: bool, data: Path
) -> None:
    """Write an image grid of each action unit in isolation, or of random faces."""
    from training.synthesis.contact_sheet import au_sheet, sample_sheet

    if samples:
        image = sample_sheet(data, rig, seed, samples, with_landmarks=landmarks)
    else:
        image = au_sheet(data, "facs" if rig == "mixed" else rig, seed)
    cv2.imwrite(str(out), image)


@main.command()
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("assets/demo.mp4")
)
@data_option
def demo(out: Path, data: Path) -> None:
    """Write the demo clip and its ground truth."""
    from training.synthesis.demo_clip import write_demo

    write_demo(out, data)


if __name__ == "__main__":
    main()
