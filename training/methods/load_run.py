"""A method's recipe and network out of what a run has saved."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from training.methods.recipe import Recipe
from training.methods.recipe_lookup import find_recipe
from training.methods.total_loss import LossTerm
from training.methods.trainer import RUN_FILE, WEIGHTS_FILE
from training.models.networks.build_network import build_network
from training.models.stages import MethodNet


def read_method_run(folder: Path) -> tuple[Recipe, MethodNet]:
    """The recipe of `run.json` and its network with the saved weights, in evaluation mode.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: its files are damaged, or not those of a method.
    """
    recipe = read_recipe(folder)
    net = build_network(recipe.net)
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {WEIGHTS_FILE}: wanted the folder of a trained method"
        )
    try:
        net.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(
            f"{path} cannot be used ({error}); train again or take another run"
        ) from None
    return recipe, net.eval()


def read_recipe(folder: Path) -> Recipe:
    """The recipe of a run, as it was after all options."""
    path = folder / RUN_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no {RUN_FILE}: wanted the folder of a trained method"
        )
    try:
        said = json.loads(path.read_text(encoding="utf-8"))["recipe"]
        base = find_recipe(said["paper"], said["preset"])
        losses = tuple(_term(term) for term in said.pop("losses"))
        return replace(_with(base, said), losses=losses)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not the record of a method's run: {type(error).__name__}: {error}"
        ) from None


def _term(said: dict[str, Any]) -> LossTerm:
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in said["options"].items()
    }
    return LossTerm(**{**said, "options": options})


def _with(value: Any, said: dict[str, Any]) -> Any:
    """A dataclass with the values that were written; one unknown name is an error."""
    names = {field.name for field in fields(value)}
    if unknown := sorted(said.keys() - names):
        raise ValueError(f"unknown names {unknown}, known are {sorted(names)}")
    changed: dict[str, Any] = {}
    for name, new in said.items():
        old = getattr(value, name)
        changed[name] = (
            _with(old, new) if is_dataclass(old) else tuple(new) if isinstance(old, tuple) else new
        )
    return replace(value, **changed)
