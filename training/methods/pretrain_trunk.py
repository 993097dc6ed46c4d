"""An image trunk that has seen faces before any method trains it: what a published method takes
from a large face data set.

Small trunks learn expressions by people's votes and action units by the landmark teacher from
FER+ (its part "Training") and web faces. All arms of a comparison begin with the same file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.datasets.real_faces import load_ferplus, load_webfaces
from training.default_model import losses
from training.default_model.batch_mixer import BatchMaker, Source, balanced
from training.default_model.build_trainer import ferplus_parts
from training.default_model.default_recipe import recipe as default_recipe
from training.default_model.recipe import Recipe
from training.default_model.trainer import class_weights
from training.methods.normalization import NORMALIZATIONS
from training.methods.optimizer import OptimizerConfig
from training.methods.trainer import MethodLoop
from training.models.backbones.build_backbone import build_backbone, width_of

TRUNK_FILE: Final = "trunk.safetensors"
NOTE_FILE: Final = "trunk.json"
_STEPS_PER_EPOCH: Final = 100


@dataclass(frozen=True, slots=True)
class PretrainRecipe:
    """Everything that decides a run; of the form that `MethodLoop` wants."""

    name: str = "trunk"
    paper: str = "beforehand"
    preset: str = "compact"
    trunk: str = "small_resnet"
    size_px: int = 64
    normalization: str = "half"
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(
            rate=3e-3, weight_decay=1e-4, schedule="cosine", floor=3e-5
        )
    )
    ferplus: int = 104  # faces of a batch
    webfaces: int = 24
    no_face: int = 2
    epochs: int = 16  # of 100 steps
    seed: int = 1

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


class TrunkReader(nn.Module):
    """A trunk with a linear layer for expressions and one for action units."""

    def __init__(self, trunk: str) -> None:
        super().__init__()
        self.trunk = build_backbone(trunk)
        self.expression = nn.Linear(width_of(self.trunk), len(EXPRESSION_NAMES))
        self.au = nn.Linear(width_of(self.trunk), len(AU_NAMES))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:  # [N, 3, S, S] -> [N, 7], [N, 12]
        features = self.trunk(crops)
        return self.expression(features), self.au(features)


@dataclass(frozen=True, slots=True)
class _Objective:
    class_weight: Tensor

    def __call__(
        self, net: nn.Module, batch: Mapping[str, Tensor], epoch: float
    ) -> dict[str, Tensor]:
        expression, au = net(batch["crops"].contiguous(memory_format=torch.channels_last))
        parts = {
            "expression": losses.expression_loss(
                expression,
                batch["expression"],
                batch["expression_weight"],
                self.class_weight.to(expression.device),
            ),
            "au": losses.au_loss(au, batch["au"], batch["au_weight"]),
        }
        return parts | {"loss": parts["expression"] + parts["au"]}


@dataclass(frozen=True, slots=True)
class _Batches:
    """Normalized batches by the number of the step."""

    maker: BatchMaker
    recipe: PretrainRecipe
    steps_per_epoch: int = _STEPS_PER_EPOCH

    def make(self, step: int) -> Sequence[dict[str, Tensor]]:
        batch = self.maker.make(step, self.recipe.size_px)
        norm = NORMALIZATIONS[self.recipe.normalization]
        mean, std = (torch.tensor(each)[:, None, None] for each in (norm.mean, norm.std))
        names = ("expression", "expression_weight", "au", "au_weight")
        return [{"crops": (batch["crops"] - mean) / std, **{name: batch[name] for name in names}}]


def open_pretraining(recipe: PretrainRecipe, out: Path, shared: Path, labels: Path) -> MethodLoop:
    """The loop over FER+ Training and the web faces that are not held out; `labels` is what
    `training label` wrote.
    """
    ferplus, _, usage = load_ferplus(shared, labels)
    ferplus = ferplus.select(ferplus_parts(ferplus, usage)[0])
    webfaces, held_out = load_webfaces(shared, labels)
    webfaces = webfaces.select(~held_out)
    default: Recipe = default_recipe()
    even = torch.full((len(webfaces),), 1 / len(webfaces), dtype=torch.float64).numpy()
    sources = [
        Source(ferplus, recipe.ferplus, balanced(ferplus.expression, default.mix.balance_power)),
        Source(webfaces, recipe.webfaces, even),
    ]
    maker = BatchMaker(
        sources, recipe.no_face, recipe.seed, default.jitter, default.mix.blend_share
    )
    torch.manual_seed(recipe.seed)
    net = TrunkReader(recipe.trunk).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = _Objective(class_weights(ferplus.expression, ferplus.expression_weight))
    return MethodLoop(
        recipe, net, objective, _Batches(maker, recipe), out, save_every=100, seed=recipe.seed
    )  # type: ignore[arg-type]


def write_trunk(loop: MethodLoop, out: Path) -> dict[str, Any]:
    """`trunk.safetensors` and, beside it, what it was trained on."""
    net = loop.net
    assert isinstance(net, TrunkReader)
    path = out / TRUNK_FILE
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in net.trunk.state_dict().items()},
        path,
    )
    note = {
        "trunk": loop.recipe.trunk,  # type: ignore[attr-defined]
        "steps": loop.step,
        "trained_on": "FER+ Training (expressions by votes) and web faces, action units by the landmark teacher's blendshapes",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    (out / NOTE_FILE).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    return note
