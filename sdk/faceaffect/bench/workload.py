"""Videos to analyze: the user's, or one made for a frame size and a number of faces."""

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
from faceaffect.kernels.color_conversion import as_bgr_frame, to_bgr
from faceaffect.sinks.overlay_video import OverlayVideo, fit_into
from faceaffect.sources import open_source
from faceaffect.types import Frame

FPS: Final = 30.0
SYNTHETIC_SIZE: Final = (640, 360)
_PERIOD_FRAMES: Final = 24  # of the expression of a synthetic face
_MAX_FRAME_BYTES: Final = 256 << 20  # of all frames in memory
_MAX_TILE_FRACTION: Final = 0.75  # of the image's height
_MIN_FACE_FRACTION: Final = 0.55  # of a tile's side

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Workload:
    """A video file; `description` tells how it was made."""

    path: str
    size: tuple[int, int]
    fps: float
    description: str


def make_workload(
    source: str | None, configuration: Configuration, frames: int, folder: Path
) -> Workload:
    """Return the video of a configuration.

    Args:
        source: Video, images or camera; None: synthetic faces.
        configuration: If `num_faces` is set, the face of `source` is tiled that many times.
        frames: Number of frames of a new video.
        folder: Receives a new video, unless `source` itself fits the configuration.

    Raises:
        BenchError: The configuration cannot be met.
        SourceError: `source` cannot be read.
    """
    size = configuration.size
    num_faces = configuration.num_faces
    if source is None:
        size = size or SYNTHETIC_SIZE
        num_faces = 1 if num_faces is None else num_faces
        tiles = _synthetic_tiles(frames, num_faces, _tile_side_px(size, num_faces, configuration))
        images = _compose(tiles, size, num_faces)
        description = f"{num_faces} synthetic face{'s' if num_faces > 1 else ''}"
    else:
        name = Path(source).name
        clip = read_frames(source, frames)
        source_size = (clip[0].width_px, clip[0].height_px)
        if num_faces is not None:
            size = size or source_size
            side_px = _tile_side_px(size, num_faces, configuration)
            images = _compose(_cropped_tiles(clip, num_faces, side_px, source), size, num_faces)
            description = f"the face of {name}, {num_faces} times"
        elif size in (None, source_size) and (fps := _file_fps(source)) is not None:
            return Workload(source, source_size, fps, name)
        else:
            size = target_size = size or source_size
            images = (fit_into(to_bgr(frame), target_size) for frame in clip)
            is_scaled = size != source_size
            description = name + (
                f", scaled from {source_size[0]}x{source_size[1]}" if is_scaled else ""
            )
    path = folder / f"workload_{size[0]}x{size[1]}_{num_faces or 'source'}.mp4"
    if not path.exists():  # another configuration of this run may share it
        _encode(images, path)
    return Workload(str(path), size, FPS, f"{description} (MPEG-4 part 2, made for this run)")


def read_frames(source: str, count: int) -> list[Frame]:
    """Read the first `count` frames, or as many as fit in memory, as BGR.

    Raises:
        BenchError: There is no frame.
        SourceError: The source cannot be read.
    """
    frames: list[Frame] = []
    with open_source(source) as opened:
        for frame in opened:
            frames.append(as_bgr_frame(frame))
            if len(frames) >= max_frames_in_memory(frames[0], count):
                break
    if not frames:
        raise BenchError(f"{source}: expected at least one frame, got none; try to play the video")
    return frames


