"""The model specification (`spec.json`) that training writes, export copies and the SDK follows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from faceaffect.bundle.bundle_files import MAX_FILES, MAX_SPEC_BYTES, read_bundle_file
from faceaffect.bundle.bundle_files import SPEC_FILE as SPEC_FILE
from faceaffect.bundle.bundle_files import BundleError as BundleError
from faceaffect.bundle.json_value import JsonValue
from faceaffect.bundle.stage_spec import (
    HEAD_NAMES,
    AudioSpec,
    StageSpec,
    audio_from_json,
    stage_from_json,
    stage_to_json,
    validation_errors,
)
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES

SPEC_VERSION: Final[int] = 3
"""Version 1 has no stages: it is read as a single network with all heads. Version 3 adds
`au_intensity`.
"""

INTENSITY_KNOTS: Final = 6
"""Probabilities of an AU at which its intensity is 0, 1, ... 5."""

HEADS: Final[dict[str, tuple[int | str, ...]]] = {
    "au_nodes": (len(AU_NAMES), "D"),  # node features for the graph layer
    "expression_logit": (len(EXPRESSION_NAMES),),
    "va_raw": (2,),  # valence, arousal before tanh
    "landmarks_px": (68, 2),  # crop pixels, (0, 0) at the center of the first pixel
    "pose_deg": (3,),  # yaw, pitch, roll against the crop's axes
    "face_logit": (),  # a face that fills the crop, against anything else
    "quality_logit": (),  # whether landmarks and predictions can be trusted
}
"""Outputs of `model.onnx`, each [N, *shape]; D is free.

