"""Batches of a recipe split across processes."""

from __future__ import annotations

import pytest
import torch

from tests.training.methods.network_cases import SMALL
from tests.training.methods.synthetic_faces import synthetic_data
from training.engine.distributed import ProcessGroup
from training.methods.batch_builder import InputSpec
from training.methods.batch_loader import BatchLoader
from training.methods.recipe_lookup import find_recipe

pytestmark = pytest.mark.train


def test_batch_loader_shards_combine_to_batch_of_one_process() -> None:
    overrides = [*SMALL["incomplete_labels"], "batch=8", "sampling.jitter=none"]
    recipe = find_recipe("M3", "compact", overrides)
    data, form = synthetic_data(size_px=48), InputSpec("frames", 1, 48)
    loaders = [
        BatchLoader(recipe, data, form, 1, ProcessGroup(rank, world_size))
        for rank, world_size in ((0, 1), (0, 2), (1, 2))
    ]
    for step in range(3):
        batch, *shards = (loader.finish(loader.build(step)[0])["crops"] for loader in loaders)
        assert torch.equal(torch.stack(shards, dim=1).flatten(0, 1), batch)
    for loader in loaders:
        loader.close()
    with pytest.raises(
        ValueError,
        match="5 processes share a batch of 8: each needs two samples, set batch=10 or more",
    ):
        BatchLoader(recipe, data, form, 1, ProcessGroup(0, 5))
