"""Training of one recipe on one data set."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from training.engine.checkpoint import WEIGHTS_FILE
from training.engine.distributed import ProcessGroup
from training.engine.ema import EmaModel
from training.engine.synced_norm import sync_batch_norms
from training.engine.trainer import BatchSource, Objective, Trainer, TrainerConfig
from training.losses.action_units import inverse_rate_weights
from training.methods.batch_builder import InputSpec
from training.methods.batch_loader import BatchLoader
from training.methods.build_sampler import recipe_tasks
from training.methods.data import MethodData
from training.methods.objectives import mean_teacher, pairwise_ranking, supervised
from training.methods.predict import method_predictions
from training.methods.recipe import MethodRecipe
from training.methods.score_log import Evaluate, ScoreLog
from training.methods.scores import method_scores
from training.models.backbones.start_trunks import start_trunks
from training.models.networks.build_network import build_network
from training.models.recompute import recompute_blocks
from training.models.stages import MethodNet
from training.models.tasks.graph_relation import GraphRelation


def train_method(
    recipe: MethodRecipe,
    data: MethodData,
    config: TrainerConfig,
    *,
    objective: Objective | None = None,
    batches: BatchSource | None = None,
    initial_weights: Mapping[str, Tensor] | None = None,
    prepare: Callable[[MethodNet], None] | None = None,
    evaluate: Evaluate | None = None,
    stop_at: int | None = None,
) -> MethodNet:
    """Train and save into `config.folder`; returns the network in evaluation mode.

    Args:
        objective: in place of the recipe's own (labels, mean teacher, order of pairs).
        batches: in place of those of the recipe's sampler.
        initial_weights: by name; a warning lists those that the network lacks.
        prepare: called with the network before its optimizer is built, such as to freeze parts;
            on resuming too.
        evaluate: in place of the validation scores, where `config.keep_best`.
        stop_at: stop after this step of the run; the state is saved for a resumed run.
    """
    net = _initial_network(recipe, data, config.seed, initial_weights)
    if prepare is not None:
        prepare(net)
    processes = ProcessGroup.from_environment(config.device)
    _use_options(net, config, processes)
    loader = None
    if batches is None:
        form = "frames" if recipe.sampler == "pairs" else recipe.sampling.form
        loader = batches = BatchLoader(
            recipe,
            data,
            InputSpec.of(net, form),
            config.seed,
            processes,
            config.loader_threads,
            pin=config.device.startswith("cuda"),
        )
    ema = None
    if objective is None:
        objective, ema = recipe_objective(recipe, net, data)
    trainer = Trainer(net, objective, batches, recipe, config, ema=ema, processes=processes)
    if config.resume:
        trainer.resume()
    log = None
    if config.keep_best:
        log = ScoreLog(evaluate or validation_scores(recipe, data), config, recipe.patience)
    average: Any = None if ema is None else ema.net
    try:
        trainer.run(
            None if log is None else lambda epoch: log.after_epoch(epoch, net, average), stop_at
        )
    finally:
        if loader is not None:
            loader.close()
    if log is not None and stop_at is None:
        log.restore_best(net, processes.is_first)
    return net.eval()


def _use_options(net: MethodNet, config: TrainerConfig, processes: ProcessGroup) -> None:
    """Recomputed blocks and synchronized normalizations, before the network is copied."""
    if config.recompute and not recompute_blocks(net):
        warnings.warn("--recompute has no effect: no block of a known trunk", stacklevel=2)
    if config.sync_norm and processes.world_size > 1:
        sync_batch_norms(net)


def _fit_graph(net: MethodNet, data: MethodData) -> None:
    """Take the edges of a graph of AUs from the training labels."""
    relation = getattr(net, "relation", None)
    table = data.train
    if isinstance(relation, GraphRelation) and table.au_mask.any():
        relation.fit_adjacency(torch.from_numpy(table.au), torch.from_numpy(table.au_mask))


def _initial_network(
    recipe: MethodRecipe, data: MethodData, seed: int, weights: Mapping[str, Tensor] | None
) -> MethodNet:
    """The network with its initial weights, and its graph from the training labels."""
    torch.manual_seed(seed)
    net = build_network(recipe.net)
    if recipe.init_from and weights is None:
        weights = load_file(Path(recipe.init_from) / WEIGHTS_FILE)
    elif recipe.trunk_weights:
        start_trunks(net, recipe.trunk_weights)
    if weights is not None:
        load_initial_weights(net, weights)
    _fit_graph(net, data)
    return net


def validation_scores(recipe: MethodRecipe, data: MethodData) -> Evaluate:
    """Scores of a network on the validation rows of `data`."""

    def evaluate(net: MethodNet) -> dict[str, Any]:
        predictions = method_predictions(net, recipe, data.validation, data)
        return method_scores(predictions, data.validation)

    return evaluate


def recipe_objective(
    recipe: MethodRecipe, net: MethodNet, data: MethodData
) -> tuple[Objective, EmaModel | None]:
    """The recipe's objective, and its EMA teacher if it has one."""
    if recipe.sampler == "pairs":
        return pairwise_ranking(uncertainty=False), None
    if recipe.targets == "ema_teacher":
        ema = EmaModel(net)
        return mean_teacher(recipe, ema, cure=getattr(recipe.net, "cure", False)), ema
    return supervised(recipe, au_weights(data) if "AU" in recipe_tasks(recipe) else None), None


def au_weights(data: MethodData) -> Tensor:
    """Weight of each AU [12] by its rarity among the training frames."""
    table = data.train
    return inverse_rate_weights(
        torch.from_numpy(table.au), torch.from_numpy(table.au_mask.astype("float32"))
    )


def load_initial_weights(net: MethodNet, weights: Mapping[str, Tensor]) -> None:
    """Load the weights whose names the network has and warn of the others.

    Raises:
        ValueError: no name is known, or a shape differs.
    """
    current = net.state_dict()
    known = {name: value for name, value in weights.items() if name in current}
    if not known:
        raise ValueError("the initial weights are of another network: no name is known")
    for name, value in known.items():
        if value.shape != current[name].shape:
            raise ValueError(
                f"the initial weights are of another network: expected {name} of shape "
                f"{tuple(current[name].shape)}, got {tuple(value.shape)}"
            )
    net.load_state_dict(known, strict=False)
    missing = sorted(current.keys() - known.keys())
    unexpected = sorted(weights.keys() - known.keys())
    if missing or unexpected:
        warnings.warn(
            f"initial weights: {len(known)} loaded, {len(missing)} missing "
            f"({', '.join(missing[:3])} ...), {len(unexpected)} unknown "
            f"({', '.join(unexpected[:3])} ...)",
            stacklevel=2,
        )
