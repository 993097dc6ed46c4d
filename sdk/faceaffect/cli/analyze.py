"""The `faceaffect analyze` command."""

from __future__ import annotations

import os
from typing import Final

import click

from faceaffect.cli.grouped_help import sections
from faceaffect.cli.shared_options import (
    OutputParameter,
    backend_option,
    columns_option,
    detector_model_option,
    detector_option,
    device_option,
    dla_core_option,
    max_faces_option,
    min_face_size_option,
    min_quality_option,
    model_option,
    no_smoothing_option,
    precision_option,
    rotate_option,
)

_EXAMPLES: Final = """\b
Examples:
  faceaffect analyze clip.mp4 --out rows.csv --overlay overlay.mp4 --report report.html
  faceaffect analyze lecture.mp4 --out rows.csv --jobs 4
  faceaffect analyze 'photos/*.jpg' > rows.csv
  faceaffect analyze 'videos/**/*.mp4' --out results/ --output-format parquet"""


_SECTIONS: Final = {
    "Output": (
        "--out",
        "--columns",
        "--every-frame",
        "--output-format",
        "--overlay",
        "--overlay-style",
        "--blur-faces",
        "--report",
        "--thumbnails",
        "--resume",
        "--overwrite",
        "--quiet",
    ),
    "Model": (
        "--model",
        "--backend",
        "--device",
        "--precision",
        "--dla-core",
        "--threads",
    ),
    "Faces": (
        "--max-faces",
        "--min-face-size",
        "--rotate",
        "--detector",
        "--detector-model",
        "--no-smoothing",
        "--neutral-baseline",
        "--min-quality",
    ),
    "Input": (
        "--audio",
        "--aligned-crops",
        "--sequence",
        "--image-fps",
        "--rate",
        "--max-pixels",
        "--playlists",
        "--reconnect-timeout",
    ),
    "Many inputs": ("--jobs", "--ray", "--file-timeout", "--retry-failed"),
}
_EXIT_CODES: Final = """

Exit codes:
  0 success, 1 failure, 2 wrong options, 3 some inputs failed, 130 interrupted, 143 terminated"""


@click.command(epilog=_EXAMPLES + _EXIT_CODES, **sections(_SECTIONS))
@click.argument("sources", nargs=-1, required=True, type=click.Path(), metavar="SOURCE...")
@click.option(
    "--out",
    default=("-",),
    multiple=True,
    type=OutputParameter(),
    metavar="FILE|FOLDER|ADDRESS",
    help="Write rows to a .csv, .jsonl or .parquet file, to one file per input in a folder, to"
    " standard output as CSV (-) or JSON Lines (jsonl:-), or send them to a zmq://, mqtt://, lsl://"
    " or osc:// address. May be repeated.  [default: -]",
)
@columns_option
@click.option("--every-frame", is_flag=True, help="Write a row for frames without a face as well.")
@click.option(
    "--overlay",
    type=click.Path(),
    metavar="FILE",
    help="Write an annotated video (.mp4, .webm, .avi), image or folder of images.",
)
@click.option(
    "--overlay-style",
    default="panel",
    type=click.Choice(["panel", "minimal", "side-by-side"]),
    show_default=True,
    help="Scores beside the image, labels only, or the unchanged image next to the annotated one.",
)
@click.option("--blur-faces", is_flag=True, help="Make faces in the overlay unrecognizable.")
@click.option(
    "--report",
    type=click.Path(),
    metavar="FILE.html",
    help="Write an HTML page with plots (see `faceaffect report`).",
)
@click.option("--thumbnails", is_flag=True, help="Show face thumbnails in the report.")
@model_option
@backend_option
@device_option
@precision_option
@dla_core_option
@click.option(
    "--threads",
    default=1,
    type=click.IntRange(1),
    show_default=True,
    help="CPU threads for inference.",
)
@max_faces_option
@min_face_size_option
@rotate_option
@detector_option
@detector_model_option
@no_smoothing_option
@click.option(
    "--neutral-baseline",
    is_flag=True,
    help="Measure action units relative to each person's neutral face.",
)
@min_quality_option
@click.option(
    "--audio",
    default="auto",
    show_default=True,
    metavar="AUDIO",
    help="Audio for audio-visual models: auto (the video's audio track), none, an audio file, or"
    " mic or mic:DEVICE (with a camera).",
)
@click.option(
    "--aligned-crops",
    is_flag=True,
    help="Treat images as aligned face crops (such as cropped_aligned of Aff-Wild2).",
)
@click.option(
    "--sequence/--no-sequence",
    default=None,
    help="Treat the images of a folder as frames of one video.  [default: only with"
    " --aligned-crops]",
)
@click.option(
    "--image-fps",
    default=30.0,
    show_default=True,
    help="Frame rate for the time stamps of a folder of images.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    help="Refuse images, and videos with frames, of more pixels.  [default: 67 million for an"
    " image, 35 million for a frame of video]",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="FPS",
    help="Frame rate of streams without time stamps, such as .h264 and .mjpeg.  [default: what the"
    " stream says, else 25]",
)
@click.option(
    "--playlists",
    is_flag=True,
    help="Allow playlists (.m3u8, .mpd, ffconcat), which may name any file of this machine.",
)
@click.option(
    "--reconnect-timeout",
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a camera or stream that disconnected.",
)
@click.option("--resume", is_flag=True, help="Resume an unfinished output.")
@click.option("--overwrite", is_flag=True, help="Overwrite an existing output.")
@click.option(
    "--output-format",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    help="Format of the files in an output folder.  [default: csv; with --ray: parquet]",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Number of worker processes.  [default: 1 for a file, one per core for a folder]",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Run on a Ray cluster: local, auto, host:port or ray://host:port.",
)
@click.option(
    "--file-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up on an input that takes longer.  [default: no limit]",
)
@click.option("--retry-failed", is_flag=True, help="Retry inputs that failed in a previous run.")
@click.option("--quiet", is_flag=True, help="Print no progress bar and no summary.")
def analyze(**options: object) -> int:
    """Analyze every face in images and video.

    SOURCE is a video, an image, a folder, a glob pattern, a FIFO or /dev/stdin, a camera (0,
    v4l2:///dev/video0, csi://0) or a stream (rtsp://, rtsps://, http://, https://).
    """
    from faceaffect.cli.batch_options import BatchSettings, is_output_folder
    from faceaffect.system.import_opencv import MAX_PIXELS_VARIABLE

    # OpenCV reads its limit when it is imported; the processes of --jobs inherit it.
    if options["max_pixels"] is not None:
        os.environ[MAX_PIXELS_VARIABLE] = str(options["max_pixels"])
    if is_output_folder(options):
        from faceaffect.cli.analyze_batch import AnalyzeBatch

        return AnalyzeBatch(BatchSettings.from_options(options)).run()
    from faceaffect.cli.analyze_options import AnalyzeSettings
    from faceaffect.cli.analyze_run import AnalyzeRun

    return AnalyzeRun(AnalyzeSettings.from_options(options)).run()
