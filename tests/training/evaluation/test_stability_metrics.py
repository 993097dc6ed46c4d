"""Stability metrics of a synthetic network whose outputs follow the mean brightness of the crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceaffect import kernels
from faceaffect.labels import AU_NAMES
from tests.sdk.tiny_bundle import NODE_WIDTH, face_shape, write_tiny_bundle
from training.datasets.face_table import FaceTable, empty_targets
from training.datasets.ferplus import VOTE_NAMES
from training.evaluation import stability_metrics
from training.evaluation.bundle_runner import BundleRunner

BORDER = 24  # of the synthetic images around the crop
SIDE = 112 + 2 * BORDER


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> BundleRunner:
    return BundleRunner(write_tiny_bundle(tmp_path_factory.mktemp("bundle")))


def landmarks(count: int) -> np.ndarray:
    """Landmarks of upright faces at the center of an image, at the scale of the crop."""
    return np.tile(face_shape() + BORDER, (count, 1, 1)).astype(np.float32)


def normalized(brightness: float) -> float:
    return (brightness / 255 - 0.5) / 0.25


def au_logit(runner: BundleRunner, mean: float) -> np.ndarray:
    """AU logits [12] of a crop with a normalized mean."""
    nodes = np.full((1, len(AU_NAMES), NODE_WIDTH), mean, np.float32)
    return np.asarray(kernels.au_gcn(nodes, runner.bundle.graph)[0], np.float64)


def test_one_pixel_change_on_ramp_equals_slope(runner: BundleRunner) -> None:
    flat = np.full((SIDE, SIDE, 3), 128, np.uint8)
    ramp = np.broadcast_to(40 + np.arange(SIDE, dtype=np.uint8)[None, :, None], flat.shape)
    results = stability_metrics.one_pixel_change(runner, np.stack([flat, ramp]), landmarks(2))
    middle = 40 + (SIDE - 1) / 2
    center, right, left = (normalized(middle + step) for step in (0, 1, -1))
    # Of two images and four directions, only the ramp's left and right change anything.
    valence = (abs(np.tanh(right) - np.tanh(center)) + abs(np.tanh(left) - np.tanh(center))) / 8
    assert results["valence"] == pytest.approx(valence, rel=0.01)
    assert results["arousal"] == pytest.approx(valence, rel=0.01)
    at_center, *moved = (
        1 / (1 + np.exp(-au_logit(runner, mean))) for mean in (center, right, left)
    )
    au = sum(abs(score - at_center) for score in moved) / 8
    assert results["au"] == pytest.approx(au.mean(), rel=0.01)
    assert results["au_worst"] == pytest.approx(au.max(), rel=0.01)
    assert au.max() > 1e-4
    # A softmax is invariant to a constant added to all logits.
    assert results["expression"] == pytest.approx(0, abs=1e-6)


def test_one_pixel_change_is_isotropic(runner: BundleRunner) -> None:
    steps = np.arange(SIDE, dtype=np.uint8)
    along = np.broadcast_to((40 + steps)[None, :, None], (SIDE, SIDE, 3))
    down = np.broadcast_to((40 + steps)[:, None, None], (SIDE, SIDE, 3))
    one, other = (
        stability_metrics.one_pixel_change(runner, image[None], landmarks(1))
        for image in (along, down)
    )
    assert one == pytest.approx(other, rel=0.02, abs=1e-6)


def test_count_neutral_false_alarms_uses_clearly_neutral_public_test_faces(
    runner: BundleRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = [
        ("PublicTest", 8, 60),
        ("PublicTest", 10, 220),
        ("PublicTest", 7, 220),
        ("Training", 10, 220),
    ]
    usage = np.array([use for use, _, _ in faces])
    votes = np.zeros((len(faces), len(VOTE_NAMES)), np.int64)
    votes[:, VOTE_NAMES.index("neutral")] = [count for _, count, _ in faces]
    votes[:, VOTE_NAMES.index("fear")] = 10 - votes.max(axis=1)
    images = np.stack([np.full((SIDE, SIDE), brightness, np.uint8) for _, _, brightness in faces])
    targets = empty_targets(len(faces)) | {"landmarks_xy": landmarks(len(faces))}
    table = FaceTable(name="synthetic", images=images, **targets)
    monkeypatch.setattr(
        stability_metrics, "load_ferplus", lambda shared, labels: (table, votes, usage)
    )
    results = stability_metrics.count_neutral_false_alarms(runner, Path("shared"), Path("labels"))
    on = np.stack([au_logit(runner, normalized(brightness)) > 0 for brightness in (60, 220)])
    assert 0 < on.sum() < on.size
    assert on[0].sum() != on[1].sum()
    assert results["faces"] == 2
    assert results["active_aus_per_face"] == on.sum(axis=1).mean()
    assert results["active_fraction"] == dict(zip(AU_NAMES, on.mean(axis=0).tolist(), strict=True))
