"""Two processes train as one does on the whole batch, if samples do not interact."""

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

from tests.training.engine.two_processes import (
    train_with_statistics,
    train_without_statistics,
)
from training.engine.distributed import ProcessGroup

pytestmark = pytest.mark.train
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the weights of two processes on this machine."""
    out = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.training.engine.two_processes", str(out)]
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, env={**environment, "RANK": str(k), "LOCAL_RANK": str(k)}
        )
        for k in range(2)
    ]
    try:
        assert [process.wait(300) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    return out


def weights(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


def test_processes_with_one_shard_left_out_match_training_on_whole_batches(
    folder: Path, tmp_path: Path
) -> None:
    single = train_without_statistics(tmp_path, ProcessGroup()).state_dict()
    first, second = (weights(folder / f"plain{k}.pt") for k in range(2))
    for name, value in single.items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], value, atol=1e-6)


def test_processes_with_shared_statistics_match_training_on_whole_batches(
    folder: Path, tmp_path: Path
) -> None:
    single = train_with_statistics(tmp_path, ProcessGroup(), None).state_dict()
    first, second = (weights(folder / f"norms{k}.pt") for k in range(2))
    for name, value in single.items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], value, atol=1e-5), name
    assert first["first.1.num_batches_tracked"] == 6


def test_processes_with_shared_statistics_leave_a_batch_out_together(folder: Path) -> None:
    first, second = (weights(folder / f"nan{k}.pt") for k in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert first["first.1.num_batches_tracked"] == 5, "one of six batches is left out by both"


def test_processes_keep_networks_and_statistics_equal(folder: Path) -> None:
    first, second = (weights(folder / f"method{k}.pt") for k in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert any(
        name.endswith("running_mean") and value.abs().max() > 0 for name, value in first.items()
    )
    assert (folder / "method" / "ema.safetensors").is_file()


def test_from_environment_waits_for_an_evaluation_of_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluation of all of Aff-Wild2 may take longer than the default timeouts of ten or thirty
    minutes.
    """
    arguments: dict[str, object] = {}

    def init_process_group(backend: str, **options: object) -> None:
        arguments.update(options, backend=backend)

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "is_initialized", lambda: False)
    monkeypatch.setattr(distributed, "init_process_group", init_process_group)
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    assert ProcessGroup.from_environment("cuda").rank == 1
    assert arguments["backend"] == "nccl"
    assert arguments["timeout"] >= timedelta(hours=2)  # type: ignore[operator]
