"""Triplets of faces for M1's prior: two that show alike expressions and one that differs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.datasets.broken_data import BrokenFileError
from training.datasets.fec_triplets import KINDS, read_fec
from training.datasets.frame_table import FrameTable
from training.losses.ranking import triplet
from training.methods.batch_builder import BatchBuilder
from training.methods.normalization import NORMALIZATIONS
from training.methods.recipe import MethodRecipe

MARGIN: Final = 0.1
THREE_CLASS_MARGIN: Final = 0.2
"""Margins of triplets of one or two expressions, and of three (FECNet)."""

CLEAR: Final = 0.6
"""Largest distance of the alike pair, as a fraction of the second smallest, of a clear triplet."""

_TRIES: Final = 40
_BOX_MARGIN: Final = 0.25  # around the boxes of FEC, as a fraction of the longer side


def triplet_objective(
    net: nn.Module, batch: Mapping[str, Tensor], epoch: float
) -> dict[str, Tensor]:
    """The triplet loss of an `ExpressionCode` on `crops` and `margin`."""
    anchor, positive, negative = net(batch)
    return {"loss": triplet(anchor, positive, negative, batch["margin"])}


class TripletRows:
    """Draws triplets of a table's labeled frames of three different groups (people).

    Frames are compared by their AUs, expression and valence-arousal where all three have them. Of
    random triplets those are kept whose most alike pair is clearly closer than both other pairs.
    """

    def __init__(self, table: FrameTable, batch: int) -> None:
        self._table, self._batch = table, batch
        self._masks = table.masks
        self._rows = np.flatnonzero(table.has_crop & table.masks.any(axis=1))
        self._group = np.unique(np.array(table.groups), return_inverse=True)[1][table.video]
        if len(np.unique(self._group[self._rows])) < 3:
            raise ValueError(
                "triplets of expressions need labeled training frames of three people; set "
                "prior.triplets=none or a file of FEC"
            )

    def __len__(self) -> int:
        """Number of labeled frames."""
        return len(self._rows)

    def draw(self, random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows [B, 3] of anchor, positive and negative, and margins [B].

        Raises:
            ValueError: hardly any random triplet is clear.
        """
        table = self._table
        found: list[NDArray[np.int64]] = []
        for _ in range(_TRIES):
            drawn = random.choice(self._rows, (8 * self._batch, 3))
            group = self._group[drawn]
            is_apart = (np.diff(np.sort(group, axis=1), axis=1) > 0).all(axis=1)
            found.append(self._clear(drawn[is_apart]))
            if sum(map(len, found)) >= self._batch:
                break
        rows = np.concatenate(found)[: self._batch]
        if len(rows) < 2:
            raise ValueError(
                "the training labels hold no clear triplets of expressions; set "
                "prior.triplets=none or a file of FEC"
            )
        classes = np.sort(table.expression[rows], axis=1)
        is_three = (np.diff(classes, axis=1) > 0).all(axis=1) & table.expression_mask[rows].all(
            axis=1
        )
        margins = np.where(is_three, THREE_CLASS_MARGIN, MARGIN).astype(np.float32)
        return rows, margins

    def _clear(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The clear triplets among rows [K, 3], sorted into anchor, positive and negative."""
        pairs = ((0, 1), (0, 2), (1, 2))
        distances = np.stack([self._distance(rows[:, i], rows[:, j]) for i, j in pairs], axis=1)
        ordered = np.sort(distances, axis=1)
        is_clear = np.isfinite(distances).all(axis=1) & (ordered[:, 0] < CLEAR * ordered[:, 1])
        order = np.array([(0, 1, 2), (0, 2, 1), (1, 2, 0)])[distances.argmin(axis=1)]
        return np.take_along_axis(rows, order, axis=1)[is_clear]

    def _distance(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean distance [K] over the tasks that both rows are labeled for, NaN without any."""
        table = self._table
        values = (
            np.abs(table.au[first] - table.au[second]).mean(axis=1),
            (table.expression[first] != table.expression[second]).astype(float),
            np.abs(table.va[first] - table.va[second]).mean(axis=1) / 2,
        )
        masks = self._masks[first] & self._masks[second]
        total = sum(np.where(masks[:, k], value, 0) for k, value in enumerate(values))
        count = masks.sum(axis=1)
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


class LabelTriplets:
    """Batch source of the triplets of a builder's table."""

    def __init__(self, builder: BatchBuilder, batch: int, seed: int) -> None:
        self._builder, self._seed = builder, seed
        self._rows = TripletRows(builder.table, batch)
        self.steps_per_epoch = max(1, -(-len(self._rows) // (3 * batch)))

    def get(self, step: int) -> list[dict[str, Tensor]]:
        rows, margins = self._rows.draw(np.random.default_rng([self._seed, step, 75]))
        crops = self._builder.batch(rows.ravel(), (), (self._seed, step, 76))["crops"]
        margin = torch.from_numpy(margins)
        return [{"crops": torch.unflatten(crops, 0, (-1, 3)), "margin": margin}]


class FecTriplets:
    """Batch source of the usable triplets of FEC, cropped around their boxes."""

    def __init__(
        self, path: Path, recipe: MethodRecipe, batch: int, seed: int, progress: bool = True
    ) -> None:
        self._table = read_fec(path, progress=progress)
        self._usable = self._table.usable()
        if len(self._usable) < 2:
            raise ValueError(
                f"{path} has no usable triplet: expected the downloaded images in the folder "
                "`images` beside it"
            )
        self._normalization = NORMALIZATIONS[recipe.normalization]
        self._size_px, self._batch, self._seed = recipe.net.size_px, batch, seed
        self.steps_per_epoch = max(1, -(-len(self._usable) // batch))

    def get(self, step: int) -> list[dict[str, Tensor]]:
        random = np.random.default_rng([self._seed, step, 77])
        chosen = random.choice(self._usable, self._batch)
        odd = self._table.odd[chosen]
        order = np.array([(1, 2, 0), (0, 2, 1), (0, 1, 2)])[odd]
        crops = np.stack(
            [
                [self._crop(int(n), int(k)) for k in row]
                for n, row in zip(chosen, order, strict=True)
            ]
        )
        images = torch.from_numpy(crops).permute(0, 1, 4, 2, 3).float() / 255
        is_three = self._table.kind[chosen] == KINDS.index("THREE_CLASS_TRIPLET")
        margin = np.where(is_three, THREE_CLASS_MARGIN, MARGIN).astype(np.float32)
        return [{"crops": self._normalization.apply(images), "margin": torch.from_numpy(margin)}]

    def _crop(self, number: int, image: int) -> NDArray[np.uint8]:
        path = str(self._table.paths[number, image])
        pixels = cv2.imread(path, cv2.IMREAD_COLOR)
        if pixels is None:
            raise BrokenFileError(path, None, "cannot be decoded as an image; delete it")
        height, width = pixels.shape[:2]
        x1, y1, x2, y2 = self._table.boxes[number, image] * [width, height, width, height]
        side = max(x2 - x1, y2 - y1) * (1 + _BOX_MARGIN)
        left, top = (x1 + x2 - side) / 2, (y1 + y2 - side) / 2
        scale = side / self._size_px
        to_image = np.array(
            [[scale, 0, left + 0.5 * scale - 0.5], [0, scale, top + 0.5 * scale - 0.5]], np.float32
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(
            pixels,
            to_image,
            (self._size_px, self._size_px),
            flags=flags,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.ascontiguousarray(crop[:, :, ::-1]).astype(np.uint8)
