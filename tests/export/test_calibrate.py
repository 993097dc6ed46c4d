"""Calibration of AU scores, thresholds and the neutral reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from export.calibrate import MAX_FALSE_ALARMS, calibrate
from faceaffect.kernels.activations import sigmoid
from faceaffect.labels import EXPRESSION_NAMES
from tests.training.default_model.synthetic_faces import TINY, synthetic_faces
from training import metrics
from training.evaluation.network_runner import predict_faces
from training.models.affect_net import AffectNet
from training.real_skin.threshold_faces import ThresholdFaces

pytestmark = pytest.mark.train


REQUIRES = ("moderngl",)


@pytest.fixture(scope="module")
def net() -> AffectNet:
    torch.manual_seed(3)
    return AffectNet(TINY).eval()


@pytest.fixture(scope="module")
def faces(net):
    """300 faces with AUs drawn from the network's logits; the true scale is 0.5, the offset 0.3."""
    random = np.random.default_rng(5)
    table = synthetic_faces(300)
    logit = predict_faces(net, table, 112)[0]
    spread = logit.std(axis=0) + 1e-6
    probability = sigmoid(
        (0.5 * (logit - logit.mean(axis=0)) / spread * 3 + 0.3).astype(np.float32)
    )
    neutral = np.zeros((300, 7), np.float32)
    neutral[np.arange(300), random.choice([0, 0, 0, 1, 4], 300)] = 1
    return replace(
        table, au=(random.random((300, 12)) < probability).astype(np.float32), expression=neutral
    )


def test_calibrate_reduces_calibration_error(net, faces):
    calibrated = calibrate(net, faces, None, 112)
    before, after = (
        sigmoid(predict_faces(network, faces, 112)[0]) for network in (net, calibrated.net)
    )
    label = (faces.au >= 0.5).astype(np.int64)
    errors = [
        np.mean([curve.error for curve in metrics.au_reliability(p, label)])
        for p in (before, after)
    ]
    assert errors[1] < errors[0]
    assert errors[1] < 0.08


def test_calibrate_limits_false_alarms_on_neutral_faces(net, faces):
    calibrated = calibrate(net, faces, None, 112)
    neutral = faces.expression[:, EXPRESSION_NAMES.index("neutral")] > 0.8
    active = sigmoid(predict_faces(calibrated.net, faces, 112)[0])[neutral] >= np.array(
        calibrated.thresholds
    )
    assert active.sum(axis=1).mean() <= MAX_FALSE_ALARMS + 0.02


def test_calibrate_neutral_logits_are_median_of_neutral_faces(net, faces):
    calibrated = calibrate(net, faces, None, 112)
    neutral = faces.expression[:, EXPRESSION_NAMES.index("neutral")] > 0.8
    np.testing.assert_allclose(
        np.median(predict_faces(calibrated.net, faces, 112)[0][neutral], axis=0),
        calibrated.neutral_logits,
        atol=1e-4,
    )


def test_calibrate_does_not_change_its_argument(net, faces):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    calibrate(net, faces, None, 112)
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())


def test_thresholds_keep_every_source_of_resting_faces_within_its_limit(net, faces):
    """A second source whose AUs score higher raises thresholds until it keeps its limit, too."""
    alone = calibrate(net, faces, None, 112)
    score = sigmoid(predict_faces(alone.net, faces, 112)[0])
    frequent = faces.select(np.argsort((score >= np.array(alone.thresholds)).sum(axis=1))[-100:-20])
    resting = ThresholdFaces(faces.select(slice(40)), {"studio": frequent})
    both = calibrate(net, faces, None, 112, real_skin=resting)
    active = sigmoid(predict_faces(both.net, frequent, 112)[0]) >= np.array(both.thresholds)
    assert active.mean(axis=0).sum() <= MAX_FALSE_ALARMS + 1e-6
    assert "studio" in both.notes
    free = sigmoid(predict_faces(alone.net, frequent, 112)[0]) >= np.array(alone.thresholds)
    assert free.mean(axis=0).sum() > MAX_FALSE_ALARMS
