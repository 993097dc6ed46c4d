"""Fine-tunes a bundle of the default model on known actions and geometric evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from faceaffect.bundle.bundle import MODEL_FILE, open_bundle
from faceaffect.geometry import (
    TEMPLATE_SIZE_PX,
    estimate_crop_to_frame,
    keypoints_from_landmarks,
)
from faceaffect.labels import AU_NAMES
from training.augmentation.crops import (
    CropJitter,
    jitter_transforms,
    jpeg_compress,
    occlude,
    photometric_jitter,
    sample_crops,
)
from training.datasets.ferplus import read_ferplus
from training.datasets.ferplus_split import training_and_validation
from training.datasets.real_faces import load_ferplus, load_webfaces
from training.datasets.real_skin_images import load_real_skin
from training.datasets.synthetic_images import load_synthetic_images
from training.default_model.batch_mixer import (
    BatchMixer,
    Source,
    au_balanced_weights,
    class_balanced_weights,
)
from training.default_model.build_trainer import split_ferplus, uniform_weights
from training.default_model.default_recipe import recipe as default_recipe
from training.default_model.init_from_bundle import init_from_bundle_weights
from training.default_model.objective import head_losses, normalize
from training.default_model.recipe import DefaultModelRecipe
from training.distillation.teachers import DistillationConfig, TeacherEnsemble
from training.engine.ema import EmaModel
from training.engine.trainer import Objective, Trainer, TrainerConfig
from training.losses.action_pairs import LEVELS, action_order, others_stay
from training.losses.expression import inverse_frequency_weights
from training.models.affect_net import AffectNet
from training.real_skin.evidence import (
    ferplus_evidence,
    resting_face,
    web_evidence,
    with_evidence,
)
from training.real_skin.unit_motions import UNITS

FREE_BESIDE: Final = {
    "AU9": ("AU4", "AU10"),
    "AU10": ("AU25",),
    "AU17": (),
    "AU26": ("AU25",),
    "AU25": ("AU26",),
}
"""Units that an added unit may change besides itself, for what it does to the skin."""

_STATISTICS_BATCHES: Final = 6
_BORDERS: Final = ("zeros", "border", "reflection")


@dataclass(frozen=True, slots=True)
class PairOptions:
    """Groups of known actions in a batch and the weights of their losses."""

    groups: int = 18
    order: float = 0.5
    stay: float = 1.0
    teacher_weight: float = 0.3
    unlabeled_weight: float = 0.5
    rendered_au: float = 1.0  # weight of the AUs of rendered faces beside those of real ones


@dataclass(frozen=True, slots=True)
class FineTuneData:
    """Folders: images and teachers, labels, rendered faces, training images of known actions."""

    assets: Path
    labels: Path
    synthetic_images: Path
    actions: Path


class ActionGroups:
    """Draws groups of known actions; the images of a group share crop, flip and camera."""

    def __init__(self, folder: Path, jitter: CropJitter, seed: int) -> None:
        columns = load_real_skin(folder)
        count = len(columns["unit"])
        if count % LEVELS or (columns["level"][::LEVELS] > 0).any():
            raise ValueError(f"{folder}: expected groups of {LEVELS} images, got a test plan")
        self._images, self._jitter, self._seed = columns["image"], jitter, seed
        self._transforms = _aligned(columns["landmarks_xy"][::LEVELS])
        names = [UNITS[k] for k in columns["unit"][::LEVELS]]
        self.unit = np.array([AU_NAMES.index(n) if n in AU_NAMES else -1 for n in names])
        self.free = np.zeros((len(names), len(AU_NAMES)), np.bool_)
        for row, name in enumerate(names):
            own = (name,) if name in AU_NAMES else ()
            for unit in (*own, *FREE_BESIDE.get(name, ())):
                self.free[row, AU_NAMES.index(unit)] = True

    def __len__(self) -> int:
        return len(self.unit)

    def draw(self, step: int, groups: int, size_px: int) -> dict[str, Tensor]:
        """Crops [G * 3, 3, S, S] in 0..1 (groups in order of the levels), unit [G], free."""
        random = np.random.default_rng([self._seed, step, 5])
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step + 17)
        rows = random.choice(len(self), groups, replace=False)
        transforms = jitter_transforms(self._transforms[rows], self._jitter, generator)
        border = _BORDERS[int(random.integers(len(_BORDERS)))]
        flipped = torch.from_numpy(random.random(groups) < 0.5)
        camera = int(random.integers(1 << 30))
        levels = []
        for level in range(LEVELS):
            images = torch.from_numpy(self._images[rows * LEVELS + level]).float()
            crops = sample_crops(
                images.permute(0, 3, 1, 2).contiguous(), transforms, size_px, border
            )
            crops = crops / 255
            crops[flipped] = crops[flipped].flip(3)
            # The same draws for each level: the images of a group differ in the action only.
            same = torch.Generator().manual_seed(camera)
            crops = occlude(photometric_jitter(crops, same), 0.05, same)
            levels.append(jpeg_compress(crops, 0.12, same))
        return {
            "crops": torch.stack(levels, dim=1).flatten(0, 1),
            "unit": torch.from_numpy(self.unit[rows]),
            "free": torch.from_numpy(self.free[rows]),
        }


class MixedWithGroups:
    """`BatchSource`: the mixer's faces, then groups of known actions."""

    def __init__(
        self, mixer: BatchMixer, groups: ActionGroups, recipe: DefaultModelRecipe, count: int
    ) -> None:
        self.steps_per_epoch = recipe.schedule.steps
        self._mixer, self._groups, self._count = mixer, groups, count
        self._schedule = recipe.schedule
        self._pool = ThreadPoolExecutor(1)
        self._prefetched: tuple[int, Future[dict[str, Tensor]]] | None = None

    def get(self, step: int) -> Sequence[Mapping[str, Tensor]]:
        """The batch of a step; the next one is built by a thread meanwhile."""
        if self._prefetched is None or self._prefetched[0] != step:
            self._prefetched = step, self._pool.submit(self._build, step)
        batch = self._prefetched[1].result()
        self._prefetched = step + 1, self._pool.submit(self._build, step + 1)
        return [batch]

    def _build(self, step: int) -> dict[str, Tensor]:
        size_px = self.size_px(step)
        batch = self._mixer.build(step, size_px)
        pairs = self._groups.draw(step, self._count, size_px)
        rows = len(batch["crops"])
        added = len(pairs["crops"])
        merged = {
            name: torch.cat([value, torch.zeros(added, *value.shape[1:], dtype=value.dtype)])
            for name, value in batch.items()
            if name != "crops"
        }
        merged["crops"] = torch.cat([batch["crops"], pairs["crops"]])
        merged["face"][rows:] = 1
        # Per row, so that the trainer can select rows: the group's values stand at each level.
        merged["unit"] = torch.cat(
            [torch.full((rows,), -1), pairs["unit"].repeat_interleave(LEVELS)]
        )
        off = torch.zeros(rows, len(AU_NAMES), dtype=torch.bool)
        merged["free"] = torch.cat([off, pairs["free"].repeat_interleave(LEVELS, dim=0)])
        merged["in_group"] = torch.arange(rows + added) >= rows
        return merged

    def size_px(self, step: int) -> int:
        """Side of the crops of a step."""
        small = step < self._schedule.small_until * self._schedule.steps
        return self._schedule.small_px if small else TEMPLATE_SIZE_PX


