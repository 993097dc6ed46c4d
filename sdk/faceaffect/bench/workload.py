"""The video that is analyzed: the user's own, or one made for the wanted size and number of faces."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import cv2
import numpy as np

from faceaffect.bench.configuration import BenchError, Configuration
from faceaffect.bench.synthetic_faces import Image, SyntheticExpression, draw_face
from faceaffect.sinks.overlay_video import OverlayVideo, fit_into
from faceaffect.sources import open_source
from faceaffect.types import Frame, PixelFormat

FPS: Final = 30.0
DRAWN_SIZE: Final = (640, 360)
_DRAWN_FRAMES: Final = 24  # a drawn face does all it can do in about a second, then again
_FRAME_BYTES: Final = 256 << 20  # of frames held in memory at a time
_HEIGHT_SHARE: Final = 0.75  # of the image that a single face's tile takes
_FACE_SHARE: Final = 0.55  # of a tile that the face surely takes


_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Workload:
    """A video file; `about` says how it came to be."""

    path: str
    size: tuple[int, int]
    fps: float
    about: str


def make_workload(
    source: str | None, configuration: Configuration, frames: int, folder: Path
) -> Workload:
    """The video for a configuration: `source` itself where nothing else is asked for, else a new
    file in `folder`.

    With `faces`, the face of `source` is tiled that many times; without `source` faces are
    drawn. Raises BenchError.
    """
    size, faces = configuration.size, configuration.faces
    if source is None:
        size, faces = size or DRAWN_SIZE, 1 if faces is None else faces
        images = _tile(
            _drawn_tiles(frames, faces, _side_px(size, faces, configuration)), size, faces
        )
        about = f"{faces} drawn face{'s' if faces > 1 else ''}"
    else:
        clip = read_frames(source, frames)
        own_size = (clip[0].width_px, clip[0].height_px)
        if faces is not None:
            size = size or own_size
            images = _tile(
                _cut_tiles(clip, faces, _side_px(size, faces, configuration), source), size, faces
            )
            about = f"the face of {Path(source).name}, {faces} times"
        elif size in (None, own_size) and (fps := _file_fps(source)) is not None:
            return Workload(source, own_size, fps, Path(source).name)
        else:
            size = size or own_size
            images = (fit_into(_bgr(frame), size) for frame in clip)
            about = f"{Path(source).name}" + (
                f", scaled from {own_size[0]}x{own_size[1]}" if size != own_size else ""
            )
    path = folder / f"workload_{size[0]}x{size[1]}_{faces or 'own'}.mp4"
    if not path.exists():  # as another configuration of this run wants the same
        _encode(images, path)
    return Workload(str(path), size, FPS, f"{about} (MPEG-4 part 2, made for this run)")


def read_frames(source: str, count: int) -> list[Frame]:
    """The first `count` frames, or as many as may be held in memory. Raises SourceError or
    BenchError.
    """
    found: list[Frame] = []
    with open_source(source) as opened:
        for frame in opened:
            found.append(frame)
            if len(found) >= fitting_count(frame, count):
                break
    if not found:
        raise BenchError(
            f"{source}: a video with at least one frame was wanted, none came; try to play it"
        )
    return found


def fitting_count(frame: Frame, count: int) -> int:
    """How many of `count` frames like this one may be held in memory."""
    return min(count, max(2, _FRAME_BYTES // frame.pixels.nbytes))


def play(frames: list[Frame], count: int, fps: float) -> Iterator[Frame]:
    """`count` frames forth and back, so that no cut is seen where the clip ends, with a clock that
    goes on.
    """
    for index in range(count):
        yield replace(forth_and_back(frames, index), time_s=index / fps, index=index)


def forth_and_back(items: Sequence[_Item], index: int) -> _Item:
    """Item `index` of a list that is played forwards, then backwards, and so on."""
    period = max(1, 2 * len(items) - 2)
    step = index % period
    return items[step if step < len(items) else period - step]


def _file_fps(source: str) -> float | None:
    """Of a video file; None for images and cameras, which cannot be read again and again."""
    with open_source(source) as opened:
        is_video = not opened.is_live and opened.is_sequence and Path(source).is_file()
        return (opened.fps or FPS) if is_video else None


def _bgr(frame: Frame) -> Image:
    codes = {
        PixelFormat.RGB: cv2.COLOR_RGB2BGR,
        PixelFormat.GRAY: cv2.COLOR_GRAY2BGR,
        PixelFormat.NV12: cv2.COLOR_YUV2BGR_NV12,
    }
    if frame.layout is PixelFormat.BGR:
        return frame.pixels
    return np.asarray(
        cv2.cvtColor(np.ascontiguousarray(frame.pixels), codes[frame.layout]), np.uint8
    )


def _encode(images: Iterator[Image], path: Path) -> None:
    video = OverlayVideo(path, FPS)
    try:
        for index, image in enumerate(images):
            video.write(Frame(image, time_s=index / FPS, index=index), image)
    finally:
        video.close()


def _columns(size: tuple[int, int], faces: int) -> int:
    """The number of columns with which `faces` square tiles are largest."""
    return max(
        range(1, faces + 1),
        key=lambda columns: min(size[0] / columns, size[1] / math.ceil(faces / columns)),
    )


def _side_px(size: tuple[int, int], faces: int, configuration: Configuration) -> int:
    """The side of a tile; raises BenchError where its face would be too small to be found."""
    if faces < 1 or min(size) < 32:
        raise BenchError(
            f"need at least 1 face and 32x32 pixels, got {faces} faces at {size[0]}x{size[1]}"
        )
    columns = _columns(size, faces)
    cell = min(size[0] / columns, size[1] / math.ceil(faces / columns))
    side = int(min(0.94 * cell, _HEIGHT_SHARE * size[1]))
    if _FACE_SHARE * side < configuration.min_face_size_px:
        raise BenchError(
            f"{faces} faces of at least {configuration.min_face_size_px} px do not fit into {size[0]}x{size[1]}; "
            "use a larger --size, fewer --num-faces or a smaller --min-face-size"
        )
    return side


_Tile = tuple[Image, Any]
"""BGR [S, S, 3] and how far it covers what is behind [S, S, 1]."""


def _drawn_tiles(frames: int, faces: int, side_px: int) -> Iterator[list[_Tile]]:
    """The tiles of each frame: four persons in turn, each a little behind the one before."""
    persons = min(faces, 4)
    grimaces = [SyntheticExpression.at(index / _DRAWN_FRAMES) for index in range(_DRAWN_FRAMES)]
    drawn = [
        [draw_face(person, expression, side_px) for expression in grimaces]
        for person in range(persons)
    ]
    for index in range(frames):
        row = []
        for face in range(faces):
            image, cover = drawn[face % persons][(index + 5 * face) % _DRAWN_FRAMES]
            row.append((image, cover[..., None]))
        yield row


def _cut_tiles(clip: list[Frame], faces: int, side_px: int, source: str) -> Iterator[list[_Tile]]:
    """The clip's first face, cut out around its place in every frame; every other tile is mirrored."""
    places = _face_places(clip, source)
    height_px = float(np.median(places[:, 2]))
    scale = side_px * _FACE_SHARE / height_px
    whole = np.ones((side_px, side_px, 1), np.float32)
    cut = []
    for frame, (x, y, _) in zip(clip, places.tolist(), strict=True):
        middle = (side_px - 1) / 2
        to_tile = np.array(
            [[scale, 0, middle - scale * x], [0, scale, middle - scale * y]], np.float32
        )
        image = cv2.warpAffine(
            _bgr(frame), to_tile, (side_px, side_px), borderMode=cv2.BORDER_REPLICATE
        )
        cut.append(np.asarray(image, np.uint8))
    for index in range(len(clip)):
        row: list[_Tile] = []
        for face in range(faces):
            image = forth_and_back(cut, index + 7 * face)
            row.append((np.asarray(image[:, ::-1] if face % 2 else image, np.uint8), whole))
        yield row


