"""`faceaffect analyze`: sources in, rows and overlay out."""

from __future__ import annotations

import click

from faceaffect.bundle.model_spec import AUTO_PRECISION, PRECISIONS
from faceaffect.detectors.names import DETECTORS, default_detector


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--out",
    default="-",
    metavar="FILE|FOLDER",
    help="rows.csv, .jsonl or .parquet; - is CSV on standard output. A folder gets one file per input, made by all cores.",
)
@click.option("--overlay", metavar="FILE", help="Drawn video (.mp4, .webm, .avi), image or folder.")
@click.option(
    "--report",
    metavar="FILE.html",
    help="Page with plots, made of the rows at the end (see `faceaffect report`).",
)
@click.option(
    "--portraits",
    is_flag=True,
    help="Show faces in the report; off unless asked for, as a page is easily passed on.",
)
@click.option(
    "--model",
    metavar="BUNDLE",
    help="Model bundle: a folder, or a name that `faceaffect models` lists.",
)
@click.option(
    "--backend",
    default="auto",
    type=click.Choice(["auto", "onnx", "openvino", "tensorrt"]),
    show_default=True,
)
@click.option(
    "--device", default="auto", show_default=True, metavar="DEVICE", help="auto, cpu or cuda:0."
)
@click.option(
    "--precision",
    default=AUTO_PRECISION,
    type=click.Choice([AUTO_PRECISION, *PRECISIONS]),
    show_default=True,
    help="auto: int8 on a CPU that is fast at it where the model brings it, else fp32. fp16 needs TensorRT.",
)
@click.option(
    "--dla",
    type=click.IntRange(0),
    metavar="CORE",
    help="TensorRT on a Jetson: the accelerator, 0 or 1.",
)
@click.option(
    "--threads",
    default=1,
    type=click.IntRange(1),
    show_default=True,
    help="CPU threads of the network.",
)
@click.option("--max-faces", default=8, type=click.IntRange(1), show_default=True)
@click.option(
    "--min-face",
    default=40,
    type=click.IntRange(20),
    show_default=True,
    help="Smallest face, pixels.",
)
@click.option(
    "--detector",
    type=click.Choice(DETECTORS),
    help=f"What finds faces; {default_detector()} unless told otherwise.",
)
@click.option(
    "--yunet",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Find faces with this YuNet ONNX file instead of --detector.",
)
@click.option(
    "--no-smooth", is_flag=True, help="Each frame's own scores, without smoothing over time."
)
@click.option(
    "--baseline",
    is_flag=True,
    help="Measure each face's action units against its own face at rest.",
)
@click.option(
    "--audio",
    default="auto",
    show_default=True,
    metavar="AUDIO",
    help="For models that hear: auto (the file's own), none, mic, mic:DEVICE (with a camera) or an audio file.",
)
@click.option(
    "--crops",
    is_flag=True,
    help="The images are face crops already (as cropped_aligned of Aff-Wild2).",
)
@click.option(
    "--sequence/--no-sequence",
    default=None,
    help="Whether the images of a folder are the frames of one video; without it only with --crops.",
)
@click.option(
    "--image-fps",
    default=30.0,
    show_default=True,
    help="Images per second of a folder's time stamps.",
)
@click.option(
    "--reconnect",
    default=10.0,
    show_default=True,
    help="Seconds to wait for a camera that went away.",
)
@click.option("--resume", is_flag=True, help="Go on with an unfinished output.")
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
@click.option(
    "--format",
    "row_format",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    help="Of the files in a folder.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Processes that share out the inputs of a folder (else one per core), or one video (else one).",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Share them out to a Ray cluster: local, auto, host:port or ray://host:port.",
)
@click.option(
    "--retry",
    is_flag=True,
    help="Try those again that an earlier run into this folder could not read.",
)
@click.option("--quiet", is_flag=True, help="No progress and no summary.")
def analyze(**given: object) -> int:
    """Analyze video files, images, folders, patterns, cameras (0, v4l2:///dev/video0, csi://0) or
    rtsp:// streams.

    \b
    faceaffect analyze clip.mp4 --out rows.csv --overlay seen.mp4 --report report.html
    faceaffect analyze lecture.mp4 --out rows.csv --jobs 4
    faceaffect analyze 'photos/*.jpg' > rows.csv
    faceaffect analyze 'archive/**/*.mp4' --out parts/ --format parquet
    """
    from faceaffect.cli.batch_options import ArchiveSettings, names_a_folder

    if names_a_folder(given):
        from faceaffect.cli.analyze_batch import AnalyzeArchive

        return AnalyzeArchive(ArchiveSettings.from_options(given)).run()
    from faceaffect.cli.analyze_options import AnalyzeSettings
    from faceaffect.cli.analyze_run import AnalyzeRun

    return AnalyzeRun(AnalyzeSettings.from_options(given)).run()
