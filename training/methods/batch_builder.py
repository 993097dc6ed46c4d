"""Tensors by name from rows of a table, as a recipe's network and losses need them: one definition
for training and evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from faceaffect.multistage.face_part_mask import face_part_mask
from training.augmentation.clips import (
    JITTERS,
    ClipJitter,
    apply_changes,
    draw_changes,
    move_landmarks,
)
from training.datasets.frame_table import FrameTable, Task
from training.methods.audio_inputs import causal_window_audio, clip_audio, window_audio
from training.methods.data import MethodData
from training.methods.normalization import NORMALIZATIONS
from training.methods.recipe import MethodRecipe
from training.models.encoders.au_attention import POINTS
from training.models.networks.mean_teacher_clip import CHANNELS
from training.models.stages import MethodNet

Form = Literal["frames", "windows", "clips"]
PIXELS: Final = "pixels"
PARTS: Final = "parts"
CHANGE: Final = "change_"
PAIR_PREFIXES: Final = ("first/", "second/")
"""Names in raw batches: stored images, images of facial parts, drawn changes, images of pairs."""

LABELS: Final[dict[Task, str]] = {"AU": "au", "EXPR": "expression", "VA": "va"}
LIGHT_JITTER: Final = ClipJitter(rotate_deg=8, crop_area=(0.8, 1.0), brightness=0.2, contrast=0.2)
_PUBLISHED_JITTER: Final = {"M1": "M1-EXPR-VA"}  # M1-AU for batches of the AU task


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Input of a network: single frames, windows of `length` consecutive frames, or clips of
    `length` frames.
    """

    form: Form
    length: int
    size_px: int
    audio_columns: int = 0  # 0: no audio
    causal: bool = False

    @classmethod
    def of(cls, net: MethodNet, form: str = "auto") -> InputSpec:
        """The input of `net`; with `form` "frames" single frames for a network over windows."""
        shapes = {each.name: each.shape for each in net.input_forms()}
        config = getattr(net, "config", None)
        audio = 0
        if "mel" in shapes:
            audio = shapes["mel"][1] if "clip" in shapes else shapes["mel"][0]
        if "clip" in shapes:
            is_causal = getattr(config, "clip", "") == "2d1d"
            return cls("clips", shapes["clip"][0], shapes["clip"][-1], audio, is_causal)
        shape = shapes["crops"]
        if len(shape) == 3 or form == "frames":
            if form == "windows":
                raise ValueError(
                    "sampling.form=windows needs a network over sequences, "
                    "got one over single frames"
                )
            return cls("frames", 1, shape[-1])
        length = int(getattr(config, "window", shape[0]))
        return cls("windows", length, shape[-1], audio, bool(getattr(config, "causal", False)))


