"""A training run's averaged weights as a network: `run.json` names the widths, `ema.safetensors`
holds the weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from export.model_card import Origin
from training.default_model.recipe import net_from_json
from training.engine.checkpoint import EMA_FILE, RUN_FILE
from training.distillation.teachers import RECORD_FILE
from training.models.affect_net import AffectNet


def read_run(folder: Path) -> tuple[AffectNet, dict[str, Any]]:
    """The network in evaluation mode, and what `run.json` says."""
    run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    net = AffectNet(net_from_json(run["recipe"]["net"]))
    net.load_state_dict(load_file(folder / EMA_FILE))
    return net.eval(), run


def read_origin(folder: Path, run: dict[str, Any]) -> Origin:
    """Where a run's weights come from, for the card."""
    teaching = folder / RECORD_FILE
    told = json.loads(teaching.read_text(encoding="utf-8")) if teaching.is_file() else None
    return Origin(run.get("started_from", ""), told)
