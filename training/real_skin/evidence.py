"""Replaces the AU targets of real faces by geometric evidence and strongly agreed neutral faces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.datasets.face_table import FaceTable
from training.datasets.ferplus import expression_distribution, read_ferplus
from training.labeling.geometric_aus import RestingFace, au_evidence
from training.labeling.label_faces import FERPLUS_FILE, WEBFACES_FILE

_PRESENT: Final = 0.5
_SURE: Final = 0.9
_NEUTRAL: Final = 0.9  # fraction of votes for the resting population and for "off"
_SMILING: Final = 0.8
_SHOWN_BY_NEUTRAL: Final = ("AU25", "AU26")
OFF_WEIGHT: Final = 1.0
KEPT_ON_REAL_FACES: Final = ("AU12",)
"""Units that real faces do not teach but by neutral votes; their first answers are kept.

Geometry takes crying, which widens and lifts the mouth, for smiling.
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Soft AU targets and confidences of N faces."""

    target: NDArray[np.float32]  # [N, 12]
    weight: NDArray[np.float32]  # [N, 12]


def resting_face(shared: Path, labels: Path, rows: NDArray[np.int64]) -> RestingFace:
    """Fits the resting population to rows of FER+."""
    source = read_ferplus(shared / "data" / "ferplus")
    outputs = np.load(labels / FERPLUS_FILE, allow_pickle=False)
    rows = rows[outputs["presence"][rows] > _SURE]
    votes = expression_distribution(source.votes[rows])[0]
    return RestingFace.fit(
        outputs["points_xyz"][rows],
        votes[:, EXPRESSION_NAMES.index("neutral")] >= _NEUTRAL,
        votes[:, EXPRESSION_NAMES.index("happiness")] >= _SMILING,
    )


def ferplus_evidence(labels: Path, rest: RestingFace) -> Evidence:
    """Evidence for all faces of FER+."""
    return _evidence(labels / FERPLUS_FILE, rest)


def web_evidence(labels: Path, rest: RestingFace) -> Evidence:
    """Evidence for the web faces that `load_webfaces` lists."""
    return _evidence(labels / WEBFACES_FILE, rest, only_present=True)


def _evidence(path: Path, rest: RestingFace, *, only_present: bool = False) -> Evidence:
    outputs = np.load(path, allow_pickle=False)
    present = outputs["presence"] > _PRESENT
    target, weight = au_evidence(rest, outputs["points_xyz"])
    weight[~present] = 0
    if only_present:
        target, weight = target[present], weight[present]
    return Evidence(target, weight)


def with_evidence(table: FaceTable, evidence: Evidence) -> FaceTable:
    """The table with AU targets from evidence; strongly agreed neutral faces are "off"."""
    target, weight = evidence.target.copy(), evidence.weight.copy()
    weight[:, [AU_NAMES.index(name) for name in KEPT_ON_REAL_FACES]] = 0
    neutral = (table.expression[:, EXPRESSION_NAMES.index("neutral")] >= _NEUTRAL) & (
        table.expression_weight > 0
    )
    off = np.repeat(neutral[:, None], len(AU_NAMES), axis=1)
    for name in _SHOWN_BY_NEUTRAL:  # lips of a neutral face may be parted
        off[:, AU_NAMES.index(name)] &= target[:, AU_NAMES.index(name)] < _PRESENT
    target[off] = 0
    weight[off] = np.maximum(weight[off], OFF_WEIGHT)
    weight[table.face < _PRESENT] = 0
    return replace(table, au=target, au_weight=weight)
