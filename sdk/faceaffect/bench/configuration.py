"""What is measured: one point of the grid that the options span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from typing import TYPE_CHECKING, Any

from faceaffect.backends import BackendError, has_nvidia_gpu
from faceaffect.bundle.model_spec import AUTO_PRECISION
from faceaffect.errors import FaceAffectError

if TYPE_CHECKING:
    from faceaffect.pipeline import Pipeline


class BenchError(FaceAffectError, ValueError):
    """A benchmark that cannot be run or read: what was wanted, what came, what to do."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """`size` (width, height) and `faces` None: as the source has them; `dla` is the core of a
    Jetson's accelerator.
    """

    model: str | None = None
    backend: str = "auto"
    device: str = "auto"
    precision: str = AUTO_PRECISION
    size: tuple[int, int] | None = None
    faces: int | None = None
    threads: int = 1
    streams: int = 1
    max_faces: int = 8
    min_face_size_px: int = 40
    yunet: str | None = None
    dla: int | None = None
    detector: str | None = None

    @property
    def key(self) -> str:
        """Says what sets this configuration apart; the same text is the same configuration."""
        size = "own size" if self.size is None else f"{self.size[0]}x{self.size[1]}"
        faces = "own faces" if self.faces is None else _counted(self.faces, "face")
        parts = [self.model or "default", self.backend, self.precision, self.device, size, faces]
        parts += [_counted(self.threads, "thread"), _counted(self.streams, "stream")]
        usual = Configuration(faces=self.faces)
        if self.max_faces != max(usual.max_faces, self.faces or 1):
            parts.append(f"at most {_counted(self.max_faces, 'face')}")
        if self.min_face_size_px != usual.min_face_size_px:
            parts.append(f"faces from {self.min_face_size_px} px")
        parts += [] if self.dla is None else [f"DLA core {self.dla}"]
        parts += [] if self.detector is None else [f"{self.detector} detector"]
        return ", ".join([*parts, *(["yunet"] if self.yunet else [])])

    @property
    def gpu(self) -> str:
        """The GPU that will be used, like `cuda:0`; empty where none will."""
        if self.device != "auto":
            return self.device if self.device.startswith("cuda") else ""
        return "cuda:0" if self.backend in ("auto", "tensorrt") and has_nvidia_gpu() else ""

    def open(self) -> Pipeline:
        """The pipeline that is asked for. Raises BackendError where another precision or device
        would run.
        """
        from faceaffect.pipeline import open_pipeline

        pipeline = open_pipeline(
            self.model,
            backend=self.backend,
            device=self.device,
            threads=self.threads,
            precision=self.precision,
            dla_core=self.dla,
            max_faces=max(self.max_faces, self.faces or 1),
            min_face_size_px=self.min_face_size_px,
            detector=self.yunet or self.detector,
        )
        # The backend `auto` may step down to the CPU: fine for an analysis, another measurement for
        # a benchmark.
        runs = pipeline.describe()
        is_other = self.precision not in (AUTO_PRECISION, runs["precision"].replace("float", "fp"))
        if is_other or self.device not in ("auto", runs["device"]):
            pipeline.close()
            raise BackendError(
                f"--precision {self.precision} and --device {self.device} were asked for, {runs['backend']} would run in "
                f"{runs['precision']} on {runs['device']}; name the --backend to see why, or ask for what runs here"
            )
        return pipeline

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Any) -> Configuration:
        """Raises BenchError where `raw` is none. Records made before detectors could be chosen name
        none.
        """
        raw = {"detector": None, **raw} if isinstance(raw, dict) else raw
        if not isinstance(raw, dict) or set(raw) != {field.name for field in fields(cls)}:
            raise BenchError(
                f"a configuration must have {[field.name for field in fields(cls)]}, got {raw!r:.200}"
            )
        size = raw["size"]
        return cls(**{**raw, "size": None if size is None else (int(size[0]), int(size[1]))})


def span_grid(choices: dict[str, Sequence[Any]], **fixed: Any) -> list[Configuration]:
    """Every combination of `choices`, which names fields of a configuration; the last one varies
    fastest.
    """
    grid = [
        Configuration(**fixed, **dict(zip(choices, values, strict=True)))
        for values in product(*choices.values())
    ]
    return list(dict.fromkeys(grid))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"
