"""Training of one recipe on one data set."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.losses.action_units import inverse_rates
from training.methods.batch_builder import InputSpec
from training.methods.batch_loader import BatchLoader
from training.methods.build_sampler import recipe_tasks
from training.methods.data import MethodData
from training.methods.distributed import Processes
from training.methods.ema_teacher import Teacher
from training.methods.objectives import Objective, from_labels, ordering_pairs, with_moving_teacher
from training.methods.recipe import Recipe
from training.methods.trainer import BatchSource, MethodLoop
from training.models.backbones.start_trunks import start_trunks
from training.models.networks.build_network import build_network
from training.models.stages import MethodNet


def train_method(
    recipe: Recipe, data: MethodData, folder: Path, *, seed: int = 1, resume: bool = False, device: str = "cpu",
    bfloat16: bool = False, objective: Objective | None = None, start: Mapping[str, Tensor] | None = None,
    steps_limit: int | None = None, steps: int | None = None, source: BatchSource | None = None,
    prepare: Callable[[MethodNet], None] | None = None, after_epoch: Callable[[int, MethodNet], None] | None = None,
    **options: Any,
) -> MethodNet:  # fmt: skip
    """Train and save into `folder`; gives the network, in evaluation mode.

    Args:
        resume: go on from what `folder` holds, if anything.
        objective: in place of the recipe's own (labels, a moving teacher, order of pairs).
        start: weights by name that the network begins with; those it lacks are told in a
        warning.
        steps_limit: stop after so many steps of the run; the state is saved, a resumed run
        goes on.
        steps: length of the whole run in steps, over which the rates' course is stretched;
        None for the recipe's epochs.
        source: batches in place of the recipe's sampler.
        prepare: called with the network before its optimizer is made, such as to freeze
        parts; on resuming too.
        after_epoch: called with each epoch's number and the network.
        options: of `MethodLoop` (precision, save_every, facts).
    """
    torch.manual_seed(seed)
    net = build_network(recipe.net)
    if recipe.trunk_weights:
        start_trunks(net, Path(recipe.trunk_weights))
    if start is not None:
        load_start(net, start)
    if prepare is not None:
        prepare(net)
    processes = Processes.joined(device)
    own = source is None
    if source is None:
        form = InputSpec.of(net, "frames" if recipe.sampler == "pairs" else recipe.sampling.form)
        source = BatchLoader(recipe, data, form, seed, processes.rank, processes.world)
    teacher = None
    if objective is None:
        objective, teacher = own_objective(recipe, net, data)
    loop = MethodLoop(
        recipe, net, objective, source, folder, teacher, processes.device(device), bfloat16, seed=seed, steps=steps,
        processes=processes, **options,
    )  # fmt: skip
    if resume:
        loop.resume()
    try:
        loop.run(
            None if after_epoch is None else lambda epoch: after_epoch(epoch, net), steps_limit
        )
    finally:
        if own:
            source.close()  # type: ignore[attr-defined]
    return net.eval()


def own_objective(
    recipe: Recipe, net: MethodNet, data: MethodData
) -> tuple[Objective, Teacher | None]:
    """What the recipe minimizes on labels, and its moving teacher if it has one."""
    if recipe.sampler == "pairs":
        return ordering_pairs(uncertainty=False), None
    if recipe.targets == "ema_teacher":
        teacher = Teacher(net)
        return with_moving_teacher(
            recipe, teacher, cure=getattr(recipe.net, "cure", False)
        ), teacher
    return from_labels(recipe, au_weights(data) if "AU" in recipe_tasks(recipe) else None), None


def au_weights(data: MethodData) -> Tensor:
    """Weight of each AU [12] by how rare it is among the training frames."""
    table = data.train
    return inverse_rates(
        torch.from_numpy(table.au), torch.from_numpy(table.au_mask.astype("float32"))
    )


def load_start(net: MethodNet, start: Mapping[str, Tensor]) -> None:
    """Take the weights that the network knows by name; the others are told. ValueError where
    nothing or a shape fits not.
    """
    own = net.state_dict()
    known = {name: value for name, value in start.items() if name in own}
    wrong = {
        name: (tuple(value.shape), tuple(own[name].shape))
        for name, value in known.items()
        if value.shape != own[name].shape
    }
    if wrong or not known:
        first = next(iter(wrong.items()), None)
        text = f"{first[0]} is {first[1][0]}, wanted {first[1][1]}" if first else "no name is known"
        raise ValueError(f"the start weights are of another network: {text}")
    net.load_state_dict(known, strict=False)
    missing, unexpected = sorted(own.keys() - known.keys()), sorted(start.keys() - known.keys())
    if missing or unexpected:
        warnings.warn(
            f"start weights: {len(known)} taken, {len(missing)} not there ({', '.join(missing[:3])} ...), "
            f"{len(unexpected)} unknown ({', '.join(unexpected[:3])} ...)",
            stacklevel=2,
        )
