"""The mesh and the images: units move what they should, labels are those of the image, runs can be
resumed.
"""

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES
from training.synthesis.camera import look_at_head, zoom_to_face
from training.synthesis.expression_sampler import PRESENT_INTENSITY, Expression
from training.synthesis.write_images import stack_faces, write_shard

pytestmark = pytest.mark.shared


def landmarks_of(renderer, rig, **units):
    """Landmarks [68, 3] of one person, y up, in distances between the eyes."""
    identity = renderer.identity_of(1, 0)
    expression = Expression({name: (value, value) for name, value in units.items()}, (0.0, 0.0), {})
    vertices, _ = renderer.pose_head(identity, rig, expression)
    points = vertices[renderer.landmark_index]
    rest = identity.vertices[renderer.landmark_index]
    return points / np.linalg.norm(rest[36:42].mean(axis=0) - rest[42:48].mean(axis=0))


INNER_BROW, OUTER_BROW, CORNERS, CHIN, LOWER_LID = (
    [21, 22],
    [17, 18, 25, 26],
    [48, 54],
    [8],
    [40, 41, 46, 47],
)
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
def test_unit_moves_its_region(renderer, rig, unit, points, sign):
    moved = landmarks_of(renderer, rig, **{unit: 1.0}) - landmarks_of(studio, rig)
    assert sign * moved[points, 1].mean() > 0.015


@pytest.mark.parametrize("rig", ["facs", "arkit"])
@pytest.mark.parametrize("recipe", [0, 1])
def test_a_tightened_lower_lid_rises_and_bulges(renderer, rig, recipe):
    identity = renderer.identity_of(1, 0)
    vertices, _ = renderer.pose_head(
        identity, rig, Expression({"AU7": (1.0, 1.0)}, (0.0, 0.0), {"AU7": recipe})
    )
    moved, base = vertices - identity.vertices, renderer.head.base
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
    assert (
        moved[skin, 2].mean() > 0.02 * width > 2 * np.abs(moved[below, 2]).mean()
    )  # a roll of the lid, not a cheek


@pytest.mark.parametrize("rig", ["facs", "arkit"])
def test_upper_face_units_leave_the_mouth_alone(renderer, rig):
    for unit in ("AU1", "AU2", "AU4", "AU6", "AU7"):
        moved = landmarks_of(renderer, rig, **{unit: 1.0}) - landmarks_of(studio, rig)
        assert np.abs(moved[48:]).max() < 0.06, unit


def test_one_sided_smile_is_on_the_subjects_left(renderer):
    identity = renderer.identity_of(1, 0)
    expression = Expression({"AU12": (1.0, 0.0)}, (0.0, 0.0), {})
    vertices, intensity = renderer.pose_head(identity, "facs", expression)
    moved = (vertices - identity.vertices)[renderer.landmark_index]
    assert moved[54, 1] > 5 * abs(
        moved[48, 1]
    )  # 54 is the subject's left corner, right in the image
    assert intensity[AU_NAMES.index("AU12")] == 1.0


def test_lips_part_is_measured(renderer):
    part = AU_NAMES.index("AU25")
    for units, is_open in (
        ({"AU26": (0.8, 0.8)}, True),
        ({"AU24": (1.0, 1.0)}, False),
        ({"AU17": (0.9, 0.9)}, False),
    ):
        _, intensity = renderer.pose_head(
            renderer.identity_of(1, 1), "facs", Expression(units, (0.0, 0.0), {})
        )
        assert (intensity[part] >= PRESENT_INTENSITY) == is_open, units


def test_semantic_order_of_landmarks(renderer):
    x, y = landmarks_of(renderer, "facs")[:, :2].T
    assert np.all(np.diff(x[:17]) > 0)  # from the left of the image to the right
    assert np.all(np.diff(x[17:27]) > 0)
    assert np.all(np.diff(y[27:31]) < 0)
    assert x[36] < x[39] < x[42] < x[45]
    assert y[37] > y[41]
    assert x[48] < x[51] < x[54]
    assert y[51] > y[62] > y[57]


@pytest.mark.parametrize("pose_deg", [(0, 0, 0), (45, 0, 0), (-45, 25, 25), (0, -25, -25)])
def test_landmarks_lie_inside_the_image(renderer, pose_deg):
    vertices = renderer.identity_of(1, 0).vertices
    points = vertices[renderer.landmark_index]
    wide = look_at_head(np.array(pose_deg, np.float32), 30.0, 96)
    xy = zoom_to_face(wide, points, np.zeros(2), 1.0).project(points)
    assert xy.min() > 0
    assert xy.max() < 95
    if pose_deg[0] > 0:  # turned to the right of the image: the nose goes there
        assert xy[30, 0] > xy[[36, 45], 0].mean()


def test_resumed_run_gives_the_same_shard(renderer, tmp_path):
    straight = stack_faces([renderer.render(7, index, "mixed") for index in range(4)])
    renderer.render(8, 3, "facs")  # another person in between
    resumed = stack_faces([renderer.render(7, index, "mixed") for index in range(2, 4)])
    for name, rows in resumed.items():
        np.testing.assert_array_equal(rows, straight[name][2:], err_msg=name)
    write_shard(tmp_path / "faces_0000.npz", [renderer.render(7, 0, "mixed")])
    with np.load(tmp_path / "faces_0000.npz", allow_pickle=False) as stored:
        assert stored["image"].shape == (1, 96, 96, 3)
        assert set(stored.files) == set(straight)


def test_labels_and_image_agree(renderer):
    arrays = stack_faces([renderer.render(11, index, "mixed") for index in range(7)])
    np.testing.assert_array_equal(arrays["au_present"], arrays["au_intensity"] >= PRESENT_INTENSITY)
    assert np.ptp(arrays["image"].astype(int), axis=(1, 2, 3)).min() > 60  # no empty image
    assert len(np.unique(arrays["identity"])) == 2
