"""Counts the layers of an engine that run on a DLA: the others fall back to the GPU silently."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from faceaffect.backends.backend import BackendError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LayerPlacement:
    """Number of layers on the DLA, where a whole subgraph is one, and on the GPU."""

    dla: int
    gpu: int


def layer_placement(module: Any, engine: Any) -> LayerPlacement | None:
    """Ask the engine inspector; None if this TensorRT has none, or the engine no details."""
    create = getattr(engine, "create_engine_inspector", None)
    if create is None:
        return None
    text = create().get_engine_information(module.LayerInformationFormat.JSON)
    layers = json.loads(text).get("Layers", [])
    kinds = [str(layer.get("LayerType", "")) for layer in layers if isinstance(layer, dict)]
    if not kinds or len(kinds) != len(layers) or "" in kinds:
        return None  # built without detailed profiling: names only
    dla = sum(kind.upper().startswith("DLA") for kind in kinds)
    return LayerPlacement(dla, len(kinds) - dla)


def check_dla(module: Any, engine: Any) -> None:
    """Log how many layers run on the DLA; raise BackendError if it is none."""
    placement = layer_placement(module, engine)
    if placement is None:
        log.warning("faceaffect: it is unknown which layers of the engine run on the DLA")
        return
    if not placement.dla:
        raise BackendError(
            f"expected layers on the DLA, got all {placement.gpu} on the GPU: this TensorRT cannot "
            "run the network's types on a DLA; build without --dla-core"
        )
    log.warning(
        "faceaffect: %d parts of the engine run on the DLA, %d layers on the GPU",
        placement.dla,
        placement.gpu,
    )
