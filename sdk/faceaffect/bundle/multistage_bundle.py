"""Opens bundles whose model is a chain of stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faceaffect.bundle.bundle import find_bundle, read_files
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.bundle.stage_spec import StageSpec


@dataclass(frozen=True, slots=True)
class MultiStageBundle:
    """A verified bundle; `networks` maps stage names to the bytes that were hashed."""

    path: Path
    spec: ModelSpec
    networks: dict[str, bytes]

    def file_of(self, stage: StageSpec) -> Path:
        """Path of a stage's ONNX file."""
        return self.path / stage.file


def open_multistage_bundle(model: str | Path, spec: ModelSpec | None = None) -> MultiStageBundle:
    """Read and verify a bundle whose spec has stages; raises BundleError as `open_bundle`."""
    path = find_bundle(model)
    spec = spec or ModelSpec.load(path)
    contents = read_files(path, spec)
    networks = {stage.name: contents[stage.file] for stage in spec.stages}
    return MultiStageBundle(path, spec, networks)
