"""The default model on real clips: detection, tracking, identities, and a smile."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect import AU_NAMES, EXPRESSION_NAMES, Affect, Faces, Frame, Pipeline, PixelFormat

pytestmark = pytest.mark.shared

SMILE, SAD = "pyfeat_single_face_smile.mp4", "pexels_wolfganglanger_sad_woman.mp4"
Result = tuple[Faces, Affect]


@pytest.fixture(scope="module")
def videos(shared: Path) -> Path:
    return shared / "data" / "videos"


def images(path: Path, first: int = 0, count: int = 10_000, width: int = 0) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames: list[np.ndarray] = []
    for index in range(first + count):
        ok, pixels = capture.read()
        if not ok:
            break
        if index >= first:
            frames.append(cv2.resize(pixels, (width, round(width * 9 / 16))) if width else pixels)
    assert frames
    return frames


def run(pipeline: Pipeline, frames: list[np.ndarray], fps: float = 25.0) -> list[Result]:
    return [
        pipeline.analyze(Frame(pixels, time_s=i / fps, index=i)) for i, pixels in enumerate(frames)
    ]


def ids(results: list[Result]) -> set[int]:
    return {int(i) for faces, _ in results for i in faces.track_id}


@pytest.fixture(scope="module")
def smile(opened: Pipeline, videos: Path) -> list[Result]:
    opened.reset()
    return run(opened, images(videos / SMILE))


def test_smile_clip_has_one_track_in_every_frame(smile: list[Result]) -> None:
    assert [len(faces) for faces, _ in smile] == [1] * 72
    assert len(ids(smile)) == 1


def test_smile_clip_scores_rise(smile: list[Result]) -> None:
    au12 = np.array([affect.au_probability[0, AU_NAMES.index("AU12")] for _, affect in smile])
    happy = np.array(
        [
            affect.expression_probability[0, EXPRESSION_NAMES.index("happiness")]
            for _, affect in smile
        ]
    )
    assert au12[-20:].mean() > au12[:15].mean() + 0.25
    assert happy[-20:].mean() > happy[:15].mean() + 0.25


def test_sad_clip_has_one_track_in_every_frame(pipeline: Pipeline, videos: Path) -> None:
    results = run(pipeline, images(videos / SAD, width=640))
    assert [len(faces) for faces, _ in results] == [1] * 472
    assert len(ids(results)) == 1


def test_clip_after_face_leaves_has_no_faces(pipeline: Pipeline, videos: Path) -> None:
    counts = [len(faces) for faces, _ in run(pipeline, images(videos / "pyfeat_face_noface.mov"))]
    assert counts == [1] * 72 + [0] * (len(counts) - 72)
    assert len(counts) > 72


def test_group_image_has_five_faces(pipeline: Pipeline, videos: Path) -> None:
    faces, _ = pipeline.analyze(Frame(cv2.imread(str(videos / "pyfeat_multi_face.jpg"))))
    assert len(faces) == 5
    assert len(ids([(faces, _)])) == 5


def test_clip_after_cut_to_other_person_has_new_id(pipeline: Pipeline, videos: Path) -> None:
    first = images(videos / SMILE, count=20, width=640)
    second = images(videos / SAD, count=20, width=640)
    results = run(pipeline, first + second)
    assert all(len(faces) == 1 for faces, _ in results)
    before, after = ids(results[:20]), ids(results[20:])
    assert len(before) == len(after) == 1
    assert not before & after


def test_clip_after_cut_with_same_background_has_new_id(pipeline: Pipeline, videos: Path) -> None:
    track_ids: list[set[int]] = []
    clips = [
        images(videos / f"grid_{name}.mpg", first=5, count=15)
        for name in ("bbaf2n", "lbax4n", "swiz3n")
    ]
    results = run(pipeline, [pixels for clip in clips for pixels in clip])
    for start in range(0, 45, 15):
        track_ids.append(ids(results[start : start + 15]))
        assert len(track_ids[-1]) == 1
    assert len(set.union(*track_ids)) == 3


def test_clip_after_gap_with_same_face_keeps_id(pipeline: Pipeline, videos: Path) -> None:
    frames = images(videos / SMILE, count=24)
    results = run(pipeline, frames[:12] + [np.zeros_like(frames[0])] * 8 + frames[12:])
    assert [len(faces) for faces, _ in results[12:20]] == [0] * 8
    assert ids(results[:12]) == ids(results[24:])
    assert all(len(faces) == 1 for faces, _ in results[24:])


def test_clip_after_gap_with_other_person_has_new_id(pipeline: Pipeline, videos: Path) -> None:
    before = images(videos / SMILE, count=12, width=640)
    after = images(videos / SAD, count=12, width=640)
    results = run(pipeline, before + [np.zeros_like(before[0])] * 8 + after)
    assert len(ids(results[:12])) == len(ids(results[20:])) == 1
    assert not ids(results[:12]) & ids(results[20:])


def test_image_that_turns_from_landscape_to_portrait_keeps_id(
    pipeline: Pipeline, videos: Path
) -> None:
    """As in a call whose phone is turned: the face is in both images, at another place and size."""
    landscape = images(videos / SMILE, count=20)
    height = landscape[0].shape[0]
    portrait = [
        cv2.copyMakeBorder(image[:, 185:405], 60, 60, 0, 0, cv2.BORDER_REPLICATE)
        for image in landscape
    ]
    portrait = [cv2.resize(image, (360, round(360 * (height + 120) / 220))) for image in portrait]
    results = run(pipeline, landscape + portrait)
    assert [len(faces) for faces, _ in results] == [1] * 40
    assert len(ids(results)) == 1


def test_video_whose_resolution_changes_keeps_id(pipeline: Pipeline, videos: Path) -> None:
    """As a stream does that follows the bandwidth."""
    path = videos / "intel_head-pose-face-detection-female-and-male.mp4"
    frames = [images(path, first=10, count=8), images(path, first=18, count=8, width=480)]
    results = run(pipeline, [*frames[0], *frames[1], *images(path, first=26, count=8)], fps=12)
    assert [len(faces) for faces, _ in results] == [2] * 24
    assert len(ids(results)) == 2
    left = [int(faces.track_id[faces.box_xyxy[:, 0].argmin()]) for faces, _ in results]
    assert len(set(left)) == 1, "and each person the own one"


@pytest.mark.parametrize(
    ("turn", "roll_deg"),
    [
        (cv2.ROTATE_90_CLOCKWISE, 90),
        (cv2.ROTATE_180, 180),
        (cv2.ROTATE_90_COUNTERCLOCKWISE, -90),
    ],
)
def test_turned_video_is_read_as_the_upright_one(
    pipeline: Pipeline, videos: Path, turn: int, roll_deg: int
) -> None:
    upright = images(videos / SMILE, count=6)
    expected = run(pipeline, upright)
    pipeline.reset()
    results = run(pipeline, [cv2.rotate(image, turn) for image in upright])
    assert [len(faces) for faces, _ in results] == [1] * 6
    for (faces, affect), (upright_faces, upright_affect) in zip(results, expected, strict=True):
        turned_by = faces.pose_deg[0, 2] - upright_faces.pose_deg[0, 2]
        assert abs((turned_by - roll_deg + 180) % 360 - 180) < 5
        assert affect.top_expression() == upright_affect.top_expression()
        np.testing.assert_allclose(affect.au_probability, upright_affect.au_probability, atol=0.25)


def test_missing_frames_are_not_bridged_by_smoothing(pipeline: Pipeline, videos: Path) -> None:
    """Images numbered 1, 2, 3 and 51: the last one has the scores of an image without history."""
    frames = images(videos / SMILE)
    numbers = [0, 1, 2, 50]

    def last_score(times: list[int]) -> np.ndarray:
        pipeline.reset()
        for number, time in zip(numbers[-len(times) :], times, strict=True):
            frame = Frame(frames[number], time_s=time / 25, index=time)
            faces, affect = pipeline.analyze(frame)
        assert len(faces) == 1
        return np.append(affect.au_probability[0], (affect.valence[0], affect.arousal[0]))

    alone, with_gap = last_score([50]), last_score([0, 1, 2, 50])
    counted = last_score([0, 1, 2, 3])
    assert np.abs(with_gap - alone).mean() < 0.25 * np.abs(counted - alone).mean()


def to_nv12(bgr: np.ndarray) -> np.ndarray:
    """Convert OpenCV's planar I420 to luma rows followed by interleaved chroma."""
    height, width = bgr.shape[:2]
    planar = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    u, v = planar[height:].reshape(2, height // 2, width // 2)
    return np.concatenate([planar[:height], np.stack([u, v], axis=2).reshape(height // 2, width)])


def to_i420(bgr: np.ndarray) -> Frame:
    height, width = bgr.shape[:2]
    planar = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    u, v = planar[height:].reshape(2, height // 2, width // 2)
    return Frame(planar[:height], PixelFormat.I420, chroma=(u, v))


@pytest.mark.parametrize("pixel_format", [one for one in PixelFormat if one is not PixelFormat.BGR])
def test_pixel_formats_give_similar_landmarks(
    pipeline: Pipeline, videos: Path, pixel_format: PixelFormat
) -> None:
    bgr = images(videos / SMILE, count=1)[0]
    change = {
        PixelFormat.RGB: lambda: Frame(np.ascontiguousarray(bgr[..., ::-1]), PixelFormat.RGB),
        PixelFormat.GRAY: lambda: Frame(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), PixelFormat.GRAY),
        PixelFormat.NV12: lambda: Frame(to_nv12(bgr), PixelFormat.NV12),
        PixelFormat.I420: lambda: to_i420(bgr),
    }
    expected, _ = pipeline.analyze(Frame(bgr))
    pipeline.reset()
    got, _ = pipeline.analyze(change[pixel_format]())
    eyes_px = np.linalg.norm(
        expected.landmarks_xy[0, 36:42].mean(axis=0) - expected.landmarks_xy[0, 42:48].mean(axis=0)
    )
    error = np.linalg.norm(got.landmarks_xy - expected.landmarks_xy, axis=-1).mean() / eyes_px
    assert error < {PixelFormat.RGB: 0.005, PixelFormat.GRAY: 0.06}.get(pixel_format, 0.02)
