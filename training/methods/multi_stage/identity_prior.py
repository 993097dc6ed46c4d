"""M1: the identity branch first learns who is who, is then frozen, and the face branch starts from
it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.methods.batch_builder import BatchBuilder, InputSpec
from training.methods.data import MethodData
from training.methods.distributed import Processes
from training.methods.optimizer import OptimizerConfig
from training.methods.recipe import Recipe
from training.methods.train_method import train_method
from training.methods.trainer import MethodLoop
from training.metrics import auroc
from training.models.backbones.start_trunks import start_trunks
from training.models.encoders.deviation import FaceEmbedding
from training.models.stages import MethodNet

SCALE, MARGIN = 16.0, 0.2
"""Of the cosines in the identity loss (CosFace, Wang et al. 2018); the scale suits some hundred
people.
"""

_BATCH: Final = 64
_PAIRS: Final = 20_000


class IdentityNet(nn.Module):
    """A face embedding with one direction for each known person."""

    def __init__(self, trunk: str, embedding: int, people: int) -> None:
        super().__init__()
        self.face = FaceEmbedding(trunk, embedding)
        self.people = nn.Parameter(torch.randn(people, embedding))

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embedding = self.face(batch["crops"])
        return {
            "embedding": embedding,
            "cosine": embedding @ functional.normalize(self.people, dim=1).T,
        }


def identity_loss(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
    """Cross-entropy of scaled cosines, the true person's less a margin."""
    cosine, person = net(batch)["cosine"], batch["person"]
    own = functional.one_hot(person, cosine.shape[1]).to(cosine.dtype)
    return {"loss": functional.cross_entropy(SCALE * (cosine - MARGIN * own), person)}


class _Faces:
    """Frames of known people, as many of each; a step's batch depends on its number alone."""

    def __init__(
        self,
        samples: BatchBuilder,
        person: NDArray[np.int64],
        rows: NDArray[np.int64],
        steps: int,
        seed: int,
    ) -> None:
        self.steps_per_epoch = steps
        self._samples, self._person, self._rows, self._seed = samples, person, rows, seed
        self._by_person = [rows[person[rows] == k] for k in np.unique(person[rows])]

    def make(self, step: int) -> list[dict[str, Tensor]]:
        random = np.random.default_rng([self._seed, step, 71])
        people = random.choice(
            len(self._by_person), min(_BATCH, 2 * len(self._by_person)), replace=True
        )
        rows = np.array([random.choice(self._by_person[k]) for k in people])
        batch = self._samples.batch(rows, (), (self._seed, step, 72))
        return [{**batch, "person": torch.from_numpy(self._person[rows])}]


def train_with_identity_prior(
    recipe: Recipe, data: MethodData, folder: Path, *, seed: int = 1, resume: bool = False, device: str = "cpu",
    bfloat16: bool = False, steps: int | None = None, **options: Any,
) -> MethodNet:  # fmt: skip
    """Identities are the groups of the training table (people where the set names them, else source
    videos), all its rows among them, labeled or not. Both branches start from what was learned;
    without `subtract_identity` the only one.

    `identity/identity.json` says how well faces of one person are told from those of two, on
    people never seen.
    """
    face = _identity_face(
        recipe, data, folder / "identity", seed=seed, resume=resume, device=device, steps=steps
    )
    start = {f"encoder.face.{name}": value for name, value in face.state_dict().items()}
    if recipe.net.subtract_identity:
        start |= {f"encoder.identity.{name}": value for name, value in face.state_dict().items()}
    return train_method(
        recipe,
        data,
        folder,
        seed=seed,
        resume=resume,
        device=device,
        bfloat16=bfloat16,
        steps=steps,
        start=start,
        **options,
    )


def _identity_face(
    recipe: Recipe,
    data: MethodData,
    folder: Path,
    *,
    seed: int,
    resume: bool,
    device: str,
    steps: int | None,
) -> FaceEmbedding:
    table = data.train
    rows = np.flatnonzero(table.has_crop)
    names, person = np.unique(np.array(table.groups)[table.video], return_inverse=True)
    used, person[rows] = np.unique(person[rows], return_inverse=True)
    if len(used) < 2:
        raise ValueError(
            f"the identity branch needs at least two people to tell apart, the training frames show {len(names)}"
        )
    samples = BatchBuilder(recipe, InputSpec("frames", 1, recipe.net.size_px), data, table)
    count = steps if steps is not None else recipe.epochs * -(-len(rows) // _BATCH)
    torch.manual_seed(seed)
    net = IdentityNet(recipe.net.trunk, recipe.net.embedding, len(used))
    if recipe.trunk_weights:
        start_trunks(net, Path(recipe.trunk_weights))
    alone = replace(
        recipe,
        name="identity",
        optimizer=OptimizerConfig("adam", 2e-3, 1e-4, schedule="cosine"),
        epochs=1,
    )
    source = _Faces(samples, person, rows, count, seed)
    processes = Processes.joined(device)
    loop = MethodLoop(
        alone,
        net,
        identity_loss,
        source,
        folder,
        device=processes.device(device),
        seed=seed,
        processes=processes,
    )
    if resume:
        loop.resume()
    loop.run()
    note = folder / "identity.json"
    if not note.is_file():
        figures = {"people": len(used), "steps": count, **identity_figures(net.face, recipe, data)}
        note.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return net.face.cpu()


@contextmanager
def _judging(net: nn.Module) -> Iterator[None]:
    before = net.training
    net.eval()
    with torch.no_grad():
        yield
    net.train(before)


def identity_figures(face: FaceEmbedding, recipe: Recipe, data: MethodData) -> dict[str, float]:
    """AUROC of the cosine of two validation faces, one person against two, on pairs of different
    videos or frames.
    """
    table = data.validation
    rows = np.flatnonzero(table.has_crop)[:: max(1, int(table.has_crop.sum()) // 1000)]
    person = np.unique(np.array(table.groups)[table.video], return_inverse=True)[1][rows]
    if len(set(person.tolist())) < 2:
        return {}
    samples = BatchBuilder(recipe, InputSpec("frames", 1, recipe.net.size_px), data, table)
    device = next(face.parameters()).device
    with _judging(face):
        pieces = [
            face(samples.inputs(part)["crops"].to(device)).cpu()
            for part in np.array_split(rows, -(-len(rows) // _BATCH))
        ]
    codes = torch.cat(pieces).numpy()
    first, second = np.random.default_rng(0).integers(0, len(rows), (2, _PAIRS))
    kept = first != second
    first, second = first[kept], second[kept]
    same = person[first] == person[second]
    return {"pairs_auroc": float(auroc((codes[first] * codes[second]).sum(axis=1), same))}
