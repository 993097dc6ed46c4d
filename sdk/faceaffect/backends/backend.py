"""The interface of inference backends, their options and checks that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from faceaffect.bundle.model_spec import HEADS, BundleError
from faceaffect.errors import FaceAffectError
from faceaffect.types import FloatArray, Frame

DEFAULT_MAX_FACES: Final[int] = 8

HeadOutputs = dict[str, FloatArray]
"""Raw network outputs [N, ...] by the names of `model_spec.HEADS`."""


class BackendError(FaceAffectError, RuntimeError):
    """A backend that cannot be used here: which, why, and what to do.

    Examples:
        >>> import faceaffect as fa
        >>> issubclass(fa.BackendError, RuntimeError)
        True
    """


class Backend(Protocol):
    """A network that is ready to run.

    An instance may be used by one thread at a time; results may share its buffers.
    """

    name: str
    precision: str
    version: str

    def infer(self, crops: FloatArray) -> HeadOutputs:
        """Run the network on crops [N, 3, S, S], N >= 1."""
        ...


@runtime_checkable
class FrameBackend(Protocol):
    """A backend that crops the faces on the device that runs the network.

    It adds the head `au_logit` [N, 12].
    """

    def infer_frame(
        self, frame: Frame, crop_to_frame: FloatArray
    ) -> tuple[HeadOutputs, FloatArray]:
        """Crop the faces of a frame and run the network.

        Args:
            frame: The image.
            crop_to_frame: Transforms from crop to frame pixels [N, 2, 3], N >= 1.

        Returns:
            The head outputs, and `appearance.sample_grid` of the crops [N, 3, 12, 12].
        """
        ...

    def infer_frames(
        self, frames: Sequence[tuple[Frame, FloatArray]]
    ) -> tuple[HeadOutputs, FloatArray]:
        """As `infer_frame` for the faces of several frames, each with 1 face or more."""
        ...


WAIT_MODES: Final = ("auto", "spin", "yield", "block")


@dataclass(frozen=True, slots=True)
class TensorRTOptions:
    """Options of the TensorRT backend alone.

    Attributes:
        optimization_level: 0 to 5: higher levels build longer, and the engine may be faster; None:
            TensorRT's default.
        profile_per_batch_size: Whether the engine is tuned for each batch size instead of for one
            face; the build takes as many times longer.
        zero_copy: Whether the GPU reads pixels from and writes results to pinned host memory
            instead of copying them, for GPUs that share the host's memory, as on a Jetson.
        wait: One of `WAIT_MODES`: how the host waits for the GPU. "spin" has the least latency and
            keeps a core busy, "block" the least load, "auto" leaves it to CUDA. It applies if
            nothing in the process has used the GPU yet.
    """

    optimization_level: int | None = None
    profile_per_batch_size: bool = False
    zero_copy: bool = False
    wait: str = "auto"

    def __post_init__(self) -> None:
        if self.optimization_level is not None and not 0 <= self.optimization_level <= 5:
            raise BackendError(
                f"expected an optimization level from 0 to 5, got {self.optimization_level}"
            )
        if self.wait not in WAIT_MODES:
            raise BackendError(f"expected wait to be one of {WAIT_MODES}, got {self.wait!r}")


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """Options of all backends; each uses those that apply to it.

    Attributes:
        threads: Threads of a CPU backend.
        precision: One of `model_spec.PRECISIONS`, or "auto".
        max_faces: Largest batch of an engine.
        dla_core: Deep-learning accelerator of a Jetson; None: the GPU.
        tensorrt: Options of TensorRT.
    """

    threads: int = 1
    precision: str = "fp32"
    max_faces: int = DEFAULT_MAX_FACES
    dla_core: int | None = None
    tensorrt: TensorRTOptions = TensorRTOptions()


def require_cpu(name: str, device: str, options: BackendOptions) -> None:
    """Raise BackendError unless device and options select the CPU."""
    if device not in ("cpu", "auto"):
        raise BackendError(
            f"backend {name!r} runs on device 'cpu' only, got {device!r}; "
            "use --backend tensorrt for a GPU"
        )
    if options.dla_core is not None:
        raise BackendError(
            f"backend {name!r} runs on the CPU, got DLA core {options.dla_core}; "
            "use --backend tensorrt"
        )


def check_outputs(names: set[str], file: str | Path) -> None:
    """Raise BundleError unless the network in `file` has an output for every head."""
    missing = sorted(HEADS.keys() - names)
    if missing:
        raise BundleError(f"{file}: expected the outputs {sorted(HEADS)}, missing {missing}")
