"""FER+: gray 48 px faces with the votes of ten annotators each, and soft labels from the votes.

`read_ferplus` reads a compact form: atlases `atlas_NN.png` of 50 columns of 48 px faces, and
`labels.csv` with the columns image, index (position in the atlases), usage and one per vote. It
was tested on real images and votes. `training.datasets.ferplus_csv` reads the published form.

Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution", ICMI 2016; images: FER2013, Goodfellow et al. 2013.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import EXPRESSION_NAMES

IMAGE_PX: Final = 48
ATLAS_COLUMNS: Final = 50
ATLAS_TILES: Final = 1000
VOTE_NAMES: Final = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)


@dataclass(frozen=True, slots=True)
class FerPlus:
    """The N images of FER+ in the order of its table."""

    images: NDArray[np.uint8]  # [N, 48, 48]
    votes: NDArray[np.int64]  # [N, 10], order of VOTE_NAMES
    usage: NDArray[np.str_]  # [N], "Training" or "PublicTest"
    names: NDArray[np.str_]  # [N]


def read_ferplus(folder: Path) -> FerPlus:
    """Read the table and the atlases; FileNotFoundError if an atlas is missing."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    atlases: dict[int, NDArray[np.uint8]] = {}
    images = np.empty((len(rows), IMAGE_PX, IMAGE_PX), np.uint8)
    for i, row in enumerate(rows):
        number, tile = divmod(int(row["index"]), ATLAS_TILES)
        if number not in atlases:
            path = folder / f"atlas_{number:02d}.png"
            atlas = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if atlas is None:
                raise FileNotFoundError(
                    f"labels.csv names image {row['index']}, but {path} cannot be read"
                )
            atlases[number] = np.asarray(atlas, np.uint8)
        y, x = (IMAGE_PX * k for k in divmod(tile, ATLAS_COLUMNS))
        images[i] = atlases[number][y : y + IMAGE_PX, x : x + IMAGE_PX]
    return FerPlus(
        images=images,
        votes=np.array([[int(row[name]) for name in VOTE_NAMES] for row in rows]),
        usage=np.array([row["usage"] for row in rows]),
        names=np.array([row["image"] for row in rows]),
    )


def expression_distribution(
    votes: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Soft labels [N, 7] in the order of labels.EXPRESSION_NAMES, and a weight [N].

    Votes for contempt, "unknown" and "not a face" are excluded from the distribution; the weight
    is the fraction of votes for one of the seven classes. A single vote for a class beside five or
    more for another is treated as an outlier and dropped, as in Barsoum et al. 2016.
    """
    columns = [VOTE_NAMES.index(name) for name in EXPRESSION_NAMES]
    counts = votes[:, columns].astype(np.float32)
    is_outlier = (counts == 1) & (counts.max(axis=1, keepdims=True) >= 5)
    counts = np.where(is_outlier, 0, counts)
    total = counts.sum(axis=1)
    distribution = counts / np.maximum(total, 1)[:, None]
    distribution[total == 0] = 1 / len(EXPRESSION_NAMES)
    return distribution, total / np.maximum(votes.sum(axis=1), 1).astype(np.float32)


def clear_majority(votes: NDArray[np.int64], min_votes: int = 5) -> NDArray[np.int64]:
    """Class index [N] if one of the seven classes has at least `min_votes` votes and wins.

    -1 otherwise: no class with that many votes, a tie, or another winner (contempt, unknown, not
    a face). Such images are excluded from reported metrics.
    """
    columns = [VOTE_NAMES.index(name) for name in EXPRESSION_NAMES]
    best = votes.max(axis=1)
    unique = (votes == best[:, None]).sum(axis=1) == 1
    seven = votes[:, columns]
    return np.where(
        (seven.max(axis=1) >= min_votes) & (seven.max(axis=1) == best) & unique,
        seven.argmax(axis=1),
        -1,
    )


def no_face_majority(votes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether more than half of the votes [N, 10] say "not a face" [N]."""
    return np.asarray(votes[:, VOTE_NAMES.index("NF")] * 2 > votes.sum(axis=1), np.bool_)
