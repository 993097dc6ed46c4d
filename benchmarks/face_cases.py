"""Hard faces and moving people: `python -m benchmarks faces [--record FOLDER]`.

Counts the faces that are found, double rows, misread faces, and people who keep their track id.
Conditions are made from web faces and rendered heads, so that the truth is known.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from benchmarks.face_images import (
    CHANGES,
    GRAY,
    FaceImage,
    Image,
    TurningHeads,
    animals,
    paste,
    statues,
    web_faces,
)
from faceaffect.bench.machine import describe_machine
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.sources import open_source
from faceaffect.types import Faces, Frame

ROOT: Final = Path(__file__).resolve().parents[1]
_ROLLS_DEG: Final = (0, 15, 30, 45, -45, 60, 75, 90, 120, 150, 180, -90)
_YAWS_DEG: Final = (0, 30, 45, 60, -60, 75)
_SIZES_PX: Final = (40, 30, 24, 19)
_PAIRS: Final = ((0, 9), (3, 30), (5, 44), (12, 60), (20, 71))
_STEPS_PX: Final = (6, 3, 12)
_RANDOM_PAIRS: Final = 24
_MIN_QUALITY: Final = 0.2
"""Face score and quality from which a row counts as trusted."""
_MIN_SCORE: Final = 0.8


@dataclass(slots=True)
class Tally:
    """Results of one condition."""

    images: int = 0
    found: int = 0
    doubles: int = 0
    others: int = 0
    misread: int = 0
    trusted: int = 0
    scores: list[float] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)

    def add(self, image: FaceImage, faces: Faces) -> None:
        """Compare the rows of an image with its truth."""
        self.images += 1
        self.scores += faces.face_score.tolist()
        self.qualities += faces.quality.tolist()
        is_trusted = (faces.face_score >= _MIN_SCORE) & (faces.quality >= _MIN_QUALITY)
        self.trusted += int(is_trusted.sum())
        if image.box_xyxy is None:
            self.others += len(faces)
            return
        x1, y1, x2, y2 = image.box_xyxy
        center = faces.landmarks_xy.mean(axis=1)
        inside = (center >= (x1, y1)).all(axis=1) & (center <= (x2, y2)).all(axis=1)
        turn = (faces.pose_deg[:, 2] - image.roll_deg + 180) % 360 - 180
        self.found += bool(inside.any())
        self.doubles += max(0, int(inside.sum()) - 1)
        self.others += int((~inside).sum())
        self.misread += int((inside & (np.abs(turn) > 35) & is_trusted).sum())

    def row(self, name: str) -> str:
        """Format as a row of the record."""
        cells: list[object] = [name, f"{self.found} of {self.images}", self.doubles, self.others]
        cells += [self.misread, self.trusted]
        cells += [f"{np.median(v):.2f}" if v else "-" for v in (self.scores, self.qualities)]
        return f"| {' | '.join(map(str, cells))} |"


def still_conditions(data: Path, count: int) -> Iterator[tuple[str, Callable[[], list[FaceImage]]]]:
    """Yield name and images of each condition."""
    photos = web_faces(data, real=count // 3, fake=count - count // 3)
    for roll in _ROLLS_DEG:
        yield f"roll {roll}", lambda roll=roll: [paste((640, 480), p, 256, roll) for p in photos]  # type: ignore[misc]
    yield (
        "512 px face at roll 0 and 45",
        lambda: [paste((1600, 1200), p, 512, roll) for p in photos for roll in (0, 45)],
    )
    for height in _SIZES_PX:
        side = round(height * 256 / 148)
        yield f"{height} px", lambda side=side: [paste((640, 360), p, side) for p in photos]  # type: ignore[misc]
    for name, change in CHANGES.items():
        yield name, lambda name=name, change=change: _changed(name, change, photos)  # type: ignore[misc]
    yield "animals", animals
    yield "backs of statues", lambda: statues(photos[:12])
    yield "panorama 24000x1200, 120 px", lambda: [_panorama(p, 24000) for p in photos[:3]]


def _changed(name: str, change: Callable[[Image], Image], photos: list[Image]) -> list[FaceImage]:
    """The changed faces in gray frames; a change of light changes the frame, too."""
    if "light" in name:
        return [FaceImage(change(one.pixels), one.box_xyxy) for one in map(_plain, photos)]
    return [_plain(change(photo)) for photo in photos]


def _plain(photo: Image) -> FaceImage:
    return paste((480, 360), photo, 256)


def _panorama(photo: Image, width: int) -> FaceImage:
    """A face of 120 px at a third of a wide photo."""
    face = paste((600, 1200), photo, round(120 * 256 / 148))
    canvas = np.full((face.pixels.shape[0], width, 3), GRAY, np.uint8)
    left = width // 3
    canvas[:, left : left + 600] = face.pixels
    assert face.box_xyxy is not None
    x1, y1, x2, y2 = face.box_xyxy
    return FaceImage(canvas, (x1 + left, y1, x2 + left, y2))


def yaw_conditions(data: Path, people: int) -> Iterator[tuple[str, Callable[[], list[FaceImage]]]]:
    """Yield rendered heads at each yaw; nothing without OpenGL."""
    try:
        heads = TurningHeads(data)
    except Exception as error:  # no GL driver
        sys.stderr.write(f"rendered heads are left out: {error}\n")
        return
    for yaw in _YAWS_DEG:
        yield (
            f"yaw {yaw} (rendered)",
            lambda yaw=yaw: [  # type: ignore[misc]
                _embed(heads.render(number, yaw)) for number in range(people)
            ],
        )


def _embed(image: FaceImage) -> FaceImage:
    """The image in the middle of a 640x360 frame."""
    side = image.pixels.shape[0]
    canvas = np.full((360, 640, 3), GRAY, np.uint8)
    left, top = (640 - side) // 2, (360 - side) // 2
    canvas[top : top + side, left : left + side] = image.pixels
    assert image.box_xyxy is not None
    x1, y1, x2, y2 = image.box_xyxy
    return FaceImage(canvas, (x1 + left, y1 + top, x2 + left, y2 + top))


@dataclass(slots=True)
class People:
    """Track ids of people in a sequence, frame by frame."""

    ids: dict[str, list[int]] = field(default_factory=dict)
    on_hidden: int = 0  # rows beyond the visible people
    missing: int = 0

    def add(
        self,
        faces: Faces,
        visible: dict[str, tuple[float, float]],
        clear: Collection[str] | None = None,
    ) -> None:
        """Assign each row to the nearest person of whom something is seen.

        Args:
            faces: Rows of the frame.
            visible: Centers of the people of whom something is seen.
            clear: Names of those of whom at least half is seen; None: all.
        """
        self.on_hidden += max(0, len(faces) - len(visible))
        self.missing += max(0, len(visible if clear is None else clear) - len(faces))
        for box, track_id in zip(faces.box_xyxy, faces.track_id.tolist(), strict=True):
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            name = min(
                visible,
                key=lambda k: abs(visible[k][0] - x) + abs(visible[k][1] - y),
                default="nobody",
            )
            ids = self.ids.setdefault(name, [])
            if not ids or ids[-1] != track_id:
                ids.append(track_id)

    @property
    def keeps_ids(self) -> bool:
        """Whether each person has one id, and nobody shares it."""
        flat = [track_id for ids in self.ids.values() for track_id in ids]
        return len(flat) == len(set(flat)) == len(self.ids)

    def row(self, name: str) -> str:
        """Format as a row of the record."""
        ids = "; ".join(f"{k} {'-'.join(map(str, v))}" for k, v in sorted(self.ids.items()))
        kept = "yes" if self.keeps_ids else "**no**"
        return f"| {name} | {kept} | {ids} | {self.on_hidden} | {self.missing} |"


Scene = Callable[[int, Image], tuple[dict[str, tuple[float, float]], list[str]]]
"""Draws frame number `i`; returns centers of people in sight, and who is at least half visible."""


def play(pipeline: Pipeline, scene: Scene, count: int, fps: float = 25) -> People:
    """Analyze a drawn scene."""
    pipeline.reset(track_ids=True)
    rng = np.random.default_rng(0)
    people = People()
    for index in range(count):
        canvas = np.full((360, 900, 3), GRAY, np.uint8)
        visible, clear = scene(index, canvas)
        noise = rng.integers(-3, 4, canvas.shape)
        pixels = (canvas.astype(np.int16) + noise).clip(0, 255).astype(np.uint8)
        faces, _ = pipeline.analyze(Frame(pixels, time_s=index / fps, index=index))
        people.add(faces, visible, clear)
    return people


def _cut(photo: Image) -> Image:
    small: Any = cv2.resize(photo, (200, 200))
    return np.asarray(small[10:190, 25:175], np.uint8)


def _draw(canvas: Image, photo: Image, x: int, y: int) -> None:
    x1, y1 = max(0, x), max(0, y)
    x2 = min(canvas.shape[1], x + photo.shape[1])
    y2 = min(canvas.shape[0], y + photo.shape[0])
    if x2 > x1 and y2 > y1:
        canvas[y1:y2, x1:x2] = photo[y1 - y : y2 - y, x1 - x : x2 - x]


def crossing(first: Image, second: Image, step_px: int) -> Scene:
    """Two people pass each other; the second is in front."""

    def scene(index: int, canvas: Image) -> tuple[dict[str, tuple[float, float]], list[str]]:
        x1, x2 = 30 + step_px * index, 720 - step_px * index
        _draw(canvas, first, x1, 90)
        _draw(canvas, second, x2, 90)
        visible, clear = {"front": (x2 + 75.0, 180.0)}, ["front"]
        share = min(1.0, abs(x1 - x2) / 150)
        if share > 0.25:  # of the face behind
            visible["behind"] = (x1 + 75.0, 180.0)
        if share > 0.5:
            clear.append("behind")
        return visible, clear

    return scene


def sequence_rows(data: Path, pipeline: Pipeline) -> Iterator[str]:
    """Yield the rows of all sequences."""
    fake, real = (sorted((data / "webfaces").glob(f"{kind}_*.jpg")) for kind in ("fake", "real"))
    for step_px in _STEPS_PX:
        pairs = [(fake[first], fake[second]) for first, second in _PAIRS]
        names = [f"crossing {first}/{second}, {step_px} px a frame" for first, second in _PAIRS]
        rows = [_cross(pipeline, pair, step_px) for pair in pairs]
        yield from (people.row(name) for people, name in zip(rows, names, strict=True))
        yield _sum_of_rows(f"crossing, {step_px} px a frame", rows)
    rng = np.random.default_rng(8)
    rows = []
    for number in range(_RANDOM_PAIRS):
        paths = (fake, real)[number % 2]
        first, second = rng.choice(len(paths), 2, replace=False)
        step_px = _STEPS_PX[number % len(_STEPS_PX)]
        rows.append(_cross(pipeline, (paths[first], paths[second]), step_px))
    yield _sum_of_rows("crossing, random pairs, 3 to 12 px a frame", rows)
    yield from _turn_rows(data, pipeline)


def _cross(pipeline: Pipeline, pair: tuple[Path, Path], step_px: int) -> People:
    first, second = (_cut(np.asarray(cv2.imread(str(path)), np.uint8)) for path in pair)
    return play(pipeline, crossing(first, second, step_px), 660 // step_px)


def _sum_of_rows(name: str, rows: list[People]) -> str:
    kept, hidden, missing = (
        sum(values)
        for values in zip(*((p.keeps_ids, p.on_hidden, p.missing) for p in rows), strict=True)
    )
    return f"| {name} | {kept} of {len(rows)} | | {hidden} | {missing} |"


def _turn_rows(data: Path, pipeline: Pipeline) -> Iterator[str]:
    """Turning heads: a clip at several times its speed, and rendered heads."""
    clip = data / "videos" / "intel_head-pose-face-detection-female-and-male.mp4"
    for speed in (1, 3, 6):
        pipeline.reset(track_ids=True)
        people = People()
        with open_source(clip) as source:
            frames = [frame for frame in source if frame.index % speed == 0]
        for number, frame in enumerate(frames):
            middle = frame.width_px / 2, frame.height_px / 2
            faces, _ = pipeline.analyze(replace(frame, time_s=number / 12, index=number))
            left, right = (middle[0] / 2, middle[1]), (1.5 * middle[0], middle[1])
            people.add(faces, {"left": left, "right": right})
        yield people.row(f"{clip.stem[:15]} at {speed} times its speed, {len(frames)} frames")
    try:
        heads = TurningHeads(data)
    except Exception:  # said by yaw_conditions
        return
    for step_deg in (8, 15):
        yaws = [0.0] * 8 + [*np.arange(0, 50, step_deg)] + [*np.arange(50, -50, -step_deg)]
        yaws += [*np.arange(-50, 1, step_deg)] + [0.0] * 8
        for number in (0, 1):
            pipeline.reset(track_ids=True)
            people = People()
            for index, yaw in enumerate(yaws):
                image = _embed(heads.render(number, float(yaw)))
                faces, _ = pipeline.analyze(Frame(image.pixels, time_s=index / 25, index=index))
                people.add(faces, {"head": (320.0, 180.0)})
            yield people.row(f"head {number} turns {step_deg} degrees a frame, {len(yaws)} frames")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faces", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--model", default=None)
    parser.add_argument("--images", type=int, default=24, help="web faces of each condition")
    parser.add_argument("--only", default="", help="conditions whose name contains this")
    parser.add_argument("--record", type=Path, default=None, help="folder for faces.md")
    return parser.parse_args(argv)


def _all_rows(pipeline: Pipeline, options: argparse.Namespace) -> Iterator[str]:
    """Yield the rows of both tables."""
    for conditions in (
        still_conditions(options.data, options.images),
        yaw_conditions(options.data, options.images // 2),
    ):
        for name, make_images in conditions:
            if options.only not in name:
                continue
            tally = Tally()
            for image in make_images():
                pipeline.reset()
                tally.add(image, pipeline.analyze(Frame(image.pixels))[0])
            yield tally.row(name)
    if options.only in "sequences":
        yield ""
        yield "| sequence | ids kept | ids | rows on hidden people | missing rows |"
        yield "|---|---|---|---|---|"
        yield from sequence_rows(options.data, pipeline)


def main(argv: list[str] | None = None) -> None:
    """Run `python -m benchmarks faces`."""
    options = parse(argv)
    lines = ["# Hard faces and moving people", ""]
    lines += [f"- {name}: {value}" for name, value in describe_machine().items()]
    lines += [
        "",
        "Other rows: rows without a face. Misread: trusted rows (face score at least "
        f"{_MIN_SCORE}, quality at least {_MIN_QUALITY}) whose roll is wrong by more than "
        "35 degrees.",
        "",
        "| condition | found | doubles | other rows | misread | trusted | face score | quality |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        sys.stdout.write(line + "\n")
    with open_pipeline(options.model) as pipeline:
        for row in _all_rows(pipeline, options):
            sys.stdout.write(row + "\n")
            sys.stdout.flush()
            lines.append(row)
    text = "\n".join(lines) + "\n"
    if options.record:
        options.record.mkdir(parents=True, exist_ok=True)
        (options.record / "faces.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
