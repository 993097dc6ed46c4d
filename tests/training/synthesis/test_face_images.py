"""Tests of deformed meshes, rendered images and their labels."""

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES
from training.synthesis.camera import look_at_head, zoom_to_face
from training.synthesis.expression_sampler import PRESENT_INTENSITY, Expression
from training.synthesis.write_images import stack_faces, write_shard

pytestmark = pytest.mark.shared


def landmarks_of(renderer, rig, **units):
    """Returns landmarks [68, 3] of one person, y up, in units of the interocular distance."""
    identity = renderer.identity(1, 0)
    expression = Expression({name: (value, value) for name, value in units.items()}, (0.0, 0.0), {})
    vertices, _ = renderer.deform_head(identity, rig, expression)
    points = vertices[renderer.landmark_index]
    neutral = identity.vertices[renderer.landmark_index]
    return points / np.linalg.norm(neutral[36:42].mean(axis=0) - neutral[42:48].mean(axis=0))


INNER_BROW = [21, 22]
OUTER_BROW = [17, 18, 25, 26]
CORNERS = [48, 54]
CHIN = [8]
LOWER_LID = [40, 41, 46, 47]
UPPER_LIP = [50, 51, 52]


@pytest.mark.parametrize("rig", ["facs", "arkit"])
@pytest.mark.parametrize(
    ("unit", "points", "sign"),
    [
        ("AU1", INNER_BROW, 1),
        ("AU2", OUTER_BROW, 1),
        ("AU4", INNER_BROW, -1),
        ("AU7", LOWER_LID, 1),
        ("AU10", UPPER_LIP, 1),
        ("AU12", CORNERS, 1),
        ("AU15", CORNERS, -1),
        ("AU26", CHIN, -1),
    ],
)
def test_deform_head_moves_landmarks_of_the_unit(renderer, rig, unit, points, sign):
    moved = landmarks_of(renderer, rig, **{unit: 1.0}) - landmarks_of(renderer, rig)
    assert sign * moved[points, 1].mean() > 0.015


@pytest.mark.parametrize("rig", ["facs", "arkit"])
@pytest.mark.parametrize("variant", [0, 1])
def test_deform_head_au7_raises_and_bulges_lower_lid(renderer, rig, variant):
    identity = renderer.identity(1, 0)
    vertices, _ = renderer.deform_head(
        identity, rig, Expression({"AU7": (1.0, 1.0)}, (0.0, 0.0), {"AU7": variant})
    )
    moved = vertices - identity.vertices
    base = renderer.head.base
    width = np.linalg.norm(np.subtract(*identity.vertices[renderer.landmark_index][[36, 45]]))
    assert moved[renderer.landmark_index[LOWER_LID], 1].mean() > 0.01 * width
    skin = (
        (np.abs(np.abs(base[:, 0]) - 0.325) < 0.04)
        & (np.abs(base[:, 1] - 7.172) < 0.02)
        & (base[:, 2] > 1.3)
    )
    below = (
        (np.abs(np.abs(base[:, 0]) - 0.325) < 0.04)
        & (np.abs(base[:, 1] - 7.06) < 0.05)
        & (base[:, 2] > 1.3)
    )
    assert skin.sum() >= 4 <= below.sum()
    # The lid bulges, the cheek does not.
    assert moved[skin, 2].mean() > 0.02 * width > 2 * np.abs(moved[below, 2]).mean()


@pytest.mark.parametrize("rig", ["facs", "arkit"])
def test_deform_head_upper_face_units_do_not_move_mouth(renderer, rig):
    for unit in ("AU1", "AU2", "AU4", "AU6", "AU7"):
        moved = landmarks_of(renderer, rig, **{unit: 1.0}) - landmarks_of(renderer, rig)
        assert np.abs(moved[48:]).max() < 0.06, unit


def test_deform_head_one_sided_smile_is_on_left_of_subject(renderer):
    identity = renderer.identity(1, 0)
    expression = Expression({"AU12": (1.0, 0.0)}, (0.0, 0.0), {})
    vertices, intensity = renderer.deform_head(identity, "facs", expression)
    moved = (vertices - identity.vertices)[renderer.landmark_index]
    # 54 is the left mouth corner of the subject, on the right of the image.
    assert moved[54, 1] > 5 * abs(moved[48, 1])
    assert intensity[AU_NAMES.index("AU12")] == 1.0


def test_deform_head_measures_au25_from_lip_opening(renderer):
    part = AU_NAMES.index("AU25")
    for units, is_open in (
        ({"AU26": (0.8, 0.8)}, True),
        ({"AU24": (1.0, 1.0)}, False),
        ({"AU17": (0.9, 0.9)}, False),
    ):
        _, intensity = renderer.deform_head(
            renderer.identity(1, 1), "facs", Expression(units, (0.0, 0.0), {})
        )
        assert (intensity[part] >= PRESENT_INTENSITY) == is_open, units


def test_landmark_vertices_have_semantic_order(renderer):
    x, y = landmarks_of(renderer, "facs")[:, :2].T
    assert np.all(np.diff(x[:17]) > 0)  # from the left of the image to the right
    assert np.all(np.diff(x[17:27]) > 0)
    assert np.all(np.diff(y[27:31]) < 0)
    assert x[36] < x[39] < x[42] < x[45]
    assert y[37] > y[41]
    assert x[48] < x[51] < x[54]
    assert y[51] > y[62] > y[57]


@pytest.mark.parametrize("pose_deg", [(0, 0, 0), (45, 0, 0), (-45, 25, 25), (0, -25, -25)])
def test_zoom_to_face_keeps_landmarks_inside_image(renderer, pose_deg):
    vertices = renderer.identity(1, 0).vertices
    points = vertices[renderer.landmark_index]
    full_head = look_at_head(np.array(pose_deg, np.float32), 30.0, 96)
    xy = zoom_to_face(full_head, points, np.zeros(2), 1.0).project(points)
    assert xy.min() > 0
    assert xy.max() < 95
    if pose_deg[0] > 0:  # turned to the right of the image: so does the nose
        assert xy[30, 0] > xy[[36, 45], 0].mean()


def test_render_is_independent_of_previous_faces(renderer, tmp_path):
    uninterrupted = stack_faces([renderer.render(7, index, "mixed") for index in range(4)])
    renderer.render(8, 3, "facs")  # another person in between
    resumed = stack_faces([renderer.render(7, index, "mixed") for index in range(2, 4)])
    for name, rows in resumed.items():
        np.testing.assert_array_equal(rows, uninterrupted[name][2:], err_msg=name)
    write_shard(tmp_path / "faces_0000.npz", [renderer.render(7, 0, "mixed")])
    with np.load(tmp_path / "faces_0000.npz", allow_pickle=False) as stored:
        assert stored["image"].shape == (1, 96, 96, 3)
        assert set(stored.files) == set(uninterrupted)


def test_stack_faces_has_consistent_labels(renderer):
    arrays = stack_faces([renderer.render(11, index, "mixed") for index in range(7)])
    np.testing.assert_array_equal(arrays["au_present"], arrays["au_intensity"] >= PRESENT_INTENSITY)
    assert np.ptp(arrays["image"].astype(int), axis=(1, 2, 3)).min() > 60  # no empty image
    assert len(np.unique(arrays["identity"])) == 2
