"""Model bundles: a folder of `spec.json`, `model.onnx`, `graph.safetensors` and a card, every file
under its checksum.

Models that are made of stages have files of their own, see `staged_bundle`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from faceaffect.bundle.fp16_delta import HALVES_FILE, half_network
from faceaffect.bundle.int8_delta import INT8_CPU_BORROWED_FILE, borrowed_network
from faceaffect.bundle.model_spec import (
    INT8_CPU,
    INT8_CPU_FILE,
    PRECISIONS,
    SPEC_FILE,
    BundleError,
    ModelSpec,
)
from faceaffect.kernels import GcnWeights

MODEL_FILE: Final[str] = PRECISIONS["fp32"]
GRAPH_FILE: Final[str] = "graph.safetensors"
CARD_FILE: Final[str] = "MODEL_CARD.md"
SHIPPED_FOLDER: Final[Path] = Path(__file__).parent / "models"
DEFAULT_NAME: Final[str] = "default"
FOLDERS_VARIABLE: Final[str] = "FACEAFFECT_MODELS"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checked bundle. `onnx` holds the very bytes that the checksum was taken of, so nothing can
    change in between.
    """

    path: Path
    spec: ModelSpec
    onnx: bytes
    graph: GcnWeights
    networks: Mapping[str, bytes] = field(
        default_factory=dict
    )  # further precisions that have files of their own, by name
    told: Mapping[str, bytes] = field(
        default_factory=dict
    )  # those told by how they differ from fp32: what the files hold

    def has(self, precision: str) -> bool:
        """Whether `model_bytes` gives this one."""
        return precision == "fp32" or precision in self.networks or precision in self.told


_TOLD: Final[dict[str, tuple[str, Callable[[bytes, bytes], bytes]]]] = {
    "fp16": (HALVES_FILE, half_network),
    INT8_CPU: (INT8_CPU_BORROWED_FILE, borrowed_network),
}
"""File, and what makes the network of fp32 and the file."""


def model_bytes(bundle: Bundle, precision: str) -> bytes:
    """The ONNX network of a precision (or `INT8_CPU`); raises BundleError where the bundle holds
    none.
    """
    if precision == "fp32":
        return bundle.onnx
    if precision in bundle.networks:
        return bundle.networks[precision]
    if precision in bundle.told:
        file, read = _TOLD[precision]
        try:
            return read(bundle.onnx, bundle.told[precision])
        except ValueError as error:
            raise BundleError(f"{bundle.path / file}: {error}") from None
    file = INT8_CPU_FILE if precision == INT8_CPU else PRECISIONS[precision]
    raise BundleError(
        f"{bundle.path}: {file} is wanted for precision {precision}, this bundle holds none. In a checkout "
        f"of faceaffect, with images of faces: `python -m export.add_precisions {bundle.path} --precision {precision} --faces "
        "IMAGES`; or use --precision fp32"
    )


def data_folder() -> Path:
    """Where bundles of the user lie: `faceaffect/models` in the user's data folder."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "faceaffect" / "models"
    return (
        Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        / "faceaffect"
        / "models"
    )


def list_bundles() -> list[Path]:
    """Folders that hold a bundle: shipped, fetched by `models get`, and those in the folders that
    FACEAFFECT_MODELS names.
    """
    extra = [Path(part) for part in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if part]
    found: list[Path] = []
    for folder in [SHIPPED_FOLDER, data_folder(), *extra]:
        if (folder / SPEC_FILE).is_file():
            found.append(folder)
        if folder.is_dir():
            found += sorted(
                child
                for child in folder.iterdir()
                if child.name[0] != "." and (child / SPEC_FILE).is_file()
            )
    return found


def find_bundle(model: str | Path | None = None) -> Path:
    """The folder of a bundle: `model` as a path, else as the name of a listed bundle; None means
    the default.
    """
    if model is None:
        model = DEFAULT_NAME
    path = Path(model)
    if path.is_dir():
        return path
    found, listed = _listed(str(model))
    if found is None:
        raise BundleError(f"model must be a bundle folder or one of {listed}, got {str(model)!r}")
    return found


def find_tracker_bundle(spec: ModelSpec) -> Path:
    """The folder of the model that follows faces for a model of stages: a listed one, never a path."""
    found, listed = _listed(spec.tracker)
    if found is None:
        raise BundleError(
            f"model {spec.name!r} needs the model {spec.tracker!r} to follow faces, there are {listed}; put it into a folder "
            f"that {FOLDERS_VARIABLE} names"
        )
    return found


def _listed(name: str) -> tuple[Path | None, list[str]]:
    listed = {folder.name: folder for folder in list_bundles()}
    return listed.get(name), sorted(listed)


def open_bundle(model: str | Path | None = None) -> Bundle:
    """Read and check a bundle; raises BundleError on a missing file, a wrong checksum or an
    unusable spec.
    """
    path = find_bundle(model)
    spec = ModelSpec.load(path)
    if spec.stages:
        raise BundleError(
            f"{path}: one network with a graph layer is wanted here, this bundle is made of the stages "
            f"{[stage.name for stage in spec.stages]}; analyze and bench run such a model, build and export.* do not"
        )
    missing = {MODEL_FILE, GRAPH_FILE} - spec.files.keys()
    if missing:
        raise BundleError(
            f"{path / SPEC_FILE}: files must name {MODEL_FILE} and {GRAPH_FILE}, missing {sorted(missing)}"
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
    told = {name: contents[file] for name, (file, _) in _TOLD.items() if file in contents}
    return Bundle(path, spec, contents[MODEL_FILE], graph, networks, told)


def read_files(path: Path, spec: ModelSpec) -> dict[str, bytes]:
    """All files that a spec names, each under its checksum; raises BundleError."""
    return {name: _read_checked(path, name, digest) for name, digest in spec.files.items()}


def _read_checked(folder: Path, name: str, digest: str) -> bytes:
    path = folder / name
    if path.parent != folder or not name:
        raise BundleError(
            f"{folder / SPEC_FILE}: files must be plain names inside the bundle, got {name!r}"
        )
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise BundleError(f"model bundle needs {name}, which cannot be read: {error}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != digest.lower():
        raise BundleError(
            f"{path}: SHA-256 must be {digest}, got {found}; the file is damaged or was changed: fetch the bundle again"
        )
    return content
