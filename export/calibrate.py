"""Calibrates scores, thresholds and the neutral reference of a network on held-out faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels.activations import sigmoid
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.datasets.face_table import FaceTable, concat_tables
from training.datasets.real_faces import load_ferplus
from training.datasets.renderwild import load_renderwild
from training.datasets.synthetic_images import in_threshold_half, load_synthetic_images
from training.default_model.build_trainer import split_ferplus
from training.evaluation.calibration import (
    choose_low_false_alarm_thresholds,
    fit_platt,
    fit_temperature,
    fold_into_head,
)
from training.evaluation.network_runner import predict_faces
from training.models.affect_net import AffectNet
from training.real_skin.threshold_faces import ThresholdFaces

DEFAULT_THRESHOLD: Final = 0.5
NEUTRAL_VOTES: Final = 0.8  # fraction of votes that makes a face clearly neutral
MAX_FALSE_ALARMS: Final = 0.3  # active AUs on a neutral real face, on average, for each source
F1_SLACK: Final = 0.01
"""F1 on synthetic images that may be lost for a lower threshold: AUs of real faces score lower."""

MIN_THRESHOLD: Final = 0.2
MAX_THRESHOLD: Final = 0.98
_MIN_LABEL_WEIGHT: Final = 0.3
_MIN_MAJORITY: Final = 0.5  # votes for the winning class, for fitting the temperature


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A network with calibrated scores, and the values for its spec and card."""

    net: AffectNet
    thresholds: tuple[float, ...]
    neutral_logits: tuple[float, ...]
    notes: str


def validation_faces(shared: Path, labels: Path) -> FaceTable:
    """Rows of FER+ "Training" that are held out from training."""
    table, _, usage = load_ferplus(shared, labels)
    return table.select(split_ferplus(usage)[1])


def _threshold_faces(synthetic_images: Path, people: Path | None) -> FaceTable:
    """Returns the synthetic faces that thresholds are chosen on."""
    synthetic, _, columns = load_synthetic_images(synthetic_images)
    faces = synthetic.select(in_threshold_half(columns))
    if people is None:
        return faces
    return concat_tables([faces, load_renderwild(people, "Validation_Set")[0]])


def calibrate(
    net: AffectNet,
    faces: FaceTable,
    synthetic_images: Path | None,
    size_px: int,
    people: Path | None = None,
    real_skin: ThresholdFaces | None = None,
) -> Calibrated:
    """Fit the calibration, fold it into the network and choose thresholds.

    AUs: Platt scaling, and for each AU the lowest threshold within `F1_SLACK` of the best F1 on
    half of the held-out synthetic identities (or, without them, on real faces with the landmark
    teacher's labels) and on the validation set of `people`. Thresholds are raised until a neutral
    real face shows at most `MAX_FALSE_ALARMS` active AUs on average. Expressions: a temperature.

    Args:
        net: The trained network.
        faces: Held-out real faces with votes.
        synthetic_images: Folder of synthetic images.
        size_px: Side of the crops.
        people: RenderWild folder; not the one used for evaluation.
        real_skin: Further labeled faces, and further sources of resting faces.
    """
    labeled = faces if synthetic_images is None else _threshold_faces(synthetic_images, people)
    if real_skin is not None:
        labeled = concat_tables([labeled, real_skin.actions])
    truth, known = labeled.au >= 0.5, labeled.au_weight >= _MIN_LABEL_WEIGHT
    platt = fit_platt(predict_faces(net, labeled, size_px)[0], truth, known)
    au_logit, expression_logit = predict_faces(net, faces, size_px)
    majority = np.where(
        faces.expression.max(axis=1) >= _MIN_MAJORITY, faces.expression.argmax(axis=1), -1
    )
    temperature = fit_temperature(
        expression_logit, np.where(faces.expression_weight > 0, majority, -1)
    )
    net = fold_into_head(net, platt, temperature)
    is_neutral = faces.expression[:, EXPRESSION_NAMES.index("neutral")] >= NEUTRAL_VOTES
    neutral = platt.apply(au_logit)[is_neutral & (faces.expression_weight > 0)]
    sources = {"neutral": sigmoid(neutral)}
    for name, table in ({} if real_skin is None else real_skin.resting).items():
        sources[f"resting ({name})"] = sigmoid(predict_faces(net, table, size_px)[0])
    probability = sigmoid(predict_faces(net, labeled, size_px)[0])
    thresholds, limits = _limited_thresholds(probability, truth, known, sources)
    notes = [f"Expression temperature {temperature:.2f}.", *platt.notes, *limits]
    neutral_logits = tuple(float(value) for value in np.median(neutral, axis=0))
    return Calibrated(net, thresholds, neutral_logits, " ".join(notes) + "\n")


def _limited_thresholds(
    probability: NDArray[np.float32],
    truth: NDArray[np.bool_],
    known: NDArray[np.bool_],
    sources: Mapping[str, NDArray[np.float32]],
) -> tuple[tuple[float, ...], list[str]]:
    """Returns thresholds that keep every source of neutral faces within the limit, and notes.

    `sources`: probabilities [M, 12] of neutral faces by name.
    """

    def choose(alarms: float) -> tuple[float, ...]:
        return choose_low_false_alarm_thresholds(
            probability,
            truth,
            list(sources.values()),
            known,
            alarms=[alarms] * len(sources),
            least=MIN_THRESHOLD,
            most=MAX_THRESHOLD,
            slack=F1_SLACK,
        )

    thresholds, unlimited = choose(MAX_FALSE_ALARMS), choose(len(AU_NAMES))
    raised = [name for name, a, b in zip(AU_NAMES, thresholds, unlimited, strict=True) if a > b]
    if not raised:
        return thresholds, []
    active = (
        f"{float((values >= np.array(thresholds)).mean(axis=0).sum()):.2f} on a {name} face"
        for name, values in sources.items()
    )
    note = (
        f"Thresholds of {', '.join(raised)} raised so that at most {MAX_FALSE_ALARMS:g} AUs are "
        f"active on average: {', '.join(active)}."
    )
    return thresholds, [note]
