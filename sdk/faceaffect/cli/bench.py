"""The `faceaffect bench` command."""

from __future__ import annotations

from typing import Final

import click

from faceaffect.cli.grouped_help import sections
from faceaffect.cli.list_option import comma_separated, frame_sizes, percentage
from faceaffect.cli.shared_options import (
    DETECTOR_CHOICES,
    detector_model_option,
    dla_core_option,
    min_face_size_option,
)
from faceaffect.detectors.names import default_detector

_EXAMPLES: Final = """\b
Examples:
  faceaffect bench
  faceaffect bench clip.mp4 --size 640x360,1920x1080 --num-faces 1,4 --save-json a.json
  faceaffect bench --slo p99=10ms --save-html bench.html
  faceaffect bench --compare a.json b.json --fail-above 5%"""


_SECTIONS: Final = {
    "Configurations": (
        "--model",
        "--backend",
        "--device",
        "--precision",
        "--dla-core",
        "--size",
        "--num-faces",
        "--threads",
        "--streams",
        "--max-faces",
        "--min-face-size",
        "--detector",
        "--detector-model",
    ),
    "Measurement": (
        "--frames",
        "--rounds",
        "--warm-up",
        "--camera-fps",
        "--camera-seconds",
        "--no-camera",
        "--pin-cores",
        "--slo",
    ),
    "Output": (
        "--save-json",
        "--save-html",
        "--save-csv",
        "--save-markdown",
        "--save-trace",
        "--overwrite",
        "--quiet",
    ),
    "Saved records": ("--load", "--compare", "--fail-above", "--schema"),
}


@click.command(
    short_help="Measure the pipeline on this machine.",
    epilog=_EXAMPLES,
    **sections(
        _SECTIONS,
    ),
)
@click.argument("source", required=False)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="BUNDLE",
    help="Model bundle; repeat to measure several.  [default: the shipped one]",
)
@click.option(
    "--backend",
    "backends",
    default="auto",
    callback=comma_separated(str),
    show_default=True,
    metavar="LIST",
    help="auto, onnx, openvino, tensorrt.",
)
@click.option(
    "--device",
    "devices",
    default="auto",
    callback=comma_separated(str),
    show_default=True,
    metavar="LIST",
    help="auto, cpu, cuda:0.",
)
@click.option(
    "--precision",
    "precisions",
    default="auto",
    callback=comma_separated(str),
    show_default=True,
    metavar="LIST",
    help="auto, fp32, fp16, int8.",
)
@dla_core_option
@click.option(
    "--size",
    "sizes",
    callback=frame_sizes,
    metavar="LIST",
    help="Frame sizes, such as 640x360,1920x1080.  [default: that of SOURCE]",
)
@click.option(
    "--num-faces",
    callback=comma_separated(int, minimum=1),
    metavar="LIST",
    help="Number of faces per frame, such as 1,2,4,8.  [default: as in SOURCE]",
)
@click.option(
    "--threads",
    default="1",
    callback=comma_separated(int, minimum=1),
    show_default=True,
    metavar="LIST",
    help="CPU threads for inference and OpenCV.",
)
@click.option(
    "--streams",
    default="1",
    callback=comma_separated(int, minimum=1),
    show_default=True,
    metavar="LIST",
    help="Number of pipelines that run concurrently.",
)
@click.option(
    "--max-faces",
    default=8,
    type=click.IntRange(1),
    show_default=True,
    help="Maximum number of faces per frame; raised to --num-faces if that is larger.",
)
@min_face_size_option
@click.option(
    "--detector",
    "detectors",
    callback=comma_separated(str, choices=DETECTOR_CHOICES),
    show_default=default_detector(),
    metavar="LIST",
    help=f"Face detectors: {', '.join(DETECTOR_CHOICES)}.",
)
@detector_model_option
@click.option(
    "--frames", default=200, type=click.IntRange(2), show_default=True, help="Frames per round."
)
@click.option(
    "--rounds",
    default=5,
    type=click.IntRange(1),
    show_default=True,
    help="Number of rounds; --compare needs at least 5.",
)
@click.option(
    "--warm-up",
    default=15,
    type=click.IntRange(0),
    show_default=True,
    help="Warm-up frames before each measurement.",
)
@click.option(
    "--camera-fps",
    default="30,60",
    callback=comma_separated(float, minimum=1, maximum=1000),
    show_default=True,
    metavar="LIST",
    help="Frame rates of the simulated camera.",
)
@click.option(
    "--camera-seconds",
    default=2.0,
    type=click.FloatRange(0.1, 3600),
    show_default=True,
    help="Duration of each camera frame rate per round.",
)
@click.option("--no-camera", is_flag=True, help="Skip the camera measurement.")
@click.option(
    "--pin-cores", is_flag=True, help="Pin to as few CPU cores as threads and streams need."
)
@click.option(
    "--slo",
    metavar="BOUND",
    help="Find the highest frame rate within a latency bound, such as p99=10ms; a dropped frame "
    "is never in time.",
)
@click.option(
    "--save-json",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Save every sample as JSON.",
)
@click.option(
    "--save-html",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Save an HTML report with plots.",
)
@click.option(
    "--save-csv",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Save the metrics as CSV.",
)
@click.option(
    "--save-markdown",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Save the tables as Markdown.",
)
@click.option(
    "--save-trace",
    type=click.Path(dir_okay=False),
    metavar="FILE.json",
    help="Save every stage of the first round as a trace for Perfetto or chrome://tracing.",
)
@click.option("--overwrite", is_flag=True, help="Overwrite existing files.")
@click.option(
    "--load",
    type=click.Path(dir_okay=False),
    metavar="FILE.json",
    help="Show a saved record instead of measuring.",
)
@click.option(
    "--compare",
    nargs=2,
    type=click.Path(dir_okay=False),
    metavar="A.json B.json",
    help="Compare two saved records.",
)
@click.option(
    "--fail-above",
    callback=percentage,
    metavar="PERCENT",
    help="With --compare: exit with 1 if a metric is worse by more than this, such as 5%.",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of records.")
@click.option("--quiet", is_flag=True, help="Print no progress bar and no tables.")
def bench(**options: object) -> int:
    """Measure the performance of the pipeline on this machine.

    Reports latency per stage, jitter, throughput, dropped frames, memory and start-up time.

    SOURCE is a video; without it, synthetic faces are drawn. With --num-faces, the face of SOURCE
    is repeated that many times. Options that take a list are measured in every combination, with
    rounds interleaved.
    """
    from faceaffect.cli.bench_run import run_command

    return run_command(options)
