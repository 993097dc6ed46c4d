"""Calibrated scores, thresholds and the neutral reference of a trained network, all out of faces it
was not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.outputs.decode import sigmoid
from training.datasets.face_table import FaceTable, join_tables
from training.datasets.real_faces import load_ferplus
from training.datasets.renderwild import load_wild
from training.datasets.synthetic_images import load_rendered, of_threshold_half
from training.default_model.build_trainer import split_ferplus
from training.evaluation.calibration import (
    choose_low_false_alarm_thresholds,
    fit_platt,
    fit_temperature,
    fold_into_head,
)
from training.evaluation.network_runner import read
from training.models.affect_net import AffectNet

DEFAULT_THRESHOLD: Final = 0.5
NEUTRAL_SHARE: Final = 0.8  # of the votes: nobody doubts that such a face is neutral
ALARMS: Final = 0.4  # AUs that may be called on for a neutral real face, on average
SLACK: Final = 0.01
"""Of F1 on renders, given away for the most sensitive threshold: units of real faces get lower
scores than rendered ones.
"""

LEAST_THRESHOLD: Final = 0.2
MOST_THRESHOLD: Final = 0.98
_LEAST_TRUST: Final = 0.3
_LEAST_SHARE: Final = 0.5  # of votes for the winning class, where a temperature is fitted


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A network whose scores are calibrated, and what its spec says of them."""

    net: AffectNet
    thresholds: tuple[float, ...]
    neutral_logits: tuple[float, ...]
    notes: str


def validation_faces(shared: Path, labels: Path) -> FaceTable:
    """The rows of FER+ Training that training left out."""
    table, _, usage = load_ferplus(shared, labels)
    return table.pick(split_ferplus(usage)[1])


def calibrate(
    net: AffectNet, faces: FaceTable, renders: Path | None, size_px: int, people: Path | None = None
) -> Calibrated:
    """Fit, fold and choose.

    AU: Platt scaling, and the thresholds of the best mean F1 on half of the held-out rendered
    identities (without renders: on real faces under the landmark teacher's opinion, where it has
    one) and on the validation people of a RenderWild in `people`, which must not be the one that
    gives figures; of these the lowest within `SLACK`. They call at most `ALARMS` AUs on a
    neutral real face: what looks right on renders must not cry wolf on people. Expression: a
    temperature on the held-out faces' votes.
    """
    judged = faces
    if renders is not None:
        rendered, _, columns = load_rendered(renders)
        judged = rendered.pick(of_threshold_half(columns))
        if people is not None:
            judged = join_tables([judged, load_wild(people, "Validation_Set")[0]])
    truth, known = judged.au >= 0.5, judged.au_weight >= _LEAST_TRUST
    platt = fit_platt(read(net, judged, size_px)[0], truth, known)
    au_logit, expression_logit = read(net, faces, size_px)
    winner = np.where(
        faces.expression.max(axis=1) >= _LEAST_SHARE, faces.expression.argmax(axis=1), -1
    )
    temperature = fit_temperature(
        expression_logit, np.where(faces.expression_weight > 0, winner, -1)
    )
    net = fold_into_head(net, platt, temperature)
    is_neutral = faces.expression[:, EXPRESSION_NAMES.index("neutral")] >= NEUTRAL_SHARE
    neutral = platt.apply(au_logit)[is_neutral & (faces.expression_weight > 0)]
    probability, rest = sigmoid(read(net, judged, size_px)[0]), sigmoid(neutral)
    free, thresholds = (
        choose_low_false_alarm_thresholds(
            probability,
            truth,
            rest,
            known,
            alarms=alarms,
            least=LEAST_THRESHOLD,
            most=MOST_THRESHOLD,
            slack=SLACK,
        )
        for alarms in (len(AU_NAMES), ALARMS)
    )
    raised = [name for name, a, b in zip(AU_NAMES, thresholds, free, strict=True) if a > b]
    notes = [f"Expression temperature {temperature:.2f}.", *platt.notes]
    if raised:
        called = float((rest >= np.array(thresholds)).mean(axis=0).sum())
        notes.append(
            f"Thresholds raised so that a neutral real face shows {called:.2f} AUs ({ALARMS:g} at most): {raised}."
        )
    return Calibrated(
        net, thresholds, tuple(float(v) for v in np.median(neutral, axis=0)), " ".join(notes) + "\n"
    )
