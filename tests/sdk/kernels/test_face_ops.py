"""Native per-face operations against their NumPy definitions, and their argument checks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.kernel_cases import frame_of
from faceaffect import geometry
from faceaffect.kernels import activations, face_ops
from faceaffect.kernels.native import native
from faceaffect.kernels.reference_face_ops import sample_grid
from faceaffect.outputs.decode import decode_scores
from faceaffect.outputs.score_smoother import HysteresisThresholds, ScoreSmoother
from faceaffect.tracking import appearance
from faceaffect.tracking.one_euro_filter import OneEuroFilter
from faceaffect.tracking.shot_detector import ShotChangeDetector
from faceaffect.types import FloatArray, Frame, PixelFormat
from tests.sdk.tiny_bundle import face_shape

RANDOM = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def _built() -> None:
    if native is None:
        pytest.fail("the native module is not built; run `pip install -e .`")


@pytest.fixture
def run_in_numpy(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], object]:
    def call(work: Callable[[], object]) -> object:
        with monkeypatch.context() as patch:
            patch.setattr(face_ops, "native", None)
            patch.setattr(activations, "native", None)
            return work()

    return call


def assert_same(
    work: Callable[[], object],
    run_in_numpy: Callable[[Callable[[], object]], object],
    tolerance: float = 1e-6,
) -> None:
    np.testing.assert_allclose(work(), run_in_numpy(work), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("count", "size_px"), [(0, 112), (1, 112), (3, 28), (2, 97)])
def test_appearance_descriptors_match_numpy(count: int, size_px: int, run_in_numpy) -> None:  # type: ignore[no-untyped-def]
    crops = RANDOM.normal(0, 1, (count, 3, size_px, size_px)).astype(np.float32)
    assert_same(lambda: appearance.appearance_descriptors(crops), run_in_numpy)
    grid = sample_grid(crops)
    assert_same(lambda: appearance.descriptors_from_grid(grid), run_in_numpy)
    np.testing.assert_array_equal(
        appearance.descriptors_from_grid(grid), appearance.appearance_descriptors(crops)
    )


def test_appearance_descriptors_of_flat_crop_are_those_of_no_face(run_in_numpy) -> None:  # type: ignore[no-untyped-def]
    no_face = -appearance.MEAN_DESCRIPTOR / np.linalg.norm(appearance.MEAN_DESCRIPTOR)
    for level in (0.0, 1.0, -2.3):
        crops = np.full((1, 3, 112, 112), level, np.float32)
        for descriptors in (
            appearance.appearance_descriptors(crops),
            run_in_numpy(lambda c=crops: appearance.appearance_descriptors(c)),
        ):
            assert appearance.cosine_similarity(descriptors[0], no_face) > 0.99


def test_place_face_matches_numpy(run_in_numpy) -> None:  # type: ignore[no-untyped-def]
    for scale in (0.3, 1.0, 9.0):
        points = (scale * face_shape() + RANDOM.normal(0, 2, (68, 2)) + 50).astype(np.float32)
        for read in (
            lambda f: f.crop_to_frame,
            lambda f: f.box_xyxy,
            lambda f: f.eye_distance_px,
            lambda f: f.is_finite,
        ):
            assert_same(lambda p=points, r=read: r(geometry.place_face(p)), run_in_numpy, 1e-4)  # type: ignore[misc]


def test_place_face_with_nan_is_not_finite(run_in_numpy) -> None:  # type: ignore[no-untyped-def]
    for index in (0, 30, 67):
        points = face_shape().astype(np.float32)
        points[index, 1] = np.nan
        assert not geometry.place_face(points).is_finite
        assert not run_in_numpy(lambda p=points: geometry.place_face(p)).is_finite


def test_is_plausible_motion_matches_numpy(run_in_numpy) -> None:  # type: ignore[no-untyped-def]
    near = geometry.place_face((3 * face_shape() + 100).astype(np.float32)).crop_to_frame
    size = (640, 480)
    expected = {
        (0.0, 1.0): True,
        (-400.0, 1.0): False,
        (450.0, 1.0): False,
        (0.0, 0.45): False,
        (0.0, 2.2): False,
        (0.0, 1.9): True,
    }
    for (shift, scale), good in expected.items():
        crop_map, place = near / np.float32(scale), near + np.float32([[0, 0, shift], [0, 0, 0]])
        assert geometry.is_plausible_motion(place, crop_map, *size) is good
        assert (
            run_in_numpy(lambda p=place, m=crop_map: geometry.is_plausible_motion(p, m, *size))
            is good
        )
    low = near + np.float32([[0, 0, 0], [0, 0, 400]])
    assert not geometry.is_plausible_motion(low, near, *size)
    assert not run_in_numpy(lambda: geometry.is_plausible_motion(low, near, *size))
    assert not geometry.is_plausible_motion(np.full((2, 3), np.nan, np.float32), near, *size)


def test_pose_in_frame_matches_numpy(run_in_numpy) -> None:  # type: ignore[no-untyped-def]
    pose = RANDOM.normal(0, 60, (40, 3)).astype(np.float32)
    angle = RANDOM.uniform(-np.pi, np.pi, 40)
    maps = np.zeros((40, 2, 3), np.float32)
    maps[:, 0, 0], maps[:, 1, 0], maps[:, 0, 2] = 3 * np.cos(angle), 3 * np.sin(angle), 50
    assert_same(lambda: geometry.pose_in_frame(pose, maps), run_in_numpy, 1e-4)
    turned = geometry.pose_in_frame(pose, maps)
    assert (np.abs(turned[:, 2]) <= 180).all()
    away = (turned[:, 2] - pose[:, 2] - np.degrees(angle) + 180) % 360 - 180
    np.testing.assert_allclose(away, 0, atol=1e-3)
    np.testing.assert_array_equal(turned[:, :2], pose[:, :2])


def test_cosine_similarity_matches_numpy(run_in_numpy) -> None:  # type: ignore[no-untyped-def]
    for length in (432, 7):
        first, second = RANDOM.normal(0, 0.05, (2, length)).astype(np.float32)
        assert_same(
            lambda a=first, b=second: appearance.cosine_similarity(a, b), run_in_numpy, 1e-5
        )  # type: ignore[misc]
        assert appearance.cosine_similarity(first, second) == pytest.approx(
            float(np.dot(first.astype(np.float64), second)), abs=1e-6
        )


def test_transform_points_matches_numpy(run_in_numpy) -> None:  # type: ignore[no-untyped-def]
    maps = RANDOM.normal(0, 3, (4, 2, 3)).astype(np.float32)
    points = RANDOM.normal(0, 100, (4, 68, 2)).astype(np.float32)
    assert_same(lambda: geometry.transform_points(maps, points), run_in_numpy, 1e-4)
    assert_same(lambda: geometry.transform_points(maps, points[:1]), run_in_numpy, 1e-4)


def test_one_euro_matches_numpy(run_in_numpy) -> None:  # type: ignore[no-untyped-def]
    path = [
        (face_shape() + RANDOM.normal(0, 3, (68, 2)) + 5 * k).astype(np.float32) for k in range(12)
    ]

    def run() -> FloatArray:
        one_euro = OneEuroFilter()
        return np.stack(
            [
                one_euro.update(points, 35.0, (1 / 30, 0.0, 0.2)[k % 3])
                for k, points in enumerate(path)
            ]
        )

    assert_same(run, run_in_numpy, 1e-5)


def test_decode_and_smooth_scores_match_numpy(run_in_numpy) -> None:  # type: ignore[no-untyped-def]
    logits = [RANDOM.normal(0, 4, (5, n)).astype(np.float32) for n in (12, 7, 2)]
    for is_raw in (True, False):
        assert_same(lambda raw=is_raw: decode_scores(*logits, is_raw=raw), run_in_numpy)  # type: ignore[misc]
    assert_same(
        lambda: activations.sigmoid(np.float32([-np.inf, -90, -1, 0, 2, 90, np.inf])), run_in_numpy
    )

    def run() -> FloatArray:
        smoother = ScoreSmoother(HysteresisThresholds.from_thresholds((0.5,) * 12))
        rows = []
        for scores in decode_scores(*logits):
            is_active = smoother.update(scores, 0.05)
            rows.append(np.concatenate([scores, is_active]))
        return np.stack(rows)

    assert_same(run, run_in_numpy)


@pytest.mark.parametrize("pixel_format", list(PixelFormat))
def test_shot_change_matches_numpy(pixel_format: PixelFormat, run_in_numpy) -> None:  # type: ignore[no-untyped-def]
    sizes = [(90, 160), (90, 160), (34, 20), (2, 2), (1080, 1922), (180, 320)]
    frames = [frame_of(pixel_format, *size, seed) for seed, size in enumerate(sizes)]
    if not pixel_format.is_yuv:
        frames.append(Frame(frames[-1].pixels[::-1, ::-1], pixel_format))

    def run() -> list[float]:
        detector = ShotChangeDetector()
        changes = []
        for each in frames:
            changes += [float(detector.update(each)), detector.change]
        return changes

    assert_same(run, run_in_numpy)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: native.appearance_descriptors(
                np.zeros((1, 3, 27, 27), np.float32), np.zeros(432, np.float32)
            ),
            "S of 28 at least",
        ),
        (
            lambda: native.appearance_descriptors(
                np.zeros((1, 1, 28, 28), np.float32), np.zeros(432, np.float32)
            ),
            r"crops must be",
        ),
        (
            lambda: native.descriptors_from_grid(np.zeros((1, 3, 12, 11)), np.zeros(432)),
            r"grid must be float32 \[N, 3, 12, 12\]",
        ),
        (
            lambda: geometry.place_face(np.zeros((67, 2))),
            r"landmarks_xy must be float32 \[68, 2\]",
        ),
        (
            lambda: native.transform_points(np.zeros((2, 2, 3)), np.zeros((3, 4, 2))),
            r"points_xy must be float32 \[2, N, 2\]",
        ),
        (
            lambda: native.one_euro(np.zeros((3, 2)), np.zeros((2, 2)), 0, 0, 1, 1, 1, 1, 1),
            r"previous_xy must be",
        ),
        (
            lambda: native.one_euro(np.zeros((2, 2)), np.zeros((2, 2)), 0, 0, 1, 0, 1, 1, 1),
            r"step_s must be above 0",
        ),
        (
            lambda: native.decode_scores(
                np.zeros((2, 12)), np.zeros((1, 7)), np.zeros((2, 2)), True
            ),
            r"expression_logit must be",
        ),
        (
            lambda: native.is_plausible_motion(np.zeros((2, 2)), np.zeros((2, 3)), 1, 1, 1),
            r"next must be float32 \[2, 3\]",
        ),
        (
            lambda: native.pose_in_frame(np.zeros((2, 3)), np.zeros((1, 2, 3))),
            r"transforms must be float32 \[2, 2, 3\]",
        ),
        (
            lambda: native.cosine_similarity(np.zeros(3), np.zeros(4)),
            r"second must be float32 \[3\]",
        ),
        (lambda: native.sigmoid(np.zeros((2, 2))), r"logit must be float32 \[N\]"),
        (
            lambda: native.smooth_scores(
                np.zeros(21, np.float32),
                np.zeros(20, np.float32),
                np.zeros(12, bool),
                True,
                0.5,
                0.5,
                0.2,
                *[np.zeros(12)] * 3,
            ),
            r"mean must be a writable, aligned, C-contiguous array of 21",
        ),
        (
            lambda: native.shot_change(np.zeros((4, 4, 3), np.uint8), "BGR", 0, 1, None),
            r"steps must be at least 1",
        ),
        (
            lambda: native.shot_change(np.zeros((4, 4)), "BGR", 1, 1, None),
            r"frame must be a uint8 array",
        ),
    ],
)
def test_native_face_ops_with_wrong_arguments_raise(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call()