The only input is `crops`, float32 [N, 3, S, S], RGB.
"""

PRECISIONS: Final[dict[str, str]] = {
    "fp32": "model.onnx",
    "fp16": "model.fp16.onnx",
    "int8": "model.int8.onnx",
}
"""ONNX file of each precision. fp32 is required; `python -m export.add_precisions` adds others."""

AUTO_PRECISION: Final = "auto"
"""The fastest precision that both the device and the bundle support."""

INT8_CPU: Final = "int8-cpu"
INT8_CPU_FILE: Final = "model.int8-cpu.onnx"
"""int8 model for CPUs: their dot products take unsigned activations, TensorRT signed ones."""


@dataclass(frozen=True, slots=True)
class CropSpec:
    """Preprocessing: `(pixel / 255 - mean) / std` of an aligned RGB crop.

    Attributes:
        size_px: Side of the crop.
        mean: Mean of each channel.
        std: Standard deviation of each channel.
        part_mask_norm: Mean and std of a fourth channel, the face-part mask
            (`multistage.face_part_mask`); None if the model has no such channel.
        offset_y_px: Offset of the face below its template position, in pixels of a 112 px crop;
            10 in the crops distributed with Aff-Wild2.
    """

    size_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    part_mask_norm: tuple[float, float] | None = None
    offset_y_px: float = 0.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape [C, S, S] of the network's input crop."""
        return (3 if self.part_mask_norm is None else 4, self.size_px, self.size_px)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything that the SDK needs to know about a model besides its weights.

    A model is either one network with the outputs `HEADS` and a graph layer, or a chain of
    `stages` that predicts `heads` for each face. In the latter case the model `tracker` detects,
    tracks and aligns the faces.

    Attributes:
        name: Name of the model.
        license: License of code and weights, as text.
        crop: Preprocessing.
        au_names: `labels.AU_NAMES`.
        expression_names: `labels.EXPRESSION_NAMES`.
        au_thresholds: Probability from which each AU counts as active.
        files: File name -> SHA-256 in hexadecimal.
        au_neutral_logits: Median AU logits of neutral faces, for the per-person baseline.
        au_intensity: For each AU the increasing probabilities at which its intensity is 0, 1, ...
            5, linear in between; None if intensities were not calibrated.
        heads: Predicted heads, some of `stage_spec.HEAD_NAMES`.
        stages: Stages in execution order; empty for a single network.
        audio: Input of the stage `audio`.
        tracker: Name of the model that tracks faces for a multi-stage model.
        input_fps: Frame rate of the training videos; None: every frame is used.
        version: Version of the file format.
    """

    name: str
    license: str
    crop: CropSpec
    au_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    au_thresholds: tuple[float, ...]
    files: dict[str, str]
    au_neutral_logits: tuple[float, ...] | None = None
    au_intensity: tuple[tuple[float, ...], ...] | None = None
    heads: tuple[str, ...] = HEAD_NAMES
    stages: tuple[StageSpec, ...] = ()
    audio: AudioSpec | None = None
    tracker: str = ""
    input_fps: float | None = None
    version: int = SPEC_VERSION

    def save(self, folder: Path) -> None:
        """Write `spec.json` to `folder`."""
        raw = asdict(self) | {"stages": [stage_to_json(stage) for stage in self.stages]}
        (folder / SPEC_FILE).write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ModelSpec:
        """Read and validate `spec.json` of `folder`; raises BundleError."""
        path = folder / SPEC_FILE
        try:
            raw = json.loads(read_bundle_file(folder, SPEC_FILE, MAX_SPEC_BYTES).decode("utf-8"))
        except FileNotFoundError:
            raise BundleError(
                f"expected {SPEC_FILE} in {folder}, got none; give the folder that holds it"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BundleError(f"{path}: expected readable JSON: {reason}") from None
        return cls.from_json(raw, str(path))

    @property
    def uses_audio(self) -> bool:
        """Whether the model takes audio."""
        return self.audio is not None

    @classmethod
    def from_json(cls, raw: Any, where: str = SPEC_FILE) -> ModelSpec:
        """Validate parsed JSON and build the spec.

        Raises:
            BundleError: A field is missing, unknown or invalid; the message starts with `where`.
        """
        try:
            spec = cls._read(JsonValue(raw))
        except ValueError as error:
            raise BundleError(f"{where}: {error}") from None
        errors = [*spec._field_errors()] or [*spec._stage_errors()]
        if errors:
            raise BundleError(f"{where}: {'; '.join(errors)}")
        return spec

    @classmethod
    def _read(cls, raw: JsonValue) -> ModelSpec:
        version = raw.members().get("version", JsonValue(None, "version"))
        if version.integer(minimum=1) > SPEC_VERSION:
            raise version.expected(f"at most {SPEC_VERSION}; use a newer release of faceaffect")
        is_required = {f.name: f.default is MISSING for f in fields(cls)}
        spec = raw.fields([name for name, required in is_required.items() if required], is_required)
        return cls(
            name=spec["name"].text(),
            license=spec["license"].text(),
            crop=_crop_from_json(spec["crop"]),
            au_names=spec["au_names"].texts(),
            expression_names=spec["expression_names"].texts(),
            au_thresholds=spec["au_thresholds"].numbers(),
            files={name: digest.text() for name, digest in spec["files"].members().items()},
            au_neutral_logits=spec.get("au_neutral_logits").optional(JsonValue.numbers),
            au_intensity=spec.get("au_intensity").optional(
                lambda units: tuple(unit.numbers(INTENSITY_KNOTS) for unit in units.items())
            ),
            heads=spec.get("heads", [*HEAD_NAMES]).texts(),
            stages=tuple(stage_from_json(stage) for stage in spec.get("stages", []).items()),
            audio=spec.get("audio").optional(audio_from_json),
            tracker=spec.get("tracker", "").text(),
            input_fps=spec.get("input_fps").optional(JsonValue.number),
        )

    def _field_errors(self) -> Iterator[str]:
        if self.au_names != AU_NAMES or self.expression_names != EXPRESSION_NAMES:
            yield f"labels: expected {AU_NAMES} and {EXPRESSION_NAMES}, in this order"
        aus = len(AU_NAMES)
        thresholds = self.au_thresholds
        if len(thresholds) != aus or not all(0 < threshold < 1 for threshold in thresholds):
            yield f"au_thresholds: expected {aus} numbers in (0, 1), got {thresholds}"
        neutral = self.au_neutral_logits
        if neutral is not None and (len(neutral) != aus or not all(map(math.isfinite, neutral))):
            yield f"au_neutral_logits: expected {aus} finite numbers or null, got {neutral}"
        if self.au_intensity is not None and not _are_knots(self.au_intensity):
            yield (
                f"au_intensity: expected null or {INTENSITY_KNOTS} increasing numbers in [0, 1] for"
                f" each of {aus} AUs, got {self.au_intensity}"
            )
        crop = self.crop
        if len(self.files) > MAX_FILES:
            yield f"files: expected at most {MAX_FILES}, got {len(self.files)}"
        is_finite = all(math.isfinite(value) for value in (*crop.mean, *crop.std))
        if not 16 <= crop.size_px <= 1024 or not is_finite or min(crop.std) <= 0:
            yield f"crop: expected 16 <= size_px <= 1024, finite mean and std > 0, got {crop}"
        mean, std = crop.part_mask_norm or (0.0, 1.0)
        if not (math.isfinite(mean) and 0 < std < math.inf and abs(crop.offset_y_px) <= 56):
            yield (
                "crop: expected part_mask_norm of a finite mean and std > 0, "
                f"and |offset_y_px| <= 56, got {crop}"
            )
        if not self.heads or self.heads != tuple(name for name in HEAD_NAMES if name in self.heads):
            yield f"heads: expected some of {HEAD_NAMES} in this order, got {self.heads}"

    def _stage_errors(self) -> Iterator[str]:
        if not self.stages:
            plain_crop = CropSpec(self.crop.size_px, self.crop.mean, self.crop.std)
            stage_fields = (self.heads, self.tracker, self.audio, self.input_fps, self.crop)
            if stage_fields != (HEAD_NAMES, "", None, None, plain_crop):
                yield (
                    f"without stages a model has all heads {HEAD_NAMES} and no audio, tracker, "
                    "input_fps, part_mask_norm or offset_y_px"
                )
            return
        if self.input_fps is not None and not 0 < self.input_fps <= 1000:
            yield f"input_fps: expected a number in (0, 1000] or null, got {self.input_fps}"
        if not self.tracker:
            yield "tracker: expected the name of the model that tracks faces, got none"
        yield from validation_errors(self.stages, self.audio, self.heads, self.crop.shape)
        unlisted = [stage.file for stage in self.stages if stage.file not in self.files]
        if unlisted:
            yield f"files: expected an entry for each stage, missing {unlisted}"


def _are_knots(units: tuple[tuple[float, ...], ...]) -> bool:
    return len(units) == len(AU_NAMES) and all(
        knots[0] >= 0 and knots[-1] <= 1 and all(a < b for a, b in pairwise(knots))
        for knots in units
    )


def _crop_from_json(raw: JsonValue) -> CropSpec:
    crop = raw.fields(["size_px", "mean", "std"], ["part_mask_norm", "offset_y_px"])
    return CropSpec(
        crop["size_px"].integer(),
        _triple(crop["mean"]),
        _triple(crop["std"]),
        crop.get("part_mask_norm").optional(_pair),
        crop.get("offset_y_px", 0.0).number(),
    )


def _triple(raw: JsonValue) -> tuple[float, float, float]:
    red, green, blue = raw.numbers(3)
    return red, green, blue


def _pair(raw: JsonValue) -> tuple[float, float]:
    mean, std = raw.numbers(2)
    return mean, std
