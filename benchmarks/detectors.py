"""Compares face detectors: `python -m benchmarks detectors --taught RUN/taught.npz`.

Measures recall by face size, false positives, keypoint error and CPU time. Ground truth of
composited images is YuNet's output on the original, which is then pasted at a smaller size onto a
background; on clips it is YuNet's output on the frame. The images are held out from the training of
the distilled detector.
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
"""Face heights as fractions of the frame's height."""
_MIN_IOU: Final = 0.4


@dataclass(frozen=True, slots=True)
class Case:
    """A frame and its faces."""

    frame: Frame
    boxes: FloatArray  # [K, 4]
    points: FloatArray  # [K, 5, 2]


@dataclass(slots=True)
class Score:
    """Results of a detector, by bins of face height where it matters."""

    faces: list[int] = field(default_factory=lambda: [0] * len(BINS))
    detected: list[int] = field(default_factory=lambda: [0] * len(BINS))
    frames: int = 0
    false_positives: int = 0
    errors: list[float] = field(
        default_factory=list
    )  # mean distance of the five points over the distance of the eyes
    ms: list[float] = field(default_factory=list)

    def add(self, case: Case, detections: Detections, ms: float) -> None:
        overlap = overlaps(case.boxes, detections.box_xyxy)
        self.frames += 1
        self.ms.append(ms)
        self.false_positives += int((overlap.max(axis=0, initial=0) < _MIN_IOU).sum())
        for row, (box, points) in enumerate(zip(case.boxes, case.points, strict=True)):
            share = float(box[3] - box[1]) / case.frame.height_px
            at = next((k for k, (low, high) in enumerate(BINS) if low <= share < high), None)
            if at is None:
                continue
            self.faces[at] += 1
            if overlap.shape[1] and overlap[row].max() >= _MIN_IOU:
                self.detected[at] += 1
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
    """Yield every `step`-th frame of clips, with YuNet's detections as ground truth."""
    for clip in clips:
        with open_source(clip) as source:
            for index, frame in enumerate(source):
                if index % step == 0:
                    detections = teacher.detect(frame)
                    yield Case(frame, detections.box_xyxy, detections.keypoints_xy)


def evaluate(
    detectors: dict[str, Callable[[Frame], Detector]], cases: Iterator[Case]
) -> dict[str, Score]:
    """Run every detector on every case; a detector is created per frame height."""
    scores = {name: Score() for name in detectors}
    made: dict[tuple[str, int], Detector] = {}
    for case in cases:
        for name, make in detectors.items():
            detector = made.setdefault((name, case.frame.height_px), make(case.frame))
            begin_ns = CPU.now()
            detections = detector.detect(case.frame)
            scores[name].add(case, detections, (CPU.now() - begin_ns) / 1e6)
    return scores


def as_table(title: str, scores: dict[str, Score]) -> list[str]:
    """Format the scores as a section of the record."""
    names = [f"1/{1 / low:.0f} to 1/{1 / high:.0f}" for low, high in BINS]
    lines = [
        f"## {title}",
        "",
        f"| detector | {' | '.join(names)} "
        "| false positives per frame | keypoint error | ms per detection |",
    ]
    lines.append("|---" * (len(BINS) + 4) + "|")
    for name, score in scores.items():
        recall = [
            f"{100 * f / n:.0f} % of {n}" if n else "-"
            for f, n in zip(score.detected, score.faces, strict=True)
        ]
        error = f"{np.median(score.errors):.3f}" if score.errors else "-"
        false_positives = f"{score.false_positives / max(1, score.frames):.3f}"
        lines.append(
            f"| {name} | {' | '.join(recall)} | {false_positives} | {error} "
            f"| {np.median(score.ms):.2f} |"
        )
    return [*lines, ""]


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the options."""
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
        "--clip", action="append", help="may be repeated [default: all clips of --shared]"
    )
    parser.add_argument(
        "--network", type=Path, default=None, help="detector.onnx to use instead of the shipped one"
    )
    parser.add_argument(
        "--per-bin", type=int, default=60, help="composited images of each face size"
    )
    parser.add_argument("--record", type=Path, default=None, help="folder for detectors.md")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run `python -m benchmarks detectors`."""
    arguments = parse(argv)
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
        one
        for one in load_teacher_images(arguments.taught)
        if one.held_out and one.name.endswith(".jpg")
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
        "Recall by the face's height as a fraction of the frame's. Keypoint error: mean distance "
        "of the five keypoints",
        "over the distance of the eyes, median. Detectors are set to faces of at least a tenth of "
        "the frame's height.",
        "",
    ]
    title = f"Held-out web faces on backgrounds, {SIZE_WH[0]}x{SIZE_WH[1]} ({len(held_out)} images)"
    lines += as_table(
        title,
        evaluate(detectors, made_cases(held_out, arguments.shared / "data", arguments.per_bin)),
    )
    of_clips = evaluate(detectors, clip_cases(clips, teacher))
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
