"""`faceaffect bench`: how long a frame takes here."""

from __future__ import annotations

import click

from faceaffect.cli.list_option import listed, listed_sizes
from faceaffect.detectors.names import DETECTORS, default_detector


@click.command()
@click.argument("source", required=False)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="BUNDLE",
    help="Model bundle; give it again for a second one.",
)
@click.option(
    "--backend",
    "backends",
    default="auto",
    callback=listed(str),
    metavar="LIST",
    help="auto, onnx, openvino, tensorrt.",
)
@click.option(
    "--device",
    "devices",
    default="auto",
    callback=listed(str),
    metavar="LIST",
    help="auto, cpu, cuda:0.",
)
@click.option(
    "--precision",
    "precisions",
    default="auto",
    callback=listed(str),
    metavar="LIST",
    help="auto, fp32, fp16, int8.",
)
@click.option(
    "--dla",
    type=click.IntRange(0),
    metavar="CORE",
    help="TensorRT on a Jetson: the accelerator, 0 or 1.",
)
@click.option(
    "--size",
    "sizes",
    callback=listed_sizes,
    metavar="LIST",
    help="Frame sizes like 640x360,1920x1080.",
)
@click.option(
    "--faces",
    callback=listed(int, least=1),
    metavar="LIST",
    help="Faces in every frame, like 1,2,4,8.",
)
@click.option(
    "--threads",
    default="1",
    callback=listed(int, least=1),
    metavar="LIST",
    help="CPU threads of network and OpenCV.",
)
@click.option(
    "--streams",
    default="1",
    callback=listed(int, least=1),
    metavar="LIST",
    help="Pipelines side by side.",
)
@click.option(
    "--max-faces",
    default=8,
    type=click.IntRange(1),
    show_default=True,
    help="Raised to --faces where that is more.",
)
@click.option(
    "--min-face",
    default=40,
    type=click.IntRange(20),
    show_default=True,
    help="Smallest face, pixels.",
)
@click.option(
    "--detector",
    "detectors",
    callback=listed(str, among=DETECTORS),
    metavar="LIST",
    help=f"What finds faces: {', '.join(DETECTORS)}; {default_detector()} unless told otherwise.",
)
@click.option(
    "--yunet",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Find faces with this YuNet file instead.",
)
@click.option(
    "--frames", default=200, type=click.IntRange(2), show_default=True, help="Frames of a round."
)
@click.option(
    "--rounds",
    default=5,
    type=click.IntRange(1),
    show_default=True,
    help="5 are needed to compare two records.",
)
@click.option(
    "--warm-up",
    default=15,
    type=click.IntRange(0),
    show_default=True,
    help="Frames before each measurement.",
)
@click.option(
    "--live",
    default="30,60",
    callback=listed(float, least=1, most=1000),
    metavar="LIST",
    help="Camera rates in fps.",
)
@click.option(
    "--live-seconds",
    default=2.0,
    type=click.FloatRange(0.1, 3600),
    show_default=True,
    help="Of each rate in a round.",
)
@click.option("--no-live", is_flag=True, help="Leave the camera out.")
@click.option("--pin", is_flag=True, help="Run on as few cores as threads and streams need.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write every sample.",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write a report with plots.",
)
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option(
    "--from",
    "read",
    type=click.Path(dir_okay=False),
    metavar="FILE.json",
    help="Show a record, measure nothing.",
)
@click.option(
    "--compare",
    nargs=2,
    type=click.Path(dir_okay=False),
    metavar="A.json B.json",
    help="Say what changed.",
)
@click.option("--quiet", is_flag=True, help="No progress and no tables.")
def bench(**given: object) -> int:
    """Measure every stage of the pipeline on this machine: latency, jitter, throughput, dropped
    frames, memory, start.

    SOURCE is a video; without it faces are drawn. With --faces, the face of SOURCE is shown that
    many times. Where options list several values, every combination is measured, and they take
    turns.

    \b
    faceaffect bench
    faceaffect bench clip.mp4 --size 640x360,1920x1080 --faces 1,4 --json a.json --html a.html
    faceaffect bench --compare a.json b.json
    """
    from faceaffect.cli.bench_run import run_command

    return run_command(given)
