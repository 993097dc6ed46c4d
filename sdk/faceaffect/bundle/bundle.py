"""Opens model bundles: folders of `spec.json`, `model.onnx`, `graph.safetensors` and a model card.

The spec holds the SHA-256 of every other file. `multistage_bundle` opens models made of stages.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from platformdirs import user_data_path

from faceaffect.bundle.bundle_files import CARD_FILE as CARD_FILE
from faceaffect.bundle.bundle_files import (
    MAX_BUNDLE_BYTES,
    MAX_FILE_BYTES,
    MAX_GRAPH_BYTES,
    SPEC_FILE,
    BundleError,
    read_bundle_file,
)
from faceaffect.bundle.bundle_files import SHIPPED_MODELS_DIR as SHIPPED_MODELS_DIR
from faceaffect.bundle.check_onnx import check_onnx
from faceaffect.bundle.fp16_delta import FP16_DELTA_FILE, decode_fp16
from faceaffect.bundle.int8_delta import INT8_CPU_DELTA_FILE, decode_int8
from faceaffect.bundle.model_spec import (
    INT8_CPU,
    INT8_CPU_FILE,
    PRECISIONS,
    ModelSpec,
)
from faceaffect.kernels import GcnWeights

MODEL_FILE: Final[str] = PRECISIONS["fp32"]
GRAPH_FILE: Final[str] = "graph.safetensors"
DEFAULT_NAME: Final[str] = "default"
MODELS_VARIABLE: Final[str] = "FACEAFFECT_MODELS"
"""Environment variable that lists further folders of bundles."""

_DELTAS: Final[dict[str, tuple[str, Callable[[bytes, bytes], bytes]]]] = {
    "fp16": (FP16_DELTA_FILE, decode_fp16),
    INT8_CPU: (INT8_CPU_DELTA_FILE, decode_int8),
}
"""Delta file of a precision and its decoder: (fp32 file, delta file) -> ONNX file."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. File contents are the very bytes that were hashed.

    Attributes:
        path: Folder of the bundle.
        spec: Its specification.
        onnx: Content of the fp32 ONNX file.
        graph: Weights of the graph layer.
        networks: Precision -> ONNX file, for precisions other than fp32 that are stored in full.
        deltas: Precision -> delta file, for precisions that are stored as a delta.
    """

    path: Path
    spec: ModelSpec
    onnx: bytes
    graph: GcnWeights
    networks: Mapping[str, bytes] = field(default_factory=dict)
    deltas: Mapping[str, bytes] = field(default_factory=dict)

    def has(self, precision: str) -> bool:
        """Whether the bundle contains a model of this precision."""
        return precision == "fp32" or precision in self.networks or precision in self.deltas


def model_bytes(bundle: Bundle, precision: str) -> bytes:
    """Content of the ONNX file of a precision (or `INT8_CPU`), checked by `check_onnx`.

    Raises:
        BundleError: The bundle has no such model, its delta does not fit its fp32 model, or the
            model is not allowed.
    """
    content = _model_bytes(bundle, precision)
    check_onnx(content, bundle.path / {**PRECISIONS, INT8_CPU: INT8_CPU_FILE}[precision])
    return content


def _model_bytes(bundle: Bundle, precision: str) -> bytes:
    if precision == "fp32":
        return bundle.onnx
    if precision in bundle.networks:
        return bundle.networks[precision]
    if precision in bundle.deltas:
        file, decode = _DELTAS[precision]
        try:
            return decode(bundle.onnx, bundle.deltas[precision])
        except ValueError as error:
            raise BundleError(f"{bundle.path / file}: {error}") from None
    file = INT8_CPU_FILE if precision == INT8_CPU else PRECISIONS[precision]
    raise BundleError(
        f"{bundle.path}: expected {file} for precision {precision}, got none; "
        "use --precision fp32, or add it in a checkout of faceaffect with face images: "
        f"`python -m export.add_precisions {bundle.path} --precision {precision} --faces IMAGES`"
    )


def user_models_dir() -> Path:
    """Folder of downloaded bundles: `faceaffect/models` in the user's data folder."""
    return user_data_path("faceaffect", appauthor=False) / "models"