def paired_objective(
    recipe: DefaultModelRecipe, options: PairOptions, class_weight: Tensor
) -> Objective:
    """The default model's losses, and those of the groups of known actions."""

    def objective(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
        assert isinstance(net, AffectNet)
        heads = net(normalize(batch["crops"]).contiguous(memory_format=torch.channels_last))
        parts = head_losses(net, heads, batch, class_weight)
        total = sum(getattr(recipe.losses, name) * value for name, value in parts.items())
        rows = batch["in_group"]
        logit = net.au_graph(heads["au_nodes"][rows]).reshape(-1, LEVELS, len(AU_NAMES))
        parts["order"] = action_order(logit, batch["unit"][rows][::LEVELS])
        parts["stay"] = others_stay(logit, batch["free"][rows][::LEVELS])
        parts["loss"] = total + options.order * parts["order"] + options.stay * parts["stay"]
        return parts

    return objective


def build_fine_tuning(
    recipe: DefaultModelRecipe,
    options: PairOptions,
    bundle: Path,
    folder: Path,
    data: FineTuneData,
    previous: Path | None = None,
) -> Trainer:
    """The trainer of a network that has `bundle` as teacher on all faces and starts as it is, or
    with the EMA weights of a `previous` run that did.
    """
    config = DistillationConfig(options.teacher_weight, options.unlabeled_weight)
    teacher = TeacherEnsemble([bundle], folder, config)
    teacher.write_record()
    sources, class_weight = _sources(recipe, options, teacher, data)
    seed = recipe.schedule.seed
    mixer = BatchMixer(sources, recipe.mix.no_face, seed, recipe.jitter, recipe.mix.mixup_fraction)
    groups = ActionGroups(data.actions, recipe.jitter, seed)
    batches = MixedWithGroups(mixer, groups, recipe, options.groups)
    torch.manual_seed(seed)
    net = AffectNet(recipe.net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.uses_bfloat16 = recipe.schedule.bfloat16
    trainer = Trainer(
        net,
        paired_objective(recipe, options, class_weight),
        batches,
        recipe,
        TrainerConfig(
            folder,
            seed=seed,
            steps=recipe.schedule.steps,
            save_every=recipe.schedule.save_every,
            allow_changed_recipe=True,
            metadata={"known_actions": asdict(options)},
        ),
        ema=EmaModel(net, recipe.schedule.ema_decay, warmup="slow"),
    )
    if trainer.resume():
        return trainer
    if previous is not None:
        trainer.init_from_run(previous)
        trainer.set_started_from(str(open_bundle(bundle).spec.files[MODEL_FILE]))
    else:
        crops = [
            normalize(mixer.build(recipe.schedule.steps + k, TEMPLATE_SIZE_PX)["crops"]).contiguous(
                memory_format=torch.channels_last
            )
            for k in range(_STATISTICS_BATCHES)
        ]
        trainer.set_started_from(init_from_bundle_weights(net, bundle, crops))
    return trainer


def _sources(
    recipe: DefaultModelRecipe, options: PairOptions, teacher: TeacherEnsemble, data: FineTuneData
) -> tuple[list[Source], Tensor]:
    mix = recipe.mix
    rows = ferplus_training_rows(data.assets)
    ferplus, _, _ = load_ferplus(data.assets, data.labels)
    rest = resting_face(data.assets, data.labels, rows)
    taught = with_evidence(ferplus, ferplus_evidence(data.labels, rest)).select(rows)
    webfaces, held_out = load_webfaces(data.assets, data.labels)
    web = with_evidence(webfaces, web_evidence(data.labels, rest)).select(~held_out)
    faces, is_validation, _ = load_synthetic_images(data.synthetic_images)
    rendered = faces.select(~is_validation)
    rendered = replace(rendered, au_weight=rendered.au_weight * options.rendered_au)
    tables = []
    for table in (taught, web, rendered):
        answered = teacher.images(table)
        # The teacher keeps expressions, valence and arousal; AUs have their own evidence.
        tables.append(replace(answered, au=table.au, au_weight=table.au_weight))
    weights = (
        class_balanced_weights(taught.expression, mix.balance_power),
        uniform_weights(len(web)),
        au_balanced_weights(rendered.au, mix.au_balance_power),
    )
    counts = (mix.ferplus, mix.webfaces, mix.synthetic_images)
    sources = [Source(*each) for each in zip(tables, counts, weights, strict=True)]
    return sources, inverse_frequency_weights(taught.expression, taught.expression_weight)


def ferplus_training_rows(assets: Path) -> NDArray[np.int64]:
    """Rows of FER+ outside the validation split that earlier versions were trained on, too."""
    source = read_ferplus(assets / "data" / "ferplus")
    by_hash = training_and_validation(source.names, source.usage)[0]
    return np.intersect1d(by_hash, split_ferplus(source.usage)[0])


def _aligned(landmarks_xy: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(estimate_crop_to_frame(keypoints_from_landmarks(landmarks_xy)))


def fine_tune_recipe() -> DefaultModelRecipe:
    """Returns the recipe of a short fine-tuning run."""
    default = default_recipe()
    return replace(
        default,
        optimizer=replace(default.optimizer, rate=5e-4, warmup_steps=40, weight_decay=0.02),
        mix=replace(
            default.mix, ferplus=44, webfaces=12, synthetic_images=40, synthetic_videos=0, no_face=6
        ),
        losses=replace(default.losses, va=1.5),
        schedule=replace(
            default.schedule,
            steps=700,
            small_until=0.0,
            ema_decay=0.99,
            save_every=50,
            bfloat16=True,
        ),
    )
