"""Detectors side by side: `python -m benchmarks detectors --taught RUN/taught.npz [--clip CLIP ...]
[--record FOLDER]`.

Recall and false finds by face size, error of the five points and processor time of one look.
Truth on made images is what YuNet said of the whole, large image, laid smaller before clutter;
on clips it is what YuNet says of the frame itself. The images are those that the distilled
detector was not trained on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from faceaffect.bench.machine import describe_machine
from faceaffect.detectors import Detections, Detector
from faceaffect.detectors.fast_detector import FastFaceDetector
from faceaffect.detectors.mtcnn import MTCNNDetector
from faceaffect.detectors.yunet import YunetDetector
from faceaffect.sources import open_source
from faceaffect.system.stage_timer import CPU
from faceaffect.types import FloatArray, Frame
from training.detector.backgrounds import compose_background
from training.detector.yunet_teacher import TEACHER, TeacherImage, load_teacher_images

ROOT: Final = Path(__file__).resolve().parents[1]
SIZE_WH: Final = (640, 360)
BINS: Final = (
    (1 / 20, 1 / 14),
    (1 / 14, 1 / 10),
    (1 / 10, 1 / 7),
    (1 / 7, 1 / 4),
    (1 / 4, 1 / 2),
    (1 / 2, 1.0),
)
"""Heights of faces as shares of the frame's height."""
_OVERLAP: Final = 0.4


@dataclass(frozen=True, slots=True)
class Case:
    """A frame and its faces."""

    frame: Frame
    boxes: FloatArray  # [K, 4]
    points: FloatArray  # [K, 5, 2]


@dataclass(slots=True)
class Score:
    """What a detector did: faces of each bin, those found, finds that are none, errors of points,
    times.
    """

    faces: list[int] = field(default_factory=lambda: [0] * len(BINS))
    found: list[int] = field(default_factory=lambda: [0] * len(BINS))
    frames: int = 0
    false_finds: int = 0
    errors: list[float] = field(
        default_factory=list
    )  # mean distance of the five points over the distance of the eyes
    ms: list[float] = field(default_factory=list)

    def add(self, case: Case, detections: Detections, ms: float) -> None:
        overlap = overlaps(case.boxes, detections.box_xyxy)
        self.frames += 1
        self.ms.append(ms)
        self.false_finds += int((overlap.max(axis=0, initial=0) < _OVERLAP).sum())
        for row, (box, points) in enumerate(zip(case.boxes, case.points, strict=True)):
            share = float(box[3] - box[1]) / case.frame.height_px
            at = next((k for k, (low, high) in enumerate(BINS) if low <= share < high), None)
            if at is None:
                continue
            self.faces[at] += 1
            if overlap.shape[1] and overlap[row].max() >= _OVERLAP:
                self.found[at] += 1
                got = detections.keypoints_xy[int(overlap[row].argmax())]
                eyes = float(np.linalg.norm(points[0] - points[1]))
                self.errors.append(
                    float(np.linalg.norm(got - points, axis=1).mean()) / max(eyes, 1.0)
                )


def overlaps(first: FloatArray, second: FloatArray) -> FloatArray:
    """Intersection over union [K, M] of boxes [K, 4] and [M, 4]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    return np.asarray(
        shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-6), np.float32
    )


def made_cases(images: list[TeacherImage], data: Path, per_bin: int) -> Iterator[Case]:
    """One face a frame, sizes of every bin in turn, before clutter of the same images."""
    rng = np.random.default_rng(7)
    whole = [one for one in images if len(one.boxes) == 1 and not len(one.unsure)]
    for number in range(per_bin * len(BINS)):
        low, high = BINS[number % len(BINS)]
        taught = whole[int(rng.integers(len(whole)))]
        canvas = compose_background(SIZE_WH, images, data, rng)
        scale = (
            SIZE_WH[1]
            * float(rng.uniform(low, high))
            / float(taught.boxes[0, 3] - taught.boxes[0, 1])
        )
        yield _laid(canvas, taught, scale, rng)


def _laid(canvas: np.ndarray, taught: TeacherImage, scale: float, rng: np.random.Generator) -> Case:
    """The image over the canvas, so that its face stays inside."""
    height, width = (max(2, round(side * scale)) for side in taught.pixels.shape[:2])
    exact = np.array(
        [width / taught.pixels.shape[1], height / taught.pixels.shape[0]] * 2, np.float32
    )
    small = cv2.resize(
        taught.pixels,
        (width, height),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )
    box = taught.boxes[0] * exact
    room = np.maximum(np.array(SIZE_WH) - (box[2:] - box[:2]), 1)
    shift = (rng.uniform(0, 1, 2) * room - box[:2]).astype(int)
    left, top = np.maximum(shift, 0).tolist()
    right, bottom = np.minimum(shift + (width, height), SIZE_WH).tolist()
    canvas[top:bottom, left:right] = small[
        top - shift[1] : bottom - shift[1], left - shift[0] : right - shift[0]
    ]
    moved = np.concatenate([shift, shift]).astype(np.float32)
    points = taught.points[:1] * exact[:2] + moved[:2]
    return Case(Frame(canvas), (box + moved)[None], points.astype(np.float32))


def clip_cases(clips: list[str], teacher: YunetDetector, step: int = 5) -> Iterator[Case]:
    """Every fifth frame of clips, with YuNet's own word for what is there."""
    for clip in clips:
        with open_source(clip) as source:
            for index, frame in enumerate(source):
                if index % step == 0:
                    found = teacher.detect(frame)
                    yield Case(frame, found.box_xyxy, found.keypoints_xy)


