"""Statistics of one or several faces over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.summary.face_rows import FaceRows

Cell = str | int | float | None
"""A cell of a summary; None where nothing is known."""

_AU_MEASURES: Final = ("share", "bouts", "bouts_per_min", "bout_mean_s", "bout_max_s")
MEASURES: Final[tuple[str, ...]] = (
    "tracks",
    "frames",
    "covered_s",
    "quality_mean",
    *(f"{name}_{measure}" for name in AU_NAMES for measure in _AU_MEASURES),
    "valence_mean",
    "valence_sd",
    "arousal_mean",
    "arousal_sd",
    *(f"{name}_share" for name in EXPRESSION_NAMES),
    "expression",
)
"""Columns that are measured, in their order.

`covered_s` is the time in which the face was seen. A share is a part of that time (of unrelated
images: of the faces). A bout is an uninterrupted time in which an AU is active; means and standard
deviations weight each frame by its duration; `expression` has the largest share.
"""


def measure(faces: Sequence[FaceRows]) -> dict[str, Cell]:
    """Measure one person, given the rows [N] of each of their tracks.

    Returns:
        A cell for each of `MEASURES`.
    """
    is_sequence = all(face.is_sequence for face in faces)
    weights = [
        face.duration_s() if is_sequence else np.ones(len(face), np.float64) for face in faces
    ]
    if not sum(float(weight.sum()) for weight in weights):  # a single frame
        weights = [np.ones(len(face), np.float64) for face in faces]
    weight = np.concatenate(weights)
    covered_s = float(sum(face.duration_s().sum() for face in faces)) if is_sequence else None
    cells: dict[str, Cell] = {
        "tracks": len(faces) if is_sequence else sum(len(face) for face in faces),
        "frames": sum(len(face) for face in faces),
        "covered_s": covered_s,
        "quality_mean": _moments(_joined(faces, "quality"), weight)[0],
    }
    for au, name in enumerate(AU_NAMES):
        cells |= _measure_au(faces, au, name, weights, covered_s)
    for name in ("valence", "arousal"):
        cells[f"{name}_mean"], cells[f"{name}_sd"] = _moments(_joined(faces, name), weight)
    cells |= _measure_expressions(np.concatenate([face.expression for face in faces]), weight)
    return cells


def _measure_au(
    faces: Sequence[FaceRows],
    au: int,
    name: str,
    weights: Sequence[NDArray[np.float64]],
    covered_s: float | None,
) -> dict[str, Cell]:
    is_known = all(np.isfinite(face.au_probability[:, au]).any() for face in faces)
    if not is_known:
        return {f"{name}_{measure}": None for measure in _AU_MEASURES}
    total = sum(float(weight.sum()) for weight in weights)
    active = sum(
        float(weight[face.au_active[:, au]].sum())
        for face, weight in zip(faces, weights, strict=True)
    )
    cells: dict[str, Cell] = {f"{name}_share": active / total}
    if covered_s is None:
        return cells | {f"{name}_{measure}": None for measure in _AU_MEASURES[1:]}
    bouts_s = [seconds for face in faces for seconds in bout_durations_s(face, au)]
    return cells | {
        f"{name}_bouts": len(bouts_s),
        f"{name}_bouts_per_min": 60 * len(bouts_s) / covered_s if covered_s else None,
        f"{name}_bout_mean_s": float(np.mean(bouts_s)) if bouts_s else None,
        f"{name}_bout_max_s": max(bouts_s) if bouts_s else None,
    }


def bout_durations_s(face: FaceRows, au: int) -> list[float]:
    """Duration of each bout of AU number `au` in `labels.AU_NAMES`."""
    duration_s = face.duration_s()
    return [
        float(duration_s[first : last + 1].sum())
        for first, last in face.runs(face.au_active[:, au]).tolist()
    ]


def _measure_expressions(
    expression: NDArray[np.int64], weight: NDArray[np.float64]
) -> dict[str, Cell]:
    is_known = expression >= 0
    if not is_known.any():
        return {**{f"{name}_share": None for name in EXPRESSION_NAMES}, "expression": None}
    shares = np.bincount(
        expression[is_known], weight[is_known], minlength=len(EXPRESSION_NAMES)
    ) / float(weight[is_known].sum())
    return {
        **{
            f"{name}_share": float(share)
            for name, share in zip(EXPRESSION_NAMES, shares, strict=True)
        },
        "expression": EXPRESSION_NAMES[int(shares.argmax())],
    }


def _joined(faces: Sequence[FaceRows], name: str) -> NDArray[np.float64]:
    return np.concatenate([face.column(name) for face in faces])


def _moments(
    values: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    """Return the weighted mean and standard deviation of the values that are known."""
    is_known = np.isfinite(values)
    if not is_known.any():
        return None, None
    mean = float(np.average(values[is_known], weights=weight[is_known]))
    variance = float(np.average((values[is_known] - mean) ** 2, weights=weight[is_known]))
    return mean, variance**0.5
