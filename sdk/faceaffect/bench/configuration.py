"""Benchmark configurations: the points of the grid that the options span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from typing import TYPE_CHECKING, Any

from faceaffect.backends import BackendError, has_nvidia_gpu
from faceaffect.backends.option_names import BackendName, PrecisionName
from faceaffect.bundle.model_spec import AUTO_PRECISION
from faceaffect.errors import FaceAffectError

if TYPE_CHECKING:
    from faceaffect.pipeline import Pipeline


class BenchError(FaceAffectError, ValueError):
    """A benchmark that cannot be run, or a record that cannot be read."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Pipeline options and workload of one measurement.

    `size` (width, height) and `num_faces` None: as in the source. `yunet` is a YuNet model file,
    `dla_core` a core of a Jetson's deep learning accelerator.
    """

    model: str | None = None
    backend: BackendName = "auto"
    device: str = "auto"
    precision: PrecisionName = "auto"
    size: tuple[int, int] | None = None
    num_faces: int | None = None
    threads: int = 1
    streams: int = 1
    max_faces: int = 8
    min_face_size_px: int = 24
    yunet: str | None = None
    dla_core: int | None = None
    detector: str | None = None

    @property
    def key(self) -> str:
        """Description that is equal for equal configurations only."""
        parts = [
            self.model or "default",
            self.backend,
            self.precision,
            self.device,
            "source size" if self.size is None else f"{self.size[0]}x{self.size[1]}",
            "source faces" if self.num_faces is None else counted(self.num_faces, "face"),
            counted(self.threads, "thread"),
            counted(self.streams, "stream"),
            *self.unusual_options().values(),
        ]
        return ", ".join(parts)

    def unusual_options(self) -> dict[str, str]:
        """Describe, by field, the options that seldom differ from their defaults."""
        defaults = Configuration()
        parts = {}
        if self.max_faces != max(defaults.max_faces, self.num_faces or 1):
            parts["max_faces"] = f"at most {counted(self.max_faces, 'face')}"
        if self.min_face_size_px != defaults.min_face_size_px:
            parts["min_face_size_px"] = f"faces from {self.min_face_size_px} px"
        if self.dla_core is not None:
            parts["dla_core"] = f"DLA core {self.dla_core}"
        if self.detector is not None:
            parts["detector"] = f"{self.detector} detector"
        if self.yunet:
            parts["yunet"] = "yunet"
        return parts

    @property
    def gpu(self) -> str:
        """The GPU that will be used, like `cuda:0`; empty on the CPU."""
        if self.device != "auto":
            return self.device if self.device.startswith("cuda") else ""
        return "cuda:0" if self.backend in ("auto", "tensorrt") and has_nvidia_gpu() else ""

    def open(self) -> Pipeline:
        """Open the pipeline.

        Raises:
            BackendError: It would run with another precision or device than configured.
        """
        from faceaffect.pipeline import open_pipeline

        pipeline = open_pipeline(
            self.model,
            backend=self.backend,
            device=self.device,
            threads=self.threads,
            precision=self.precision,
            dla_core=self.dla_core,
            max_faces=max(self.max_faces, self.num_faces or 1),
            min_face_size_px=self.min_face_size_px,
            detector=self.yunet or self.detector,
        )
        # Backend `auto` may fall back to the CPU: fine for an analysis, but another measurement.
        info = pipeline.describe()
        precision = info["precision"].replace("float", "fp")
        is_other_precision = self.precision not in (AUTO_PRECISION, precision)
        if is_other_precision or self.device not in ("auto", info["device"]):
            pipeline.close()
            raise BackendError(
                f"expected --precision {self.precision} and --device {self.device}, got "
                f"{info['backend']} in {info['precision']} on {info['device']}; "
                "name the --backend to see why, or request what runs here"
            )
        return pipeline

    def as_json(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Any) -> Configuration:
        """Return the configuration that `as_json` wrote.

        Raises:
            BenchError: Fields are missing or unknown.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(raw, dict) or set(raw) != set(names):
            raise BenchError(f"expected a configuration with {names}, got {raw!r:.200}")
        size = raw["size"]
        return cls(**{**raw, "size": None if size is None else (int(size[0]), int(size[1]))})


def span_grid(choices: dict[str, Sequence[Any]], **fixed: Any) -> list[Configuration]:
    """Return the unique combinations of `choices`, the last field varying fastest.

    Args:
        choices: Values by field of `Configuration`.
        fixed: Fields that all configurations share.
    """
    grid = [
        Configuration(**fixed, **dict(zip(choices, values, strict=True)))
        for values in product(*choices.values())
    ]
    return list(dict.fromkeys(grid))


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one."""
    return f"{count} {noun}{'s' if count != 1 else ''}"
