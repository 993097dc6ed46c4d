"""M2: the trunks learn from single frames, tasks in turn; then sequences are read from frozen
trunks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from training.engine.distributed import ProcessGroup
from training.engine.trainer import TrainerConfig
from training.methods.batch_builder import InputSpec
from training.methods.batch_loader import BatchLoader
from training.methods.data import MethodData
from training.methods.multi_stage.pseudo_label_pass import first_stage_recipe
from training.methods.objectives import supervised
from training.methods.recipe import MethodRecipe
from training.methods.train_method import train_method
from training.models.networks.multimodal_transformer import MultimodalTransformer
from training.models.stages import MethodNet

SEQUENCE_OUTPUT: Final = "au_logit"


def train_frames_then_sequences(
    recipe: MethodRecipe, data: MethodData, config: TrainerConfig
) -> MethodNet:
    """Stage `frames` with all losses but those of the sequence, then the sequence's AU loss alone
    with the trunks and their read-outs frozen.
    """
    sequence = tuple(term for term in recipe.losses if term.output == SEQUENCE_OUTPUT)
    frames = first_stage_recipe(recipe)
    frames = replace(
        frames,
        losses=tuple(term for term in recipe.losses if term not in sequence),
        sampling=replace(frames.sampling, form="frames"),
    )
    net = train_method(frames, data, replace(config, folder=config.folder / "frames"))
    windows = replace(recipe, losses=sequence, sampler="windows")
    processes = ProcessGroup.from_environment(config.device)
    loader = BatchLoader(
        windows,
        data,
        InputSpec.of(net),
        config.seed,
        processes,
        config.loader_threads,
        pin=config.device.startswith("cuda"),
    )
    try:
        return train_method(
            recipe,
            data,
            config,
            objective=supervised(windows),
            batches=loader,
            initial_weights=net.state_dict(),
            prepare=_freeze_trunks,
        )
    finally:
        loader.close()


def _freeze_trunks(net: MethodNet) -> None:
    assert isinstance(net, MultimodalTransformer)
    net.freeze_trunks()
