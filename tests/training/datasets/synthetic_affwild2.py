"""Synthetic copy of Aff-Wild2 in the official layout, with the irregularities of real copies."""

from __future__ import annotations

from pathlib import Path

HEADER_AU = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
HEADER_AU_2020 = "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25"
HEADER_EXPR = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise"
HEADER_VA = "valence,arousal"
JPG = b"\xff\xd8 synthetic"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def crops(root: Path, video: str, numbers: list[int], folder: str = "cropped_aligned") -> None:
    for number in numbers:
        path = root / folder / video / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPG)


def au_line(*on: int, of: int = 12) -> str:
    return ",".join("1" if k in on else "0" for k in range(of))


def abaw2(root: Path) -> Path:
    """Four videos: `one` with all tasks, `1-30-1280x720_left` and `_right` of one source,
    `my_video` with VA only.
    """
    annotations = root / "annotations"
    # Trailing spaces and commas, no final newline, more lines than crops, a missing crop.
    lines = [HEADER_AU, au_line(0), au_line(0, 6) + ",", au_line(6) + "  ", "-1," * 12, au_line(11)]
    write(annotations / "AU_Set/Train_Set/one.txt", "\n".join(lines))
    write(annotations / "EXPR_Set/Train_Set/one.txt", f"{HEADER_EXPR}\n0\n4\n4 \n-1\n6\n")
    write(
        annotations / "VA_Set/Validation_Set/one.txt",
        f"{HEADER_VA}\n0.5,0.25\n-5,-5\n-0.5,-5\n-1,1\n0.1,0.2,\n",
    )
    crops(root, "one", [1, 2, 4, 5, 6])  # frame 3 has no crop, crop 6 has no line
    write(root / "cropped_aligned/one/.DS_Store", "x")
    # Some columns are absent: the line counts for no AU.
    left = [HEADER_AU, au_line(1), "1,1,-1,0,0,0,0,0,0,0,0,0", au_line()]
    write(annotations / "AU_Set/Validation_Set/1-30-1280x720_left.txt", "\r\n".join(left) + "\r\n")
    write(
        annotations / "EXPR_Set/Train_Set/1-30-1280x720_right.txt",
        "\ufeff" + f"{HEADER_EXPR}\n1\n2\n3\n",
    )
    crops(root, "1-30-1280x720_left", [1, 2, 3])
    crops(root, "1-30-1280x720_right", [2, 3])
    write(annotations / "VA_Set/Train_Set/my_video.txt", f"{HEADER_VA}\n0.602,0.389\n-0.1,0\n")
    crops(root, "my_video", [2, 100001])
    write(annotations / "VA_Set/Train_Set/.DS_Store", "x")
    write(annotations / "VA_Set/Train_Set/._my_video.txt", "x")
    # A test video: crops, no labels.
    crops(root, "unseen", [1, 2])
    write(root / "test_set_Expr_Challenge.txt", "unseen\n")
    return root
