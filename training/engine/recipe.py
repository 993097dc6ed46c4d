"""Base class of all recipes: everything that decides a training run, as one frozen value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from training.engine.optimizer import OptimizerConfig

Choice = TypeVar("Choice")


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


def select_preset(preset: str, choices: Mapping[str, Choice]) -> Choice:
    """The preset's value; ValueError lists the presets for an unknown one."""
    if preset not in choices:
        raise ValueError(f"preset must be one of {sorted(choices)}, got {preset!r}")
    return choices[preset]
