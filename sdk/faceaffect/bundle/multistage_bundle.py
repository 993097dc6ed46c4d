"""Bundles of models that are made of stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faceaffect.bundle.bundle import find_bundle, read_files
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.bundle.stage_spec import StageSpec


@dataclass(frozen=True, slots=True)
class StagedBundle:
    """A checked bundle; `networks` are the bytes that the checksums were taken of, by the name of
    their stage.
    """

    path: Path
    spec: ModelSpec
    networks: dict[str, bytes]

    def file_of(self, stage: StageSpec) -> Path:
        return self.path / stage.file


def open_staged_bundle(model: str | Path, spec: ModelSpec | None = None) -> StagedBundle:
    """Read and check a bundle whose spec names stages; raises BundleError as `open_bundle`."""
    path = find_bundle(model)
    spec = spec or ModelSpec.load(path)
    contents = read_files(path, spec)
    return StagedBundle(path, spec, {stage.name: contents[stage.file] for stage in spec.stages})
