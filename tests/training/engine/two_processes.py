"""Process of `test_distributed.py`: trains in step with another and saves its weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.training.methods.network_cases import SMALL
from tests.training.methods.synthetic_faces import synthetic_data
from training.engine.distributed import ProcessGroup
from training.engine.optimizer import OptimizerConfig
from training.engine.recipe import Recipe
from training.engine.synced_norm import sync_batch_norms
from training.engine.trainer import Trainer, TrainerConfig
from training.methods.recipe_lookup import find_recipe
from training.methods.train_method import train_method

STEPS, BATCH, NAN_STEP = 6, 8, 3


class NetWithoutStatistics(nn.Module):
    """A network without batch statistics, for which shards of a batch equal the whole batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(27, 16), nn.Tanh(), nn.Linear(16, 2))
        self.unused = nn.Linear(2, 2)

    def forward(self, crops: Tensor) -> Tensor:
        outputs: Tensor = self.layers(crops)
        return outputs


class NetWithStatistics(nn.Module):
    """A network whose normalizations look at all samples of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.last = nn.Sequential(nn.BatchNorm1d(4, affine=False), nn.Linear(4, 2))

    def forward(self, crops: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.first(crops).mean(dim=(2, 3)))
        return outputs


class Shards:
    """The process's shard of each step's eight samples; the second one's is NaN at step 3."""

    steps_per_epoch = STEPS

    def __init__(self, processes: ProcessGroup, nan_step: int | None = NAN_STEP) -> None:
        self.processes, self.nan_step = processes, nan_step

    def get(self, step: int) -> list[dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(step)
        crops = torch.randn(BATCH, 3, 3, 3, generator=generator)
        target = torch.randn(BATCH, 2, generator=generator)
        if step == self.nan_step:
            crops[1::2] = float("nan")
        shard = slice(self.processes.rank, None, self.processes.world_size)
        return [{"crops": crops[shard], "target": target[shard]}]


def squared_error(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
    return {"loss": ((net(batch["crops"]) - batch["target"]) ** 2).mean()}


def train_without_statistics(folder: Path, processes: ProcessGroup) -> nn.Module:
    torch.manual_seed(0)
    trainer = Trainer(
        NetWithoutStatistics(),
        squared_error,
        Shards(processes),
        Recipe("plain", None, find_recipe("M3", "compact").optimizer),
        TrainerConfig(folder),
        processes=processes,
    )
    trainer.run()
    return trainer.net


def train_with_statistics(folder: Path, processes: ProcessGroup, nan_step: int | None) -> nn.Module:
    """Statistics are those of all processes, if there are several."""
    torch.manual_seed(0)
    net = NetWithStatistics()
    if processes.world_size > 1:
        assert sync_batch_norms(net) == 2
    trainer = Trainer(
        net,
        squared_error,
        Shards(processes, nan_step),
        Recipe("norms", None, OptimizerConfig("sgd", 0.1)),
        TrainerConfig(folder, sync_norm=True),
        processes=processes,
    )
    trainer.run()
    return trainer.net


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    processes = ProcessGroup.from_environment("cpu")
    net = train_without_statistics(folder / "plain", processes)
    torch.save(net.state_dict(), folder / f"plain{processes.rank}.pt")
    for name, nan_step in (("norms", None), ("nan", NAN_STEP)):
        net = train_with_statistics(folder / name, processes, nan_step)
        torch.save(net.state_dict(), folder / f"{name}{processes.rank}.pt")
    overrides = [*SMALL["mean_teacher"], "batch=8", "epochs=1", "sampling.every=2"]
    method_net = train_method(
        find_recipe("M5", "compact", overrides),
        synthetic_data(),
        TrainerConfig(folder / "method", steps=3, sync_norm=True),
    )
    torch.save(method_net.state_dict(), folder / f"method{processes.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