def max_frames_in_memory(frame: Frame, count: int) -> int:
    """Return how many of `count` frames like this one fit in memory."""
    nbytes = frame.pixels.nbytes + sum(plane.nbytes for plane in frame.chroma or ())
    return min(count, max(2, _MAX_FRAME_BYTES // nbytes))


def play_frames(frames: list[Frame], count: int, fps: float) -> Iterator[Frame]:
    """Yield `count` frames with continuous timestamps.

    They are played forwards and backwards in turn, so that the end of the clip is no shot change.
    """
    for index in range(count):
        yield replace(ping_pong(frames, index), time_s=index / fps, index=index)


def ping_pong(items: Sequence[_Item], index: int) -> _Item:
    """Return item `index` of a list that is played forwards and backwards in turn."""
    period = max(1, 2 * len(items) - 2)
    step = index % period
    return items[step if step < len(items) else period - step]


def _file_fps(source: str) -> float | None:
    """Return the frame rate of a video file; None for other sources, which cannot be reread."""
    with open_source(source) as opened:
        is_video = not opened.is_live and opened.is_sequence and Path(source).is_file()
        return (opened.fps or FPS) if is_video else None


def _encode(images: Iterator[Image], path: Path) -> None:
    video = OverlayVideo(path, FPS)
    try:
        for index, image in enumerate(images):
            video.write(Frame(image, time_s=index / FPS, index=index), image)
    finally:
        video.close()


def _num_columns(size: tuple[int, int], num_faces: int) -> int:
    """Return the number of columns for which square tiles are largest."""
    return max(
        range(1, num_faces + 1),
        key=lambda columns: min(size[0] / columns, size[1] / math.ceil(num_faces / columns)),
    )


def _tile_side_px(size: tuple[int, int], num_faces: int, configuration: Configuration) -> int:
    """Return the side of a tile; raises BenchError if its face would be too small to detect."""
    if num_faces < 1 or min(size) < 32:
        raise BenchError(
            f"expected at least 1 face and 32x32 pixels, "
            f"got {num_faces} faces at {size[0]}x{size[1]}"
        )
    columns = _num_columns(size, num_faces)
    cell_px = min(size[0] / columns, size[1] / math.ceil(num_faces / columns))
    side_px = int(min(0.94 * cell_px, _MAX_TILE_FRACTION * size[1]))
    if _MIN_FACE_FRACTION * side_px < configuration.min_face_size_px:
        raise BenchError(
            f"{num_faces} faces of at least {configuration.min_face_size_px} px do not fit into "
            f"{size[0]}x{size[1]}; use a larger --size, a smaller --num-faces or a smaller "
            "--min-face-size"
        )
    return side_px


_Tile = tuple[Image, Any]
"""Premultiplied BGR [S, S, 3] and alpha [S, S, 1]."""


def _synthetic_tiles(frames: int, num_faces: int, side_px: int) -> Iterator[list[_Tile]]:
    """Yield the tiles of each frame: four persons, each some frames behind the previous."""
    num_persons = min(num_faces, 4)
    phases = [index / _PERIOD_FRAMES for index in range(_PERIOD_FRAMES)]
    expressions = [SyntheticExpression.at(phase) for phase in phases]
    images = [
        [draw_face(person, expression, side_px) for expression in expressions]
        for person in range(num_persons)
    ]
    for index in range(frames):
        tiles = []
        for face in range(num_faces):
            image, alpha = images[face % num_persons][(index + 5 * face) % _PERIOD_FRAMES]
            tiles.append((image, alpha[..., None]))
        yield tiles


def _cropped_tiles(
    clip: list[Frame], num_faces: int, side_px: int, source: str
) -> Iterator[list[_Tile]]:
    """Yield crops around the clip's first face; every other tile is mirrored."""
    positions = _face_positions(clip, source)
    scale = side_px * _MIN_FACE_FRACTION / float(np.median(positions[:, 2]))
    middle = (side_px - 1) / 2
    opaque = np.ones((side_px, side_px, 1), np.float32)
    crops = []
    for frame, (x, y, _) in zip(clip, positions.tolist(), strict=True):
        frame_to_tile = np.array(
            [[scale, 0, middle - scale * x], [0, scale, middle - scale * y]], np.float32
        )
        image = cv2.warpAffine(
            to_bgr(frame), frame_to_tile, (side_px, side_px), borderMode=cv2.BORDER_REPLICATE
        )
        crops.append(np.asarray(image, np.uint8))
    for index in range(len(clip)):
        tiles: list[_Tile] = []
        for face in range(num_faces):
            crop = ping_pong(crops, index + 7 * face)
            tiles.append((np.asarray(crop[:, ::-1] if face % 2 else crop, np.uint8), opaque))
        yield tiles


def _face_positions(clip: list[Frame], source: str) -> Any:
    """Return x, y and height [F, 3] of the first face, interpolated where it is not detected."""
    from faceaffect.pipeline import open_pipeline

    indices = []
    positions = []
    with open_pipeline(max_faces=1) as pipeline:
        for index, frame in enumerate(clip):
            faces, _ = pipeline.analyze(frame)
            if len(faces):
                x1, y1, x2, y2 = faces.box_xyxy[0].tolist()
                indices.append(index)
                positions.append(((x1 + x2) / 2, (y1 + y2) / 2, y2 - y1))
    if not indices:
        raise BenchError(
            f"{source}: --num-faces needs a clip with a face, got none in {len(clip)} frames"
        )
    known = np.array(positions)
    frames = np.arange(len(clip))
    return np.stack([np.interp(frames, indices, known[:, k]) for k in range(3)], axis=1)


def _compose(
    tiles_of_frames: Iterator[list[_Tile]], size: tuple[int, int], num_faces: int
) -> Iterator[Image]:
    """Yield frames with the tiles in a grid, each swaying a little."""
    width, height = size
    columns = _num_columns(size, num_faces)
    rows = math.ceil(num_faces / columns)
    background = _background(width, height)
    for index, tiles in enumerate(tiles_of_frames):
        image = background.copy()
        for face, (tile, alpha) in enumerate(tiles):
            side = len(tile)
            sway = 0.025 * side
            phase = 2 * math.pi * (index / _PERIOD_FRAMES + face / 7)
            x = (face % columns + 0.5) * width / columns - side / 2 + sway * math.sin(phase)
            y = (face // columns + 0.5) * height / rows - side / 2 + sway * math.cos(phase)
            left = round(min(max(x, 0), width - side))
            top = round(min(max(y, 0), height - side))
            region = image[top : top + side, left : left + side]
            region[:] = np.minimum(region * (1 - alpha) + tile, 255).astype(np.uint8)
        yield image


def _background(width: int, height: int) -> Image:
    """Return a fixed background with edges: an empty one would be too easy for the detector."""
    random = np.random.default_rng(20)
    image = np.full((height, width, 3), (96, 104, 100), np.uint8)
    for _ in range(24):
        corner = (random.uniform(-0.1, 0.9, 2) * (width, height)).astype(int)
        opposite = corner + (random.uniform(0.05, 0.35, 2) * (width, height)).astype(int)
        color = random.integers(60, 150, 3).tolist()
        cv2.rectangle(image, corner.tolist(), opposite.tolist(), color, -1)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(1.0, height / 240)), np.uint8)