def list_bundles() -> list[Path]:
    """Folders of all bundles: shipped, downloaded, and in the folders of `MODELS_VARIABLE`."""
    extra = [Path(part) for part in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep) if part]
    bundles: list[Path] = []
    for folder in [SHIPPED_MODELS_DIR, user_models_dir(), *extra]:
        if (folder / SPEC_FILE).is_file():
            bundles.append(folder)
        if folder.is_dir():
            bundles += sorted(
                child
                for child in folder.iterdir()
                if child.name[0] != "." and (child / SPEC_FILE).is_file()
            )
    return bundles


def find_bundle(model: str | Path | None = None) -> Path:
    """Folder of a bundle.

    Args:
        model: A folder, else the name of a listed bundle; None means the default model, whatever
            folders lie in the current one.

    Raises:
        BundleError: There is neither.
    """
    path = None if model is None else Path(model)
    if path is not None and (path / SPEC_FILE).is_file():
        return path
    folder, names = _find_by_name(DEFAULT_NAME if model is None else str(model))
    if folder is None and path is not None and path.is_dir():
        return path  # what it lacks is said when it is opened
    if folder is None:
        raise BundleError(f"model must be a bundle folder or one of {names}, got {str(model)!r}")
    return folder


def find_tracker_bundle(spec: ModelSpec) -> Path:
    """Folder of the model that tracks faces for a multi-stage model: by name, never by path."""
    folder, names = _find_by_name(spec.tracker)
    if folder is None:
        raise BundleError(
            f"model {spec.name!r}: expected the model {spec.tracker!r} for face tracking, "
            f"got {names}; put it into a folder listed in {MODELS_VARIABLE}"
        )
    return folder


def _find_by_name(name: str) -> tuple[Path | None, list[str]]:
    bundles = {folder.name: folder for folder in list_bundles()}
    return bundles.get(name), sorted(bundles)


def open_bundle(model: str | Path | None = None) -> Bundle:
    """Read and verify a bundle.

    Args:
        model: See `find_bundle`.

    Raises:
        BundleError: A file is missing, a checksum is wrong or the spec is not usable.
    """
    path = find_bundle(model)
    spec = ModelSpec.load(path)
    if spec.stages:
        raise BundleError(
            f"{path}: expected a single network with a graph layer, got the stages "
            f"{[stage.name for stage in spec.stages]}; analyze and bench run such a model, "
            "build-engine and export.* do not"
        )
    missing = {MODEL_FILE, GRAPH_FILE} - spec.files.keys()
    if missing:
        raise BundleError(
            f"{path / SPEC_FILE}: files: expected {MODEL_FILE} and {GRAPH_FILE}, "
            f"missing {sorted(missing)}"
        )
    contents = read_files(path, spec)
    try:
        graph = GcnWeights.from_bytes(contents[GRAPH_FILE])
    except ValueError as error:
        raise BundleError(f"{path / GRAPH_FILE}: {error}") from None
    files = {**PRECISIONS, INT8_CPU: INT8_CPU_FILE}
    networks = {
        name: contents[file]
        for name, file in files.items()
        if file in contents and file != MODEL_FILE
    }
    deltas = {name: contents[file] for name, (file, _) in _DELTAS.items() if file in contents}
    return Bundle(path, spec, contents[MODEL_FILE], graph, networks, deltas)


def read_files(path: Path, spec: ModelSpec) -> dict[str, bytes]:
    """Read and verify all files that a spec lists; raises BundleError."""
    contents = dict[str, bytes]()
    left_bytes = MAX_BUNDLE_BYTES
    for name, digest in spec.files.items():
        max_bytes = MAX_GRAPH_BYTES if name == GRAPH_FILE else MAX_FILE_BYTES
        contents[name] = _read_verified(path, name, digest, min(max_bytes, left_bytes))
        left_bytes -= len(contents[name])
    return contents


def _read_verified(folder: Path, name: str, expected: str, max_bytes: int) -> bytes:
    path = folder / name
    if path.parent != folder or not name:
        raise BundleError(
            f"{folder / SPEC_FILE}: files: expected plain names inside the bundle, got {name!r}"
        )
    try:
        content = read_bundle_file(folder, name, max_bytes)
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise BundleError(f"model bundle needs {name}, which cannot be read: {error}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected.lower():
        raise BundleError(
            f"{path}: expected SHA-256 {expected}, got {digest}; "
            "the file is damaged or was changed: download the bundle again"
        )
    return content
