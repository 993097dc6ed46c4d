"""Loads a method's recipe and network from the files of a run."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from training.engine.checkpoint import RUN_FILE, WEIGHTS_FILE
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.methods.recipe_lookup import find_recipe
from training.models.networks.build_network import build_network
from training.models.stages import MethodNet


def read_method_run(folder: Path) -> tuple[MethodRecipe, MethodNet]:
    """The recipe of `run.json` and its network with the saved weights, in evaluation mode.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: its files are damaged, or not of a method.
    """
    recipe = read_recipe(folder)
    net = build_network(recipe.net)
    path = _file_in(folder, WEIGHTS_FILE)
    try:
        net.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(
            f"{path} cannot be used ({error}); train again or use another run"
        ) from None
    return recipe, net.eval()


def read_recipe(folder: Path) -> MethodRecipe:
    """The recipe of a run, with all overrides."""
    path = _file_in(folder, RUN_FILE)
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))["recipe"]
        base = find_recipe(saved["paper"], saved["preset"])
        losses = tuple(_loss_term(term) for term in saved.pop("losses"))
        recipe: MethodRecipe = replace(_replace_fields(base, saved), losses=losses)
        return recipe
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not of a method's run: {type(error).__name__}: {error}"
        ) from None


def _file_in(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise FileNotFoundError(f"{folder} has no {name}: expected the folder of a trained method")
    return folder / name


def _loss_term(saved: dict[str, Any]) -> LossTerm:
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in saved["options"].items()
    }
    return LossTerm(**{**saved, "options": options})


def _replace_fields(config: Any, saved: dict[str, Any]) -> Any:
    """A dataclass with saved values; ValueError on an unknown name."""
    names = {field.name for field in fields(config)}
    if unknown := sorted(saved.keys() - names):
        raise ValueError(f"unknown names {unknown}, known are {sorted(names)}")
    changed: dict[str, Any] = {}
    for name, value in saved.items():
        default = getattr(config, name)
        if is_dataclass(default):
            value = _replace_fields(default, value)
        elif isinstance(default, tuple):
            value = tuple(value)
        changed[name] = value
    return replace(config, **changed)
