"""Two processes train as one does on the whole batch, wherever samples do not look at each other."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import distributed

from tests.training.methods.network_cases import SMALL
from tests.training.methods.synthetic_faces import made_up_data
from tests.training.methods.two_processes import plain_run
from training.methods.batch_builder import InputSpec
from training.methods.batch_loader import BatchLoader
from training.methods.distributed import Processes
from training.methods.recipe_lookup import find_recipe

pytestmark = pytest.mark.train
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes on this machine have left, each its own weights."""
    place = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.training.methods.two_processes", str(place)]
    running = [
        subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **shared, "RANK": str(k), "LOCAL_RANK": str(k)}
        )
        for k in range(2)
    ]
    try:
        assert [process.wait(300) for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
    return place


def weights(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return found


def test_shares_of_a_batch_give_the_gradient_of_the_whole(folder: Path, tmp_path: Path) -> None:
    """One step is among them in which the second process's whole share is left out: nobody waits
    for it.
    """
    alone = plain_run(tmp_path, Processes()).state_dict()
    first, second = (weights(folder / f"plain{k}.pt") for k in range(2))
    for name, value in alone.items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], value, atol=1e-6)


def test_networks_and_their_statistics_stay_equal(folder: Path) -> None:
    first, second = (weights(folder / f"method{k}.pt") for k in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert any(
        name.endswith("running_mean") and value.abs().max() > 0 for name, value in first.items()
    )
    assert (folder / "method" / "teacher.safetensors").is_file()


def test_others_wait_while_the_first_one_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as judging all of Aff-Wild2 may take, which is more than a group's own ten or thirty
    minutes.
    """
    asked: dict[str, object] = {}
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "is_initialized", lambda: False)
    monkeypatch.setattr(
        distributed,
        "init_process_group",
        lambda backend, **given: asked.update(given, backend=backend),
    )
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    assert Processes.joined("cuda").rank == 1
    assert asked["backend"] == "nccl"
    assert asked["timeout"] >= timedelta(hours=2)


def test_shares_are_the_batch_of_one_process() -> None:
    recipe = find_recipe(
        "M3", "compact", [*SMALL["incomplete_labels"], "batch=8", "sampling.jitter=none"]
    )
    data, form = made_up_data(size_px=48), InputSpec("frames", 1, 48)
    sources = [
        BatchLoader(recipe, data, form, 1, rank, world) for rank, world in ((0, 1), (0, 2), (1, 2))
    ]
    for step in range(3):
        whole, *shares = (source.make_now(step)[0]["crops"] for source in sources)
        assert torch.equal(torch.stack(shares, dim=1).flatten(0, 1), whole)
    for source in sources:
        source.close()
    with pytest.raises(
        ValueError,
        match="5 processes share a batch of 8: each needs two samples, set batch=10 or more",
    ):
        BatchLoader(recipe, data, form, 1, 0, 5)
