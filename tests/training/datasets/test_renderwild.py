"""RenderWild reader on synthetic videos with known landmarks and labels."""

import json

import cv2
import numpy as np
import pytest

from training.datasets.renderwild import IMAGE_PX, load_renderwild, neutral_keep_mask
from training.models.mean_shape import MEAN_SHAPE_PX

pytestmark = pytest.mark.train


REQUIRES = ("moderngl",)

FRAMES, DOTS = 12, (36, 45, 54)


def landmarks(frame: int) -> np.ndarray:
    return (MEAN_SHAPE_PX * 1.3 + [60 + 4 * frame, 30]).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "truth").mkdir()
    for name, split, rig in (
        ("one", "Train_Set", "facs"),
        ("two", "Validation_Set", "arkit"),
        ("three", "Train_Set", "arkit"),
    ):
        video = cv2.VideoWriter(
            str(tmp_path / "videos" / f"{name}.avi"),
            cv2.VideoWriter_fourcc(*"MJPG"),
            25,
            (320, 240),
        )
        for k in range(FRAMES):
            image = np.full((240, 320, 3), 30, np.uint8)
            for x, y in landmarks(k)[list(DOTS)]:
                cv2.circle(image, (round(x), round(y)), 3, (40, 40, 250), -1)  # red
            video.write(image)
        video.release()
        strength = np.zeros((FRAMES, 7), np.float32)
        strength[:, 4], strength[:, 0] = np.linspace(0, 1, FRAMES), np.linspace(1, 0, FRAMES)
        truth = {
            "time_s": np.arange(FRAMES) / 25,
            "landmarks_xy": np.stack([landmarks(k) for k in range(FRAMES)]),
            "pose_deg": np.tile([10.0, -5, 2], (FRAMES, 1)),
            "au_intensity": np.tile(np.linspace(0, 1, 12), (FRAMES, 1)),
            "strength": strength,
            "va": np.stack([np.linspace(-1, 1, FRAMES)] * 2, axis=1),
        }
        np.savez(
            tmp_path / "truth" / f"{name}.npz",
            **{key: value.astype(np.float32) for key, value in truth.items()},
        )
        note = {"name": name, "video": f"videos/{name}.avi", "split": split, "rig": rig, "fps": 25}
        (tmp_path / "truth" / f"{name}.json").write_text(json.dumps(note))
    return tmp_path


def test_load_renderwild_keeps_images_landmarks_and_labels_together(folder):
    table, rig = load_renderwild(folder, "Train_Set", rate_hz=5)
    assert len(table) == 6  # frames 0, 5 and 10 of two videos
    assert sorted(rig.tolist()) == [0, 0, 0, 1, 1, 1]
    assert table.images.shape[1:] == (IMAGE_PX, IMAGE_PX, 3)
    for image, points in zip(table.images, table.landmarks_xy, strict=True):
        for x, y in points[list(DOTS)]:
            red, green, blue = image[round(float(y)), round(float(x))].astype(int)
            assert red > 150
            assert green < 120
            assert blue < 120
    np.testing.assert_allclose(table.va[:3, 0], np.linspace(-1, 1, FRAMES)[::5], atol=1e-6)
    np.testing.assert_allclose(table.expression.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(
        table.au[0], np.clip((np.linspace(0, 1, 12) - 0.15) / 0.3, 0, 1), atol=1e-6
    )


def test_load_renderwild_separates_splits(folder):
    assert len(load_renderwild(folder, "Validation_Set", rate_hz=25)[0]) == FRAMES
    with pytest.raises(FileNotFoundError, match="split Test_Set"):
        load_renderwild(folder, "Test_Set")


def test_load_renderwild_with_unreadable_video_names_it(folder):
    (folder / "videos" / "one.avi").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"one\.avi"):
        load_renderwild(folder)


def test_neutral_keep_mask_leaves_out_neutral_frames(folder):
    table, _ = load_renderwild(folder, rate_hz=25)
    downsampled = table.select(neutral_keep_mask(table, 1.0))
    assert 0 < len(downsampled) < len(table)
    assert (downsampled.expression[:, 0] < 0.9).all()
