"""What a model wants and says: the contract that training writes, export carries and the SDK obeys
(`spec.json`).
"""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from faceaffect.bundle.stage_spec import (
    HEAD_NAMES,
    AudioSpec,
    StageSpec,
    audio_from_json,
    validation_errors,
    stage_from_json,
    stage_to_json,
)
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES

SPEC_VERSION: Final[int] = 2
"""Version 1 knew no stages: such a spec is read as one of a single network with all heads."""
SPEC_FILE: Final[str] = "spec.json"

HEADS: Final[dict[str, tuple[int | str, ...]]] = {
    "au_nodes": (len(AU_NAMES), "D"),  # node features for the graph layer
    "expression_logit": (len(EXPRESSION_NAMES),),
    "va_raw": (2,),  # valence, arousal before tanh
    "landmarks_px": (68, 2),  # crop pixels, (0, 0) at the center of the first pixel
    "pose_deg": (3,),  # yaw, pitch, roll against the crop's axes
    "face_logit": (),  # a face that fills the crop, against anything else
    "quality_logit": (),  # whether landmarks and read-outs can be trusted
}
"""Outputs of `model.onnx` by name, each [N, *shape]; D is free. Its one input is `crops`, float32
[N, 3, S, S], RGB.
"""


PRECISIONS: Final[dict[str, str]] = {
    "fp32": "model.onnx",
    "fp16": "model.fp16.onnx",
    "int8": "model.int8.onnx",
}
"""The file of each precision; a bundle holds the first, and the others where `python -m
export.add_precisions` wrote them.
"""

AUTO_PRECISION: Final = "auto"  # the fastest that the place and the bundle are made for

INT8_CPU: Final = "int8-cpu"
INT8_CPU_FILE: Final = "model.int8-cpu.onnx"
"""The int8 network of CPUs, whose dot products want unsigned activations; TensorRT wants signed
ones.
"""


class BundleError(ValueError):
    """A model bundle that cannot be used: what was wanted, what came, what to do."""


