"""Base class of all recipes: everything that decides a training run, as one frozen value."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from training.engine.optimizer import OptimizerConfig


@dataclass(frozen=True, slots=True)
class Recipe:
    """The part of a recipe that the trainer uses; each kind of model adds its data and losses."""

    name: str
    net: Any  # configuration of the network
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    epochs: int = 1
    preset: str = ""

    @property
    def title(self) -> str:
        """Name and preset for messages."""
        return f"{self.name} {self.preset}".strip()

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)
