"""What an image shows: shares of a shape, regions, hidden units, light transforms, dense points,
visibility.
"""

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES
from training.synthesis.au_regions import visible_aus
from training.synthesis.au_targets import RIG_NAMES, intensity_to_weight
from training.synthesis.expression_sampler import PRESENT_INTENSITY, TRACE_INTENSITY
from training.synthesis.occluders import cover_face
from training.synthesis.head_renderer import REGION_EYES, REGION_FACE, REGION_HAIR
from training.synthesis.shadow_maps import light_matrix


def test_response_grows_and_lifts_what_counts_as_present():
    values = [intensity_to_weight(x) for x in np.linspace(0, 1, 101)]
    assert values[0] == 0.0
    assert values[-1] == 1.0
    assert np.all(np.diff(values) > 0)
    assert intensity_to_weight(TRACE_INTENSITY) < TRACE_INTENSITY
    assert intensity_to_weight(PRESENT_INTENSITY) > PRESENT_INTENSITY


def test_light_sees_what_is_nearer_to_it_first():
    direction, center = np.array([0.6, 0.3, 0.74]), np.array([0.1, 0.2, -9.0])
    matrix = light_matrix(direction, center)
    points = np.stack([center, center + 0.5 * direction / np.linalg.norm(direction)])
    seen = np.concatenate([points, np.ones((2, 1))], axis=1) @ matrix.T
    np.testing.assert_allclose(seen[:, :2], 0, atol=1e-5)  # one line of sight
    assert seen[1, 2] < seen[0, 2]


def _flat_landmarks():
    """Landmarks [68, 2] of an upright face in an image of 100 px, coarse but in the right places."""
    xy = np.full((68, 2), 50.0, np.float32)
    xy[0:17] = np.stack(
        [np.linspace(20, 80, 17), 50 + 40 * np.sin(np.linspace(0, np.pi, 17))], axis=1
    )
    xy[17:27] = np.stack([np.linspace(28, 72, 10), np.full(10, 30)], axis=1)
    xy[27:36] = np.stack([np.full(9, 50), np.linspace(38, 60, 9)], axis=1)
    xy[36:42], xy[42:48] = (36, 40), (64, 40)
    xy[48:68] = np.stack([np.linspace(40, 60, 20), np.full(20, 72)], axis=1)
    return xy


def test_covered_mouth_hides_its_units_only():
    regions = np.full((100, 100), REGION_FACE, np.uint8)
    hidden = np.zeros((100, 100), np.bool_)
    landmarks = _flat_landmarks()
    assert visible_aus(regions, hidden, landmarks).all()
    hidden[64:] = True
    seen = dict(zip(AU_NAMES, visible_aus(regions, hidden, landmarks), strict=True))
    assert not any(seen[name] for name in ("AU12", "AU15", "AU23", "AU24", "AU25", "AU26"))
    assert all(seen[name] for name in ("AU1", "AU2", "AU4", "AU6", "AU7"))
    regions[:35] = REGION_HAIR
    assert not visible_aus(regions, hidden, landmarks)[AU_NAMES.index("AU1")]


def test_hidden_pixels_are_those_that_do_not_show_what_is_behind():
    landmarks = _flat_landmarks()
    found = 0
    for seed in range(120):
        tones = [np.full((100, 100, 3), tone, np.float32) for tone in (0.2, 0.7)]
        low, high = (cover_face(np.random.default_rng(seed), tone, landmarks) for tone in tones)
        if not high[2].any():
            continue
        found += 1
        assert high[1]
        np.testing.assert_array_equal(low[2], high[2])
    assert found > 5


@pytest.mark.shared
def test_regions_lie_where_the_landmarks_are(renderer):
    for index in (0, 6, 12):
        face = renderer.make(21, index, "facs")
        if face.occluded or abs(face.pose_deg[0]) > 30:
            continue
        x, y = np.clip(np.rint(face.landmarks_xy).astype(int), 0, 95).T
        assert np.isin(face.regions[y[27:36], x[27:36]], (REGION_FACE,)).mean() > 0.6
        assert face.regions[0, 0] != REGION_EYES
        assert face.au_visible.shape == (12,)


@pytest.mark.shared
def test_dense_points_follow_the_face(renderer):
    face = renderer.make(21, 1, "arkit")
    numbers = renderer.mesh_points.numbers
    assert len(numbers) == len(face.dense_xy) == len(set(numbers.tolist()))
    place = {int(n): xy for n, xy in zip(numbers, face.dense_xy, strict=True)}
    span = np.linalg.norm(face.landmarks_xy[36] - face.landmarks_xy[45])
    for dense, sparse in ((33, 36), (263, 45), (61, 48), (291, 54), (133, 39)):
        assert np.linalg.norm(place[dense] - face.landmarks_xy[sparse]) < 0.1 * span
    for pupil, eye in ((468, slice(36, 42)), (473, slice(42, 48))):
        assert np.linalg.norm(place[pupil] - face.landmarks_xy[eye].mean(axis=0)) < 0.2 * span


@pytest.mark.shared
def test_each_unit_changes_the_image_on_both_rigs(renderer):
    from training.synthesis.au_visibility import measure_visibility

    for rig in RIG_NAMES:
        for row in measure_visibility(renderer, rig, 3, 1):
            assert row.peak_at_threshold > 3.0, row
            assert row.peak_at_full > row.peak_at_threshold, row
