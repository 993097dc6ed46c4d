"""Small folder in the layout of Aff-Wild2, with its irregularities, and one of synthetic images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from faceaffect.labels import AU_NAMES
from tests.training.datasets.synthetic_affwild2 import HEADER_AU, HEADER_EXPR, HEADER_VA

HEADERS = {"AU_Set": HEADER_AU, "EXPR_Set": HEADER_EXPR, "VA_Set": HEADER_VA}
AU_ROW = "0,1,0,1,0,0,1,0,0,0,1,0"
NO_AU = ",".join(["-1"] * 12)


def write_labels(
    folder: Path, task: str, split: str, video: str, rows: list[str], end: str = "\n"
) -> Path:
    path = folder / "annotations" / task / split / f"{video}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADERS[task], *rows]) + end, encoding="utf-8")
    return path


def write_crop(folder: Path, video: str, frame: int) -> None:
    """Write a uniform image whose brightness encodes the frame."""
    path = folder / "cropped_aligned" / video / f"{frame:05d}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((112, 112, 3), brightness(frame), np.uint8))


def brightness(frame: int) -> int:
    return 80 + 15 * frame


def write_affwild2(folder: Path) -> Path:
    """Write three labeled videos and one of the test lists:

    one        AU and expression; 5 rows, crops 2, 3 and 5; VA is of the training split
    12-30-9x9  all tasks; 3 rows, 4 crops, one of them damaged; the video file has 6 frames
    two_left   VA only; no crop at all
    unseen     test list of AU only; crop 1
    """
    write_labels(
        folder,
        "AU_Set",
        "Validation_Set",
        "one",
        [AU_ROW, AU_ROW, NO_AU, "1," + AU_ROW[2:], AU_ROW],
        end="",
    )
    write_labels(folder, "EXPR_Set", "Validation_Set", "one", ["0 ", "4", "-1", "6,", "4", ""])
    write_labels(folder, "VA_Set", "Train_Set", "one", ["0.5,0.5"] * 5)
    for frame in (2, 3, 5):
        write_crop(folder, "one", frame)
    (folder / "cropped_aligned" / "one" / ".DS_Store").write_bytes(b"\0")
    write_labels(folder, "AU_Set", "Validation_Set", "12-30-9x9", [AU_ROW] * 3)
    write_labels(folder, "EXPR_Set", "Validation_Set", "12-30-9x9", ["6", "6", "2"])
    write_labels(
        folder, "VA_Set", "Validation_Set", "12-30-9x9", ["0.602,0.389", "-5,-5", "-0.25,1"]
    )
    for frame in (1, 2, 3, 4):
        write_crop(folder, "12-30-9x9", frame)
    (folder / "cropped_aligned" / "12-30-9x9" / "00003.jpg").write_bytes(b"not an image")
    write_video(folder / "videos" / "batch1" / "12-30-9x9.avi", 6)
    write_labels(folder, "VA_Set", "Validation_Set", "two_left", ["0.1,0.2", "0.1,-0.2"])
    (folder / "test_set_AU_Challenge.txt").write_text("unseen\n\n")
    write_crop(folder, "unseen", 1)
    return folder


def write_video(path: Path, frames: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 64))
    for _ in range(frames):
        writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()


def write_synthetic_images(folder: Path, landmarks_xy: np.ndarray, count: int = 400) -> Path:
    """Write a shard of uniform images, two per identity.

    AU23 is hidden on every third identity, and every tenth is held out.
    """
    random = np.random.default_rng(0)
    identity = np.arange(count) // 2
    arrays = {
        "image": np.broadcast_to(
            random.integers(90, 250, (count, 1, 1, 1)), (count, 160, 160, 3)
        ).astype(np.uint8),
        "au_intensity": random.random((count, len(AU_NAMES))).astype(np.float32),
        "landmarks_xy": np.broadcast_to(landmarks_xy, (count, 68, 2)).astype(np.float32),
        "pose_deg": np.zeros((count, 3), np.float32),
        "identity": identity.astype(np.int64),
        "rig": np.zeros(count, np.uint8),
        "au_visible": ~((identity % 3 == 0)[:, None] & (np.array(AU_NAMES) == "AU23")),
        "split": (identity % 10 == 0).astype(np.uint8),
    }
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "faces_0000.npz", au_present=arrays["au_intensity"] > 0.3, **arrays)
    return folder
