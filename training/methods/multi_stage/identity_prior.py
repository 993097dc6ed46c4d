"""M1: an identity branch that is pretrained or first learns to tell people apart, and is frozen;
then a face branch that learns to compare expressions; then all tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.engine.checkpoint import write_json
from training.engine.distributed import ProcessGroup
from training.engine.optimizer import OptimizerConfig
from training.engine.trainer import Trainer, TrainerConfig
from training.methods.batch_builder import BatchBuilder, InputSpec
from training.methods.data import MethodData
from training.methods.multi_stage.expression_triplets import (
    FecTriplets,
    LabelTriplets,
    triplet_objective,
)
from training.methods.multi_stage.fill_labels import fill_labels
from training.methods.predict import method_predictions
from training.methods.recipe import MethodRecipe, PriorConfig
from training.methods.train_method import train_method
from training.metrics import auroc
from training.models.backbones.start_trunks import start_trunks
from training.models.encoders.deviation import DeviationEncoder, ExpressionCode, FaceEmbedding
from training.models.stages import MethodNet

SCALE: Final = 16.0
MARGIN: Final = 0.2
"""Scale and margin of the CosFace loss (Wang et al. 2018); the scale suits some hundred people."""

_BATCH: Final = 64
_PAIRS: Final = 20_000


class IdentityNet(nn.Module):
    """Face embedding with a class vector for each training identity."""

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
    """Cross-entropy of scaled cosines, with a margin subtracted from the true person's."""
    cosine, person = net(batch)["cosine"], batch["person"]
    is_person = functional.one_hot(person, cosine.shape[1]).to(cosine.dtype)
    return {"loss": functional.cross_entropy(SCALE * (cosine - MARGIN * is_person), person)}


class _PersonBatches:
    """Batch source of frames of known people, drawn equally often."""

    def __init__(
        self,
        builder: BatchBuilder,
        person: NDArray[np.int64],
        rows: NDArray[np.int64],
        steps: int,
        seed: int,
    ) -> None:
        self.steps_per_epoch = steps
        self._builder, self._person, self._seed = builder, person, seed
        self._by_person = [rows[person[rows] == k] for k in np.unique(person[rows])]

    def get(self, step: int) -> list[dict[str, Tensor]]:
        random = np.random.default_rng([self._seed, step, 71])
        people = random.choice(
            len(self._by_person), min(_BATCH, 2 * len(self._by_person)), replace=True
        )
        rows = np.array([random.choice(self._by_person[k]) for k in people])
        batch = self._builder.batch(rows, (), (self._seed, step, 72))
        return [{**batch, "person": torch.from_numpy(self._person[rows])}]


def train_with_identity_prior(
    recipe: MethodRecipe,
    data: MethodData,
    config: TrainerConfig,
) -> MethodNet:
    """Train stage `identity` if the recipe's prior says so, stage `triplets` (if it has a source of
    them), then the recipe with its branches initialized from them.

    People are the groups of the training table, with all its rows, labeled or not;
    `identity/identity.json` holds the verification accuracy on unseen ones. A pretrained identity
    branch is that of `trunk_weights`, and both branches start from it.
    """
    if recipe.init_from:  # a network whose branches have been through these stages
        return train_method(recipe, data, config)
    prior = recipe.prior or PriorConfig()
    torch.manual_seed(config.seed)
    encoder = DeviationEncoder(recipe.net.trunk, recipe.net.embedding, recipe.net.subtract_identity)
    if prior.identity == "people":
        face = _train_identity(recipe, data, config)
        encoder.face.load_state_dict(face.state_dict())
    elif recipe.trunk_weights:
        start_trunks(encoder, recipe.trunk_weights)
    if encoder.identity is not None and prior.identity == "people":
        encoder.identity.load_state_dict(encoder.face.state_dict())
    if prior.triplets != "none":
        _train_on_triplets(encoder, recipe, prior.triplets, data, config)
    weights = {f"encoder.{name}": value for name, value in encoder.cpu().state_dict().items()}
    recipe = replace(recipe, trunk_weights="")
    if prior.own_labels:
        data = _with_own_labels(recipe, data, config, weights)
    return train_method(recipe, data, config, initial_weights=weights)


def _with_own_labels(
    recipe: MethodRecipe, data: MethodData, config: TrainerConfig, weights: dict[str, Tensor]
) -> MethodData:
    """Data with the labels that a network trained in stage `labeled` is sure of."""
    config = replace(config, folder=config.folder / "labeled")
    net = train_method(recipe, data, config, initial_weights=weights)
    lacking = np.flatnonzero(~data.train.masks[:, :2].all(axis=1) & data.train.has_crop)
    if not len(lacking):
        return data
    found = method_predictions(net, recipe, data.train.select(lacking), data)
    assert found.au is not None
    assert found.expression is not None
    predictions = {"au": found.au, "expression": found.expression}
    filled = fill_labels(data.train, lacking, predictions, only_sure=True)
    added = (filled.masks & ~data.train.masks).sum(axis=0)
    config.echo(f"own labels: {added[0]} frames of AUs, {added[1]} of expressions")
    return replace(data, train=filled)