class BatchBuilder:
    """Builds inputs and labels of rows for one recipe and network."""

    def __init__(
        self, recipe: MethodRecipe, form: InputSpec, data: MethodData, table: FrameTable
    ) -> None:
        self.recipe, self.form, self.data, self.table = recipe, form, data, table
        self._normalization = NORMALIZATIONS[recipe.normalization]
        self._labels_landmarks = any(term.label == "landmarks_49" for term in recipe.losses)

    def batch(
        self, rows: NDArray[np.int64], tasks: tuple[Task, ...], seed: tuple[int, ...]
    ) -> dict[str, Tensor]:
        """Augmented inputs and the labels of `tasks`, for training; the same seed returns the same
        batch.
        """
        return self.finish(self.raw_batch(rows, tasks, seed))

    def raw_batch(
        self, rows: NDArray[np.int64], tasks: tuple[Task, ...], seed: tuple[int, ...]
    ) -> dict[str, Tensor]:
        """A batch as it travels to the device: `pixels` as stored, and what `finish` changes."""
        inputs, points = self._raw(rows, self._jitter(tasks), np.random.default_rng(seed))
        if self._labels_landmarks:
            inputs |= _landmark_labels(points)
        drop_audio = self.recipe.sampling.drop_audio
        if self.form.audio_columns and self.form.form == "clips" and drop_audio:
            is_dropped = np.random.default_rng([*seed, 1]).random(len(rows)) < drop_audio
            inputs["mel_real"] = inputs["mel_real"] * torch.from_numpy(~is_dropped)
        return inputs | self.labels(rows, tasks)

    def finish(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The batch of a raw one: images in floats, resized, changed and normalized on its device.

        Raw pairs have `first/` and `second/` before the names of their images.
        """
        batch = {name: value for name, value in raw.items() if not _is_raw(name)}
        for prefix in ("", *PAIR_PREFIXES):
            if f"{prefix}{PIXELS}" in raw:
                name = prefix.rstrip("/") or ("clip" if self.form.form == "clips" else "crops")
                batch[name] = self._finished(
                    {n[len(prefix) :]: v for n, v in raw.items() if n.startswith(prefix)}
                )
        return batch

    def _finished(self, raw: Mapping[str, Tensor]) -> Tensor:
        images = self._floats(raw[PIXELS])
        changes = {
            name.removeprefix(CHANGE): value for name, value in raw.items() if CHANGE in name
        }
        if changes:
            single = images.ndim == 4
            images = apply_changes(images[:, None] if single else images, changes)
            images = images[:, 0] if single else images
        if PARTS in raw:
            images = torch.cat([images, raw[PARTS].float().div_(255)], dim=-3)
            assert images.shape[-3] == CHANNELS
        return self._normalization.apply(images)

    def inputs(self, rows: NDArray[np.int64], device: str = "cpu") -> dict[str, Tensor]:
        """Inputs without augmentation, for evaluation."""
        raw = self._raw(rows)[0]
        return self.finish({name: value.to(device) for name, value in raw.items()})

    def images(self, rows: NDArray[np.int64]) -> Tensor:
        """Images [n, C, S, S] of single rows without augmentation, for networks that run frame by
        frame.
        """
        clips = rows[:, None] if self.form.form == "clips" else rows
        name = "clip" if self.form.form == "clips" else "crops"
        images = self.finish(self._raw(clips, audio=False)[0])[name]
        return images[:, 0] if self.form.form == "clips" else images

    def labels(self, rows: NDArray[np.int64], tasks: tuple[Task, ...]) -> dict[str, Tensor]:
        """Labels and masks of `tasks`. Rows of -1 have none; a clip has those of its last frame."""
        rows = np.asarray(rows, np.int64)
        labeled = rows[:, -1] if self.form.form == "clips" and rows.ndim == 2 else rows
        labels: dict[str, Tensor] = {}
        for task in tasks:
            name = LABELS[task]
            values = getattr(self.table, name)[labeled]
            mask = getattr(self.table, f"{name}_mask")[labeled]
            mask = mask & ((labeled >= 0)[..., None] if task == "AU" else labeled >= 0)
            dtype = np.int64 if task == "EXPR" else np.float32
            labels[name] = torch.from_numpy(values.astype(dtype))
            labels[f"{name}_mask"] = torch.from_numpy(mask.astype(np.float32))
        return labels

    def _jitter(self, tasks: tuple[Task, ...]) -> ClipJitter | None:
        kind = self.recipe.sampling.jitter
        if kind == "auto":
            kind = "published" if self.recipe.preset == "published" else "light"
        if kind != "published":
            return LIGHT_JITTER if kind == "light" else None
        name = (
            "M1-AU"
            if self.recipe.paper == "M1" and tasks == ("AU",)
            else _PUBLISHED_JITTER.get(self.recipe.paper, self.recipe.paper)
        )
        return JITTERS.get(name, LIGHT_JITTER)

    def _raw(
        self,
        rows: NDArray[np.int64],
        jitter: ClipJitter | None = None,
        random: np.random.Generator | None = None,
        audio: bool = True,
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Raw inputs by name, and landmarks in pixels of the network's images."""
        rows = np.asarray(rows, np.int64)
        inputs = {PIXELS: self._pixels(rows)} | (self._audio(rows) if audio else {})
        is_clip = self.form.form == "clips"
        points = self._points(rows) if self._labels_landmarks or is_clip else None
        if jitter is not None and random is not None:
            generator = torch.Generator().manual_seed(int(random.integers(2**62)))
            changes = draw_changes(len(rows), self.form.size_px, jitter, generator)
            if points is not None:
                single = points.ndim == 3
                points = move_landmarks(points[:, None] if single else points, changes)
                points = points[:, 0] if single else points
            inputs |= {f"{CHANGE}{name}": value for name, value in changes.items()}
        if is_clip:
            inputs["clip_real"] = torch.from_numpy((rows >= 0).astype(np.float32))
            inputs[PARTS] = _part_masks(points, rows.shape, self.form.size_px)
        return inputs, points

    def _pixels(self, rows: NDArray[np.int64]) -> Tensor:
        """Stored images [..., P, P, 3], uint8."""
        return torch.from_numpy(self.data.images.read(self.table, rows))

    def _floats(self, pixels: Tensor) -> Tensor:
        """[..., 3, S, S] in 0..1 at the network's size."""
        images = pixels.reshape(-1, *pixels.shape[-3:]).permute(0, 3, 1, 2).contiguous()
        images = images.float().div_(255)
        size = self.form.size_px
        if images.shape[-1] != size:
            images = functional.interpolate(
                images, (size, size), mode="bilinear", align_corners=False
            )
        return images.reshape(*pixels.shape[:-3], *images.shape[1:])

    def _points(self, rows: NDArray[np.int64]) -> Tensor:
        """[..., 68, 2] pixels of the network's images, NaN where unknown."""
        ratio = self.form.size_px / self.data.images.size_px
        points = self.data.images.read_landmarks(self.table, rows)
        return torch.from_numpy(((points + 0.5) * ratio - 0.5).astype(np.float32))

    def _audio(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        form = self.form
        tracks = self.data.tracks
        if not form.audio_columns:
            return {}
        if form.form == "clips":
            mel, has_audio = clip_audio(
                self.table, tracks, rows, form.audio_columns, centered=not form.causal
            )
            return {"mel": mel, "mel_real": has_audio}
        if not form.causal:
            mel, has_audio = window_audio(self.table, tracks, rows)
            return {"mel": mel, "mel_real": has_audio}
        mel, mel_index, has_audio = causal_window_audio(self.table, tracks, rows)
        return {"mel": mel, "mel_index": mel_index, "mel_real": has_audio}


def _landmark_labels(points: Tensor | None) -> dict[str, Tensor]:
    assert points is not None
    points_49 = points[:, list(POINTS)]
    is_known = torch.isfinite(points_49).flatten(1).all(dim=1)
    return {"landmarks_49": torch.nan_to_num(points_49), "landmarks_49_mask": is_known.float()}


def _part_masks(points: Tensor | None, shape: tuple[int, ...], size_px: int) -> Tensor:
    """Images of facial parts [B, T, 1, S, S] uint8; empty where no landmarks are known."""
    masks = np.zeros((*shape, 1, size_px, size_px), np.uint8)
    if points is not None:
        values = points.numpy()
        is_known = np.isfinite(values).all(axis=(-2, -1))
        for position in np.argwhere(is_known):
            index = tuple(position)
            masks[index][0] = face_part_mask(values[index], size_px)
    return torch.from_numpy(masks)


def _is_raw(name: str) -> bool:
    """Whether only `finish` uses a tensor of a raw batch."""
    own = name.rpartition("/")[2]
    return own in (PIXELS, PARTS) or own.startswith(CHANGE)
