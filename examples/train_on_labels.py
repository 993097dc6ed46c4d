"""Your own labels for training: `python examples/train_on_labels.py labels.csv DATA`.

labels.csv has the columns `video,frame,AU1,AU2,AU4,...` with 0 or 1 for all twelve action units
(frames from 0; those without a row, or with an empty cell, are not used). DATA gets the layout of
Aff-Wild2, every fourth video for validation; train with `python -m training train M1 --data DATA`.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import cv2

from faceaffect import open_pipeline, open_source
from faceaffect.geometry import TEMPLATE_SIZE_PX, place_face
from faceaffect.kernels import crop_face
from faceaffect.labels import AU_NAMES

UNKNOWN = "-1"
TO_BYTES = {"size_px": TEMPLATE_SIZE_PX, "mean": (0, 0, 0), "std": (1 / 255,) * 3}


def main(labels_csv: str, out: str) -> None:
    """Write crops of the largest face of every frame, and labels of every frame."""
    labels: dict[str, dict[int, list[str]]] = defaultdict(dict)
    with open(labels_csv, newline="") as stream:
        for row in csv.DictReader(stream):
            labels[row["video"]][int(row["frame"])] = [row.get(au) or UNKNOWN for au in AU_NAMES]
    for number, (video, of_frame) in enumerate(sorted(labels.items())):
        path = Path(labels_csv).parent / video
        split = "Validation_Set" if number % 4 == 3 else "Train_Set"
        frames = write_crops(path, Path(out) / "cropped_aligned" / path.stem)
        text = Path(out) / "annotations" / "AU_Set" / split / f"{path.stem}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        lines = [",".join(of_frame.get(index, [UNKNOWN] * 12)) for index in range(frames)]
        text.write_text("\n".join([",".join(AU_NAMES), *lines]) + "\n")
        print(f"{video}: {frames} frames, {len(of_frame)} with labels, {split}")


def write_crops(path: Path, folder: Path) -> int:
    """Write the aligned crop of the largest face of every frame; return the number of frames."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with open_source(str(path)) as source, open_pipeline(max_faces=1) as pipeline:
        for count, frame in enumerate(source, 1):
            faces, _ = pipeline.analyze(frame)
            for landmarks in faces.landmarks_xy[:1]:
                transform = place_face(landmarks).crop_to_frame[None]
                crop = crop_face(frame, transform, **TO_BYTES)
                rgb = crop[0].transpose(1, 2, 0).clip(0, 255).astype("uint8")
                cv2.imwrite(str(folder / f"{count:05d}.jpg"), rgb[..., ::-1])
    return count


if __name__ == "__main__":
    main(*sys.argv[1:3])