def _train_on_triplets(
    encoder: DeviationEncoder,
    recipe: MethodRecipe,
    source: str,
    data: MethodData,
    config: TrainerConfig,
) -> None:
    """Train the face branch to compare expressions (DLN); the identity branch stays as it is."""
    stage = recipe.first_stage
    if stage is None:
        raise ValueError("prior.triplets needs a first_stage; set prior.triplets=none")
    batches: LabelTriplets | FecTriplets
    if source == "labels":
        form = InputSpec("frames", 1, recipe.net.size_px)
        batches = LabelTriplets(
            BatchBuilder(recipe, form, data, data.train), stage.batch, config.seed
        )
    else:
        batches = FecTriplets(Path(source), recipe, stage.batch, config.seed)
    trainer = Trainer(
        ExpressionCode(encoder, recipe.net.embedding),
        triplet_objective,
        batches,
        replace(recipe, name="triplets", optimizer=stage.optimizer, epochs=stage.epochs),
        replace(config, folder=config.folder / "triplets"),
        processes=ProcessGroup.from_environment(config.device),
    )
    if config.resume:
        trainer.resume()
    trainer.run()


def _train_identity(recipe: MethodRecipe, data: MethodData, config: TrainerConfig) -> FaceEmbedding:
    table = data.train
    rows = np.flatnonzero(table.has_crop)
    person = _person_indices(data, rows)
    people = len(np.unique(person[rows]))
    if people < 2:
        raise ValueError(
            f"the identity branch needs at least two people, got training frames of {people}"
        )
    builder = BatchBuilder(recipe, InputSpec("frames", 1, recipe.net.size_px), data, table)
    steps = config.steps if config.steps is not None else recipe.epochs * -(-len(rows) // _BATCH)
    torch.manual_seed(config.seed)
    net = IdentityNet(recipe.net.trunk, recipe.net.embedding, people)
    if recipe.trunk_weights:
        start_trunks(net, recipe.trunk_weights)
    identity_recipe = replace(
        recipe,
        name="identity",
        optimizer=OptimizerConfig("adam", 2e-3, 1e-4, schedule="cosine", max_gradient_norm=5.0),
        epochs=1,
    )
    trainer = Trainer(
        net,
        identity_loss,
        _PersonBatches(builder, person, rows, steps, config.seed),
        identity_recipe,
        replace(config, folder=config.folder / "identity", steps=None, precision="float32"),
        processes=ProcessGroup.from_environment(config.device),
    )
    if config.resume:
        trainer.resume()
    trainer.run()
    record = config.folder / "identity" / "identity.json"
    if not record.is_file():
        metrics = identity_metrics(net.face, recipe, data)
        write_json(record, {"people": people, "steps": steps, **metrics})
    return net.face.cpu()


def _person_indices(data: MethodData, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Person of each training row [N]; consecutive from 0 over `rows`."""
    table = data.train
    person = np.unique(np.array(table.groups)[table.video], return_inverse=True)[1]
    person[rows] = np.unique(person[rows], return_inverse=True)[1]
    return person


def identity_metrics(
    face: FaceEmbedding, recipe: MethodRecipe, data: MethodData
) -> dict[str, float]:
    """AUROC of the cosine similarity of two validation faces, same person against different, over
    pairs of different rows.
    """
    table = data.validation
    rows = np.flatnonzero(table.has_crop)[:: max(1, int(table.has_crop.sum()) // 1000)]
    person = np.unique(np.array(table.groups)[table.video], return_inverse=True)[1][rows]
    if len(set(person.tolist())) < 2:
        return {}
    builder = BatchBuilder(recipe, InputSpec("frames", 1, recipe.net.size_px), data, table)
    device = next(face.parameters()).device
    face.eval()
    with torch.no_grad():
        batches = np.array_split(rows, -(-len(rows) // _BATCH))
        codes = torch.cat(
            [face(builder.inputs(batch)["crops"].to(device)).cpu() for batch in batches]
        ).numpy()
    first, second = np.random.default_rng(0).integers(0, len(rows), (2, _PAIRS))
    is_pair = first != second
    first, second = first[is_pair], second[is_pair]
    is_same = person[first] == person[second]
    return {"pairs_auroc": float(auroc((codes[first] * codes[second]).sum(axis=1), is_same))}
