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
from torch import Tensor

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
from training.datasets.renderwild import load_renderwild
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
from training.default_model.objective import normalize
from training.default_model.recipe import DefaultModelRecipe
from training.engine.ema import EmaModel
from training.engine.trainer import Trainer, TrainerConfig
from training.losses.action_pairs import LEVELS
from training.models.affect_net import AffectNet
from training.real_skin.evidence import (
    ferplus_evidence,
    resting_face,
    web_evidence,
    with_evidence,
)
from training.real_skin.feature_batches import FeatureBatches
from training.real_skin.objective import KnownActionObjective, PairOptions, freeze_features
from training.real_skin.unit_motions import UNITS

FREE_BESIDE: Final = {
    "AU9": ("AU4", "AU10"),
    "AU10": ("AU25",),
    "AU17": (),
    "AU26": ("AU25",),
    "AU25": ("AU26",),
}
"""Units that an added unit may change besides itself, for what it does to the skin."""

PRESENCE: Final = (0.02, 0.8, 0.98)
"""Presence of the added unit by level, as a soft target."""

_STATISTICS_BATCHES: Final = 6
_BORDERS: Final = ("zeros", "border", "reflection")


@dataclass(frozen=True, slots=True)
class FineTuneData:
    """Folders: images and teachers, labels, rendered faces, training images of known actions, and
    RenderWild videos with the split of them to use.
    """

    assets: Path
    labels: Path
    synthetic_images: Path
    actions: Path
    synthetic_videos: Path | None = None
    video_split: str = "Train_Set"


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
        self._shown_beside = np.zeros_like(self.free)
        for row, context in enumerate(columns["context"][::LEVELS]):
            for name in str(context).split("+"):
                for unit in (name, *FREE_BESIDE.get(name, ())):
                    if unit in AU_NAMES:
                        self._shown_beside[row, AU_NAMES.index(unit)] = True
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
            **self._presence(rows),
        }

    def _presence(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Targets and weights [G * 3, 12]: the added unit by its level, all others off.

        So every unit is off in most images, as on most faces. Units of the twin are unknown.
        """
        target = np.zeros((len(rows), LEVELS, len(AU_NAMES)), np.float32)
        weight = np.repeat(~(self.free | self._shown_beside)[rows, None], LEVELS, axis=1)
        weight = weight.astype(np.float32)
        for place, unit in enumerate(self.unit[rows]):
            if unit >= 0:
                target[place, :, unit] = PRESENCE
                weight[place, :, unit] = 1
        return {
            "au": torch.from_numpy(target.reshape(-1, len(AU_NAMES))),
            "au_weight": torch.from_numpy(weight.reshape(-1, len(AU_NAMES))),
        }


class MixedWithGroups:
    """`BatchSource`: the mixer's faces, then groups of known actions."""

    def __init__(
        self, mixer: BatchMixer, groups: ActionGroups, recipe: DefaultModelRecipe, count: int
    ) -> None:
        self.steps_per_epoch = recipe.schedule.steps
        self._mixer, self._groups, self._count = mixer, groups, count
        self._schedule, self._mix = recipe.schedule, recipe.mix
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
        for name in ("au", "au_weight"):
            merged[name][rows:] = pairs[name]
        # Per row, so that the trainer can select rows: the group's values stand at each level.
        merged["unit"] = torch.cat(
            [torch.full((rows,), -1), pairs["unit"].repeat_interleave(LEVELS)]
        )
        off = torch.zeros(rows, len(AU_NAMES), dtype=torch.bool)
        merged["free"] = torch.cat([off, pairs["free"].repeat_interleave(LEVELS, dim=0)])
        order = torch.arange(rows + added)
        merged["in_group"] = order >= rows
        first = self._mix.ferplus + self._mix.webfaces
        merged["real"] = order < first
        merged["rendered"] = (order >= first) & (order < rows - self._mix.no_face)
        return merged

    def size_px(self, step: int) -> int:
        """Side of the crops of a step."""
        small = step < self._schedule.small_until * self._schedule.steps
        return self._schedule.small_px if small else TEMPLATE_SIZE_PX


def build_fine_tuning(
    recipe: DefaultModelRecipe,
    options: PairOptions,
    bundle: Path,
    folder: Path,
    data: FineTuneData,
) -> Trainer:
    """The trainer of a network that starts as `bundle` and keeps all answers but those of AUs."""
    mixer = BatchMixer(
        _sources(recipe, data), recipe.mix.no_face, recipe.schedule.seed, recipe.jitter
    )
    groups = ActionGroups(data.actions, recipe.jitter, recipe.schedule.seed)
    torch.manual_seed(recipe.schedule.seed)
    net = AffectNet(recipe.net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    freeze_features(net)
    crops = [
        normalize(mixer.build(recipe.schedule.steps + k, TEMPLATE_SIZE_PX)["crops"]).contiguous(
            memory_format=torch.channels_last
        )
        for k in range(_STATISTICS_BATCHES)
    ]
    started_from = init_from_bundle_weights(net, bundle, crops)
    objective = KnownActionObjective(options)
    objective.start(net)
    images = MixedWithGroups(mixer, groups, recipe, options.groups)
    trainer = Trainer(
        net,
        objective,
        FeatureBatches(images, net.trunk, options.distinct_batches),
        recipe,
        TrainerConfig(
            folder,
            seed=recipe.schedule.seed,
            steps=recipe.schedule.steps,
            save_every=recipe.schedule.save_every,
            allow_changed_recipe=True,
            metadata={"known_actions": asdict(options)},
        ),
        ema=EmaModel(net, recipe.schedule.ema_decay, warmup="slow"),
    )
    trainer.set_started_from(started_from)
    trainer.resume()
    return trainer


def _sources(recipe: DefaultModelRecipe, data: FineTuneData) -> list[Source]:
    mix = recipe.mix
    rows = ferplus_training_rows(data.assets)
    ferplus, _, _ = load_ferplus(data.assets, data.labels)
    rest = resting_face(data.assets, data.labels, rows)
    taught = with_evidence(ferplus, ferplus_evidence(data.labels, rest)).select(rows)
    webfaces, held_out = load_webfaces(data.assets, data.labels)
    web = with_evidence(webfaces, web_evidence(data.labels, rest)).select(~held_out)
    faces, is_validation, _ = load_synthetic_images(data.synthetic_images)
    rendered = faces.select(~is_validation)
    sources = [
        Source(taught, mix.ferplus, class_balanced_weights(taught.expression, mix.balance_power)),
        Source(web, mix.webfaces, uniform_weights(len(web))),
        Source(
            rendered, mix.synthetic_images, au_balanced_weights(rendered.au, mix.au_balance_power)
        ),
    ]
    if data.synthetic_videos is not None:
        frames, _ = load_renderwild(data.synthetic_videos, data.video_split)
        sources.append(
            Source(
                frames, mix.synthetic_videos, au_balanced_weights(frames.au, mix.au_balance_power)
            )
        )
    return sources


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
        optimizer=replace(default.optimizer, rate=3e-3, warmup_steps=40, weight_decay=0.02),
        mix=replace(
            default.mix,
            ferplus=56,
            webfaces=14,
            synthetic_images=24,
            synthetic_videos=24,
            no_face=4,
        ),
        schedule=replace(
            default.schedule, steps=600, small_until=0.0, ema_decay=0.99, save_every=50
        ),
    )
