"""Soft labels and majority of FER+ votes."""

import numpy as np
import pytest

from faceaffect.labels import EXPRESSION_NAMES
from training.datasets.emotion_to_va import valence_arousal
from training.datasets.ferplus import (
    VOTE_NAMES,
    clear_majority,
    expression_distribution,
    no_face_majority,
)


def votes(**counts: int) -> np.ndarray:
    return np.array([[counts.get(name, 0) for name in VOTE_NAMES]])


@pytest.mark.parametrize("name", EXPRESSION_NAMES)
def test_expression_distribution_maps_each_class_to_its_index(name):
    row = votes(**{name: 10})
    assert clear_majority(row)[0] == EXPRESSION_NAMES.index(name)
    assert expression_distribution(row)[0][0].argmax() == EXPRESSION_NAMES.index(name)


@pytest.mark.parametrize(
    "row",
    [
        votes(neutral=4, anger=3, sadness=3),  # no class has five votes
        votes(neutral=5, sadness=5),  # a tie
        votes(contempt=6, neutral=4),  # the winner is none of the seven
        votes(neutral=5, unknown=5),
    ],
)
def test_clear_majority_of_unclear_votes_is_minus_one(row):
    assert clear_majority(row)[0] == -1


def test_expression_distribution_non_class_votes_lower_weight_only():
    distribution, weight = expression_distribution(votes(sadness=4, fear=2, contempt=2, unknown=2))
    assert distribution[0].sum() == pytest.approx(1)
    assert distribution[0, EXPRESSION_NAMES.index("sadness")] == pytest.approx(4 / 6)
    assert weight[0] == pytest.approx(0.6)


def test_expression_distribution_ignores_single_vote_beside_majority():
    distribution, _ = expression_distribution(votes(happiness=9, disgust=1))
    assert distribution[0, EXPRESSION_NAMES.index("happiness")] == 1


def test_expression_distribution_without_class_votes_has_zero_weight():
    distribution, weight = expression_distribution(votes(NF=10))
    assert weight[0] == 0
    assert distribution[0].sum() == pytest.approx(1)
    assert no_face_majority(votes(NF=6, neutral=4))[0]
    assert not no_face_majority(votes(NF=5, neutral=5))[0]


def test_valence_arousal_signs_match_emotion():
    table = valence_arousal(np.eye(len(EXPRESSION_NAMES), dtype=np.float32))
    valence, arousal = (dict(zip(EXPRESSION_NAMES, table[:, k], strict=True)) for k in (0, 1))
    assert (
        valence["happiness"]
        > 0.5
        > 0
        > max(valence[n] for n in ("anger", "disgust", "fear", "sadness"))
    )
    assert valence["neutral"] == arousal["neutral"] == 0
    assert arousal["sadness"] < 0 < arousal["fear"]
