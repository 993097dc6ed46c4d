"""Opens the stages of a model bundle, for models that have some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faceaffect.backends import BackendOptions
from faceaffect.bundle.bundle import find_tracker_bundle
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.system.stage_timer import StageTimer

if TYPE_CHECKING:
    from faceaffect.multistage.multistage_model import MultiStageModel


def open_multistage(
    path: Path, backend: str, device: str, options: BackendOptions, timer: StageTimer
) -> tuple[MultiStageModel | None, Path, str]:
    """Open the stages of the bundle at `path`, if it has some.

    Returns:
        The model of the stages or None, then bundle and device of the network that tracks.
    """
    spec = ModelSpec.load(path)
    if not spec.stages:
        return None, path, device
    from faceaffect.backends.onnx_multistage import open_stages, require_stages_on_cpu
    from faceaffect.bundle.multistage_bundle import open_multistage_bundle
    from faceaffect.multistage.multistage_model import MultiStageModel

    require_stages_on_cpu(spec.name, backend, device, options)
    stages = open_stages(open_multistage_bundle(path, spec), options)
    return MultiStageModel(spec, stages, timer), find_tracker_bundle(spec), "cpu"