def _face_places(clip: list[Frame], source: str) -> Any:
    """x, y and height [F, 3] of the first face, in between where it is not seen. Raises BenchError
    when it never is.
    """
    from faceaffect.pipeline import open_pipeline

    seen, places = [], []
    with open_pipeline(max_faces=1) as pipeline:
        for index, frame in enumerate(clip):
            faces, _ = pipeline.analyze(frame)
            if len(faces):
                x1, y1, x2, y2 = faces.box_xyxy[0].tolist()
                seen.append(index)
                places.append(((x1 + x2) / 2, (y1 + y2) / 2, y2 - y1))
    if not seen:
        raise BenchError(
            f"{source}: --num-faces needs a clip that shows a face, none is found in {len(clip)} frames"
        )
    known = np.array(places)
    return np.stack([np.interp(np.arange(len(clip)), seen, known[:, i]) for i in range(3)], axis=1)


def _tile(tiles: Iterator[list[_Tile]], size: tuple[int, int], faces: int) -> Iterator[Image]:
    """Frames of `size` with the tiles in a grid, each swaying a little."""
    width, height = size
    columns = _columns(size, faces)
    rows = math.ceil(faces / columns)
    background = _clutter(width, height)
    for index, row in enumerate(tiles):
        image = background.copy()
        for face, (tile, cover) in enumerate(row):
            side = len(tile)
            sway = 0.025 * side
            phase = 2 * math.pi * (index / _DRAWN_FRAMES + face / 7)
            x = (face % columns + 0.5) * width / columns - side / 2 + sway * math.sin(phase)
            y = (face // columns + 0.5) * height / rows - side / 2 + sway * math.cos(phase)
            left, top = round(min(max(x, 0), width - side)), round(min(max(y, 0), height - side))
            behind = image[top : top + side, left : left + side]
            behind[:] = np.minimum(behind * (1 - cover) + tile, 255).astype(np.uint8)
        yield image


def _clutter(width: int, height: int) -> Image:
    """A background with edges in it, the same every time: an empty one would be too easy for the
    detector.
    """
    random = np.random.default_rng(20)
    image = np.full((height, width, 3), (96, 104, 100), np.uint8)
    for _ in range(24):
        corner = (random.uniform(-0.1, 0.9, 2) * (width, height)).astype(int)
        far = corner + (random.uniform(0.05, 0.35, 2) * (width, height)).astype(int)
        color = random.integers(60, 150, 3).tolist()
        cv2.rectangle(image, corner.tolist(), far.tolist(), color, -1)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(1.0, height / 240)), np.uint8)