@dataclass(frozen=True, slots=True)
class CropSpec:
    """The whole of preprocessing: `(pixel / 255 - mean) / std` of an aligned RGB crop of `size_px`.

    `part_mask_norm`, where there, is mean and std of a fourth channel, the image of facial parts
    (`part_mask`). The face lies `offset_y_px` (of a crop of 112 px) below where the template has
    it: 10 in the crops that come with Aff-Wild2.
    """

    size_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    part_mask_norm: tuple[float, float] | None = None
    offset_y_px: float = 0.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a crop that the network takes."""
        return (3 if self.part_mask_norm is None else 4, self.size_px, self.size_px)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything the SDK must know of a model beside its weights.

    A model is one network of `HEADS` with its graph layer, or, where `stages` are named, a chain
    of them that reads `heads` off each face while the model `tracker` finds, follows and places
    faces.
    """

    name: str
    license: str
    crop: CropSpec
    au_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    au_thresholds: tuple[float, ...]
    files: dict[str, str]  # file name -> SHA-256 in hexadecimal
    au_neutral_logits: tuple[float, ...] | None = (
        None  # median AU logits of neutral faces, for the per-person baseline
    )
    heads: tuple[str, ...] = HEAD_NAMES
    stages: tuple[StageSpec, ...] = ()
    audio: AudioSpec | None = None
    tracker: str = ""
    input_fps: float | None = (
        None  # frames of a face a second that the model was trained on; None: each frame counts
    )
    version: int = SPEC_VERSION

    def save(self, folder: Path) -> None:
        raw = asdict(self) | {"stages": [stage_to_json(stage) for stage in self.stages]}
        (folder / SPEC_FILE).write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ModelSpec:
        path = folder / SPEC_FILE
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise BundleError(
                f"model bundle needs {SPEC_FILE}, none in {folder}; give the folder that holds it"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise BundleError(f"{path} must be readable JSON: {error}") from None
        return cls.from_json(raw, str(path))

    @property
    def uses_audio(self) -> bool:
        return self.audio is not None

    @classmethod
    def from_json(cls, raw: Any, where: str = SPEC_FILE) -> ModelSpec:
        """Check `raw` and build the spec; raises BundleError that names the field, what was wanted
        and what came.
        """
        if not isinstance(raw, dict):
            raise BundleError(f"{where} must hold a JSON object, got {type(raw).__name__}")
        if raw.get("version") not in range(1, SPEC_VERSION + 1) or isinstance(raw["version"], bool):
            raise BundleError(
                f"{where}: version must be 1 to {SPEC_VERSION}, got {raw.get('version')!r}; "
                "export the model again or use the faceaffect release that made it"
            )
        names = {f.name for f in fields(cls)}
        needed = {f.name for f in fields(cls) if f.default is MISSING}
        missing, unknown = sorted(needed - raw.keys()), sorted(raw.keys() - names)
        if missing or unknown:
            raise BundleError(f"{where}: missing fields {missing}, unknown fields {unknown}")
        neutral = raw.get("au_neutral_logits")
        try:
            spec = cls(
                name=str(raw["name"]),
                license=str(raw["license"]),
                crop=_crop(raw["crop"]),
                au_names=tuple(raw["au_names"]),
                expression_names=tuple(raw["expression_names"]),
                au_thresholds=tuple(float(value) for value in raw["au_thresholds"]),
                files={str(name): str(digest) for name, digest in raw["files"].items()},
                au_neutral_logits=None
                if neutral is None
                else tuple(float(value) for value in neutral),
                heads=tuple(str(name) for name in raw.get("heads", HEAD_NAMES)),
                stages=tuple(stage_from_json(stage) for stage in raw.get("stages", ())),
                audio=audio_from_json(raw.get("audio")),
                tracker=str(raw.get("tracker", "")),
                input_fps=None if raw.get("input_fps") is None else float(raw["input_fps"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise BundleError(f"{where}: a field has the wrong form: {error!r}") from None
        spec._check(where)
        return spec

    def _check(self, where: str) -> None:
        if self.au_names != AU_NAMES or self.expression_names != EXPRESSION_NAMES:
            raise BundleError(
                f"{where}: labels must be {AU_NAMES} and {EXPRESSION_NAMES}, in this order"
            )
        if len(self.au_thresholds) != len(AU_NAMES) or not all(
            0 < t < 1 for t in self.au_thresholds
        ):
            raise BundleError(
                f"{where}: au_thresholds must be {len(AU_NAMES)} numbers in (0, 1), got {self.au_thresholds}"
            )
        neutral = self.au_neutral_logits
        if neutral is not None and (
            len(neutral) != len(AU_NAMES) or not all(map(math.isfinite, neutral))
        ):
            raise BundleError(
                f"{where}: au_neutral_logits must be {len(AU_NAMES)} finite numbers or null, got {neutral}"
            )
        is_finite = all(math.isfinite(value) for value in (*self.crop.mean, *self.crop.std))
        if not 16 <= self.crop.size_px <= 1024 or not is_finite or min(self.crop.std) <= 0:
            raise BundleError(
                f"{where}: crop must have 16 <= size_px <= 1024, finite mean and std > 0, got {self.crop}"
            )
        parts = self.crop.part_mask_norm or (0.0, 1.0)
        if not (
            math.isfinite(parts[0]) and 0 < parts[1] < math.inf and abs(self.crop.offset_y_px) <= 56
        ):
            raise BundleError(
                f"{where}: crop must have part_mask_norm of finite mean and std > 0, and |offset_y_px| <= 56, got {self.crop}"
            )
        self._check_stages(where)

    def _check_stages(self, where: str) -> None:
        if not self.heads or self.heads != tuple(name for name in HEAD_NAMES if name in self.heads):
            raise BundleError(
                f"{where}: heads must be some of {HEAD_NAMES} in this order, got {self.heads}"
            )
        if not self.stages:
            if (self.heads, self.tracker, self.audio, self.input_fps, self.crop) != (
                HEAD_NAMES,
                "",
                None,
                None,
                _plain(self.crop),
            ):
                raise BundleError(
                    f"{where}: without stages a model has all heads {HEAD_NAMES}, no audio, tracker nor input_fps"
                )
            return
        if self.input_fps is not None and not 0 < self.input_fps <= 1000:
            raise BundleError(
                f"{where}: input_fps must be frames a second from 0 to 1000 or null, got {self.input_fps}"
            )
        if not self.tracker:
            raise BundleError(
                f"{where}: a model of stages must name the model that follows faces (field tracker)"
            )
        unlisted = [stage.file for stage in self.stages if stage.file not in self.files]
        found = [*validation_errors(self.stages, self.audio, self.heads, self.crop.shape)]
        found += [f"files must name {unlisted}"] if unlisted else []
        if found:
            raise BundleError(f"{where}: {'; '.join(found)}")


def _plain(crop: CropSpec) -> CropSpec:
    return CropSpec(crop.size_px, crop.mean, crop.std)


def _crop(raw: Any) -> CropSpec:
    parts = raw.get("part_mask_norm")
    if parts is not None:
        mean, std = (float(value) for value in parts)
        parts = (mean, std)
    offset_y_px = float(raw.get("offset_y_px", 0.0))
    return CropSpec(
        int(raw["size_px"]), _triple(raw["mean"]), _triple(raw["std"]), parts, offset_y_px
    )


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