def judge(
    detectors: dict[str, Callable[[Frame], Detector]], cases: Iterator[Case]
) -> dict[str, Score]:
    """Every detector on every case; a detector is made for the first frame of each size."""
    scores = {name: Score() for name in detectors}
    made: dict[tuple[str, int], Detector] = {}
    for case in cases:
        for name, make in detectors.items():
            detector = made.setdefault((name, case.frame.height_px), make(case.frame))
            started = CPU.mark()
            detections = detector.detect(case.frame)
            scores[name].add(case, detections, (CPU.mark() - started) / 1e6)
    return scores


def as_table(title: str, scores: dict[str, Score]) -> list[str]:
    names = [f"1/{1 / low:.0f} to 1/{1 / high:.0f}" for low, high in BINS]
    lines = [
        f"## {title}",
        "",
        f"| detector | {' | '.join(names)} | false finds a frame | error of points | ms a look |",
    ]
    lines.append("|---" * (len(BINS) + 4) + "|")
    for name, score in scores.items():
        recall = [
            f"{100 * f / n:.0f} % of {n}" if n else "-"
            for f, n in zip(score.found, score.faces, strict=True)
        ]
        error = f"{np.median(score.errors):.3f}" if score.errors else "-"
        false_finds = f"{score.false_finds / max(1, score.frames):.3f}"
        lines.append(
            f"| {name} | {' | '.join(recall)} | {false_finds} | {error} | {np.median(score.ms):.2f} |"
        )
    return [*lines, ""]


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m benchmarks detectors`."""
    shared = ROOT.parent / "shared"
    parser = argparse.ArgumentParser(prog="python -m benchmarks detectors", description=__doc__)
    parser.add_argument(
        "--taught",
        type=Path,
        required=True,
        help="taught.npz of a run of `python -m training train-detector`",
    )
    parser.add_argument("--shared", type=Path, default=shared)
    parser.add_argument(
        "--clip", action="append", help="more than once; all clips of --shared unless given"
    )
    parser.add_argument(
        "--network", type=Path, default=None, help="another detector.onnx than the shipped one"
    )
    parser.add_argument("--per-bin", type=int, default=60, help="made images of each face size")
    parser.add_argument("--record", type=Path, default=None, help="folder for detectors.md")
    arguments = parser.parse_args(argv)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    teacher = YunetDetector(arguments.shared / TEACHER)

    def smallest(
        frame: Frame,
    ) -> int:  # a tenth of the height, at least what the pipeline's default is
        return max(36, round(frame.height_px / 10))

    detectors: dict[str, Callable[[Frame], Detector]] = {
        "distilled": lambda frame: FastFaceDetector(smallest(frame), model=arguments.network),
        "mtcnn": lambda frame: MTCNNDetector(smallest(frame)),
        "YuNet (teacher), 640 px": lambda _: teacher,
    }
    held_out = [
        one for one in load_teacher_images(arguments.taught) if one.held_out and one.name.endswith(".jpg")
    ]
    clips = arguments.clip or sorted(
        str(path) for path in (arguments.shared / "data/videos").iterdir() if path.suffix != ".txt"
    )
    lines = [
        "# Detectors",
        "",
        *(f"- {name}: {value}" for name, value in describe_machine().items()),
        "",
    ]
    lines += [
        "Recall by the face's height as a share of the frame's; error: mean distance of the five points over that of the"
    ]
    lines += [
        "eyes, median. Set to faces of a tenth of the height and more; smaller ones are found by the way.",
        "",
    ]
    title = f"Held-out web faces before clutter, {SIZE_WH[0]}x{SIZE_WH[1]} ({len(held_out)} images)"
    lines += as_table(
        title, judge(detectors, made_cases(held_out, arguments.shared / "data", arguments.per_bin))
    )
    of_clips = judge(detectors, clip_cases(clips, teacher))
    lines += as_table(
        f"Clips, every fifth frame, against YuNet ({', '.join(Path(clip).name for clip in clips)})",
        of_clips,
    )
    text = "\n".join(lines)
    sys.stdout.write(text)
    if arguments.record:
        (arguments.record / "detectors.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
