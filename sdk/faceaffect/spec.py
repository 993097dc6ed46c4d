"""What a model wants and says: the contract that training writes, export carries and the SDK obeys (`spec.json`)."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES

SPEC_VERSION: Final[int] = 1
SPEC_FILE: Final[str] = "spec.json"

HEADS: Final[dict[str, tuple[int | str, ...]]] = {
    "au_nodes": (len(AU_NAMES), "D"),  # node features for the graph layer
    "expression_logit": (len(EXPRESSION_NAMES),),
    "va_raw": (2,),  # valence, arousal before tanh
    "landmarks_px": (68, 2),  # crop pixels, (0, 0) at the centre of the first pixel
    "pose_deg": (3,),  # yaw, pitch, roll against the crop's axes
    "face_logit": (),  # a face that fills the crop, against anything else
    "quality_logit": (),  # whether landmarks and read-outs can be trusted
}
"""Outputs of `model.onnx` by name, each [N, *shape]; D is free. Its one input is `crops`, float32 [N, 3, S, S], RGB."""


PRECISIONS: Final[dict[str, str]] = {"fp32": "model.onnx", "fp16": "model.fp16.onnx", "int8": "model.int8.onnx"}
"""The file of each precision; a bundle holds the first, and the others where `python -m export.precisions` wrote them."""


class BundleError(ValueError):
    """A model bundle that cannot be used: what was wanted, what came, what to do."""


@dataclass(frozen=True, slots=True)
class CropSpec:
    """The whole of preprocessing: `(pixel / 255 - mean) / std` of an aligned RGB crop of `size_px`."""

    size_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything the SDK must know of a model beside its weights."""

    name: str
    licence: str
    crop: CropSpec
    au_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    au_thresholds: tuple[float, ...]
    files: dict[str, str]  # file name -> SHA-256 in hexadecimal
    au_neutral_logits: tuple[float, ...] | None = None  # median AU logits of neutral faces, for the per-person baseline
    version: int = SPEC_VERSION

    def save(self, folder: Path) -> None:
        (folder / SPEC_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ModelSpec:
        path = folder / SPEC_FILE
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise BundleError(f"model bundle needs {SPEC_FILE}, none in {folder}; give the folder that holds it") from None
        except (OSError, ValueError, RecursionError) as error:
            raise BundleError(f"{path} must be readable JSON: {error}") from None
        return cls.from_json(raw, str(path))

    @classmethod
    def from_json(cls, raw: Any, where: str = SPEC_FILE) -> ModelSpec:
        """Check `raw` and build the spec; raises BundleError that names the field, what was wanted and what came."""
        if not isinstance(raw, dict):
            raise BundleError(f"{where} must hold a JSON object, got {type(raw).__name__}")
        if raw.get("version") != SPEC_VERSION:
            raise BundleError(
                f"{where}: version must be {SPEC_VERSION}, got {raw.get('version')!r}; "
                "export the model again or use the faceaffect release that made it"
            )
        names = {f.name for f in fields(cls)}
        needed = {f.name for f in fields(cls) if f.default is MISSING}
        missing, unknown = sorted(needed - raw.keys()), sorted(raw.keys() - names)
        if missing or unknown:
            raise BundleError(f"{where}: missing fields {missing}, unknown fields {unknown}")
        neutral = raw.get("au_neutral_logits")
        try:
            crop = CropSpec(
                size_px=int(raw["crop"]["size_px"]),
                mean=_triple(raw["crop"]["mean"]),
                std=_triple(raw["crop"]["std"]),
            )
            spec = cls(
                name=str(raw["name"]),
                licence=str(raw["licence"]),
                crop=crop,
                au_names=tuple(raw["au_names"]),
                expression_names=tuple(raw["expression_names"]),
                au_thresholds=tuple(float(value) for value in raw["au_thresholds"]),
                files={str(name): str(digest) for name, digest in raw["files"].items()},
                au_neutral_logits=None if neutral is None else tuple(float(value) for value in neutral),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise BundleError(f"{where}: a field has the wrong form: {error!r}") from None
        spec._check(where)
        return spec

    def _check(self, where: str) -> None:
        if self.au_names != AU_NAMES or self.expression_names != EXPRESSION_NAMES:
            raise BundleError(f"{where}: labels must be {AU_NAMES} and {EXPRESSION_NAMES}, in this order")
        if len(self.au_thresholds) != len(AU_NAMES) or not all(0 < t < 1 for t in self.au_thresholds):
            raise BundleError(f"{where}: au_thresholds must be {len(AU_NAMES)} numbers in (0, 1), got {self.au_thresholds}")
        neutral = self.au_neutral_logits
        if neutral is not None and (len(neutral) != len(AU_NAMES) or not all(map(math.isfinite, neutral))):
            raise BundleError(f"{where}: au_neutral_logits must be {len(AU_NAMES)} finite numbers or null, got {neutral}")
        is_finite = all(math.isfinite(value) for value in (*self.crop.mean, *self.crop.std))
        if not 16 <= self.crop.size_px <= 1024 or not is_finite or min(self.crop.std) <= 0:
            raise BundleError(f"{where}: crop must have 16 <= size_px <= 1024, finite mean and std > 0, got {self.crop}")


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
