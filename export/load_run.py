"""Loads the EMA weights of a training run of the default model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from export.model_card import Origin
from training.default_model.recipe import net_from_json
from training.distillation.teachers import RECORD_FILE
from training.engine.checkpoint import EMA_FILE, RUN_FILE
from training.models.affect_net import AffectNet


def load_run(folder: Path) -> tuple[AffectNet, dict[str, Any]]:
    """Load the network, in evaluation mode, and the content of `run.json`."""
    run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    net = AffectNet(net_from_json(run["recipe"]["net"]))
    net.load_state_dict(load_file(folder / EMA_FILE))
    return net.eval(), run


def load_origin(folder: Path, run: dict[str, Any]) -> Origin:
    """Load the origin of a run's weights, for the model card."""
    record = folder / RECORD_FILE
    teachers = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else None
    return Origin(run.get("started_from", ""), teachers, "known_actions" in run)
