"""One of two processes of `test_processes.py`: trains in step with the other and writes what it has
become.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.training.methods.network_cases import SMALL
from tests.training.methods.synthetic_faces import made_up_data
from training.methods.distributed import Processes
from training.methods.recipe_lookup import find_recipe
from training.methods.train_method import train_method
from training.methods.trainer import MethodLoop

STEPS, BATCH, BROKEN = 6, 8, 3


class Plain(nn.Module):
    """A network without batch statistics, for which shares of a batch are as good as the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(27, 16), nn.Tanh(), nn.Linear(16, 2))
        self.unused = nn.Linear(2, 2)

    def forward(self, crops: Tensor) -> Tensor:
        found: Tensor = self.layers(crops)
        return found


class Shares:
    """Every process's share of each step's eight samples; the second process's is broken at step 3."""

    steps_per_epoch = STEPS

    def __init__(self, rank: int, world: int, whole_when_broken: bool = True) -> None:
        self.rank, self.world, self.whole_when_broken = rank, world, whole_when_broken

    def make(self, step: int) -> list[dict[str, Tensor]]:
        draw = torch.Generator().manual_seed(step)
        crops, wanted = (
            torch.randn(BATCH, 3, 3, 3, generator=draw),
            torch.randn(BATCH, 2, generator=draw),
        )
        if step == BROKEN:
            crops[1::2] = float("nan")
        return [
            {"crops": crops[self.rank :: self.world], "wanted": wanted[self.rank :: self.world]}
        ]


def distance(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
    return {"loss": ((net(batch["crops"]) - batch["wanted"]) ** 2).mean()}


def plain_run(folder: Path, processes: Processes) -> nn.Module:
    torch.manual_seed(0)
    recipe = find_recipe("M3", "compact", ["epochs=1"])
    loop = MethodLoop(
        recipe,
        Plain(),
        distance,
        Shares(processes.rank, processes.world),
        folder,
        processes=processes,
    )
    loop.run()
    return loop.net


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    processes = Processes.joined("cpu")
    torch.save(
        plain_run(folder / "plain", processes).state_dict(), folder / f"plain{processes.rank}.pt"
    )
    few = [*SMALL["mean_teacher"], "batch=8", "epochs=1", "sampling.every=2"]
    net = train_method(
        find_recipe("M5", "compact", few), made_up_data(), folder / "method", steps=3
    )
    torch.save(net.state_dict(), folder / f"method{processes.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
