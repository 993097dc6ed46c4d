from dataclasses import replace

import numpy as np
import pytest
import torch

from export.calibrate import ALARMS, calibrate
from faceaffect.labels import EXPRESSION_NAMES
from faceaffect.outputs.decode import sigmoid
from tests.training.default_model.synthetic_faces import TINY, synthetic_faces
from training import metrics
from training.evaluation.network_runner import read
from training.models.affect_net import AffectNet

pytestmark = pytest.mark.train


REQUIRES = ("moderngl",)


@pytest.fixture(scope="module")
def net() -> AffectNet:
    torch.manual_seed(3)
    return AffectNet(TINY).eval()


@pytest.fixture(scope="module")
def faces(net):
    """300 faces whose AUs follow the network's own logits, overconfidently: the right scale is 0.5,
    the offset 0.3.
    """
    random = np.random.default_rng(5)
    table = synthetic_faces(300)
    logit = read(net, table, 112)[0]
    spread = logit.std(axis=0) + 1e-6
    probability = sigmoid(
        (0.5 * (logit - logit.mean(axis=0)) / spread * 3 + 0.3).astype(np.float32)
    )
    neutral = np.zeros((300, 7), np.float32)
    neutral[np.arange(300), random.choice([0, 0, 0, 1, 4], 300)] = 1
    return replace(
        table, au=(random.random((300, 12)) < probability).astype(np.float32), expression=neutral
    )


def test_scores_mean_what_they_say_afterwards(net, faces):
    done = calibrate(net, faces, None, 112)
    before, after = (sigmoid(read(which, faces, 112)[0]) for which in (net, done.net))
    label = (faces.au >= 0.5).astype(np.int64)
    errors = [
        np.mean([curve.error for curve in metrics.au_reliability(p, label)])
        for p in (before, after)
    ]
    assert errors[1] < errors[0]
    assert errors[1] < 0.08


def test_thresholds_leave_neutral_faces_alone(net, faces):
    done = calibrate(net, faces, None, 112)
    neutral = faces.expression[:, EXPRESSION_NAMES.index("neutral")] > 0.8
    on = sigmoid(read(done.net, faces, 112)[0])[neutral] >= np.array(done.thresholds)
    assert on.sum(axis=1).mean() <= ALARMS + 0.02


def test_the_neutral_reference_is_the_median_of_neutral_faces(net, faces):
    done = calibrate(net, faces, None, 112)
    neutral = faces.expression[:, EXPRESSION_NAMES.index("neutral")] > 0.8
    np.testing.assert_allclose(
        np.median(read(done.net, faces, 112)[0][neutral], axis=0), done.neutral_logits, atol=1e-4
    )


def test_the_network_that_was_given_is_not_changed(net, faces):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    calibrate(net, faces, None, 112)
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())
