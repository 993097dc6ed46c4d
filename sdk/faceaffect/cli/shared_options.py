"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import click

from faceaffect.bundle.model_spec import AUTO_PRECISION, PRECISIONS
from faceaffect.detectors.names import AUTO_ROTATION, DETECTORS, ROTATIONS, default_detector

YUNET: Final = "yunet"
DETECTOR_CHOICES: Final = (*DETECTORS, YUNET)


class OutputParameter(click.Path):
    """A file, a folder, standard output or an address; several of a variable are lines of it."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """Split the value of an environment variable; addresses and paths may hold `:`."""
        return rv.splitlines()


model_option = click.option(
    "--model",
    metavar="BUNDLE",
    help="Model bundle: a folder or a name from `faceaffect models`.  [default: the shipped one]",
)
backend_option = click.option(
    "--backend",
    default="auto",
    type=click.Choice(["auto", "onnx", "openvino", "tensorrt"]),
    show_default=True,
    help="Inference backend.",
)
device_option = click.option(
    "--device", default="auto", show_default=True, metavar="DEVICE", help="auto, cpu or cuda:0."
)
precision_option = click.option(
    "--precision",
    default=AUTO_PRECISION,
    type=click.Choice([AUTO_PRECISION, *PRECISIONS]),
    show_default=True,
    help="auto: int8 on CPUs with int8 dot products if the model has it, else fp32. fp16 needs"
    " TensorRT.",
)
max_faces_option = click.option(
    "--max-faces",
    default=8,
    type=click.IntRange(1),
    show_default=True,
    help="Maximum number of faces per frame.",
)
detector_option = click.option(
    "--detector",
    default=default_detector(),
    type=click.Choice(DETECTOR_CHOICES),
    show_default=True,
    help="Face detector.",
)
no_smoothing_option = click.option(
    "--no-smoothing", is_flag=True, help="Do not smooth scores over time."
)
min_quality_option = click.option(
    "--min-quality",
    default=0.0,
    type=click.FloatRange(0, 1),
    show_default=True,
    metavar="QUALITY",
    help="Leave action units, expression, valence and arousal of faces of less quality (0 to 1:"
    " covered, dark, far) empty.",
)
dla_core_option = click.option(
    "--dla-core",
    type=click.IntRange(0),
    metavar="N",
    help="Run on this DLA core of a Jetson (0 or 1; TensorRT only).",
)
min_face_size_option = click.option(
    "--min-face-size",
    default=24,
    type=click.IntRange(12),
    show_default=True,
    metavar="PIXELS",
    help="Smallest face to detect.",
)
rotate_option = click.option(
    "--rotate",
    default=AUTO_ROTATION,
    type=click.Choice((AUTO_ROTATION, *ROTATIONS)),
    show_default=True,
    help="Degrees clockwise that bring the frames upright; auto also looks for sideways faces "
    "where no upright one is found.",
)
detector_model_option = click.option(
    "--detector-model",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="ONNX file of the YuNet detector.",
)


def _column_groups(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[str, ...]:
    from faceaffect.sinks.columns import select_columns  # imports NumPy

    names = tuple(name.strip() for name in value.split(",") if name.strip())
    try:
        select_columns(names)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return names or ("default",)


columns_option = click.option(
    "--columns",
    default="default",
    show_default=True,
    metavar="GROUPS",
    callback=_column_groups,
    help="Columns to write, separated by commas: default, landmarks (x_0 ... y_67), intensity"
    " (of action units), eyes or all.",
)


def check_detector_model(detectors: Collection[str], detector_model: str | None) -> None:
    """Raise UsageError unless YuNet and the path of its model are passed together."""
    if YUNET in detectors and detector_model is None:
        raise click.UsageError(f"--detector {YUNET} needs --detector-model FILE")
    if YUNET not in detectors and detector_model is not None:
        raise click.UsageError(f"--detector-model is only used with --detector {YUNET}")
