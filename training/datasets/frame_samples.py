"""Loads rows of a frame table as tensors: images cropped as at run time, labels, masks, audio.

    samples = FrameSamples(table, SampleConfig(size_px=112, audio="around"))
    for batch in samples.load(sampler.steps(epoch)): ...

Images with landmarks are aligned by them, images with a box are cropped around it, and stored
crops are only resized. Images are in 0..1; normalization is left to the recipe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceaffect.geometry import (
    estimate_crop_to_frame,
    invert_transforms,
    keypoints_from_landmarks,
    rescale_transforms,
    transform_points,
)
from faceaffect.kernels import crop_face
from faceaffect.types import Frame
from training.audio.mel_track import MelTrack, MelTracks
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable
from training.datasets.sampling.step import Part, Step


@dataclass(frozen=True, slots=True)
class SampleConfig:
    """Form of the samples.

    Attributes:
        size_px: side of the images.
        box_margin: margin around a box, as a fraction of its longer side, without landmarks.
        audio: "around" takes `before_s` and `after_s` around the (last) frame; "between" takes the
            interval of a window of frames, resized to `audio_frames`.
    """

    size_px: int = 112
    box_margin: float = 0.25
    audio: Literal["none", "around", "between"] = "none"
    before_s: float = 5.0
    after_s: float = 5.0
    audio_frames: int = 100


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One frame, or a clip of T frames; masked values are 0."""

    image: Tensor  # [3, S, S], or [T, 3, S, S]; 0..1, RGB
    audio: Tensor | None  # [1, bands, frames]
    landmarks: Tensor | None  # [68, 2] pixels of the image, NaN where unknown; or [T, 68, 2]
    au: Tensor  # [12], or [T, 12]
    expression: Tensor  # int64 [], or [T]
    va: Tensor  # [2], or [T, 2]
    au_mask: Tensor  # bool [12], or [T, 12]
    mask: Tensor  # bool [3] AU, EXPR, VA; or [T, 3]
    video: str
    frame: int
    source: str


class FrameSamples:
    """Loads rows of a table.

    A row of -1 (`windows.NO_FRAME`) or without an image is black and unlabeled.
    """

    def __init__(
        self, table: FrameTable, config: SampleConfig | None = None, tracks: MelTracks | None = None
    ) -> None:
        self.table = table
        self.config = config or SampleConfig()
        self._tracks = tracks or MelTracks()
        self._has_crop = table.has_crop

    def sample(self, rows: int | NDArray[np.int64]) -> Sample:
        """One row, or the rows of a clip [T]."""
        clip = np.asarray(rows, np.int64)
        batch = self.batch(clip[None])
        known = clip[clip >= 0]
        if not known.size:
            raise ValueError("expected at least one frame, got none")
        last = int(known.ravel()[-1])
        masks = torch.stack(
            [batch["au_mask"][0].any(-1), batch["expression_mask"][0], batch["va_mask"][0]], -1
        )
        return Sample(
            image=batch["image"][0],
            audio=batch["audio"][0] if "audio" in batch else None,
            landmarks=batch["landmarks"][0] if "landmarks" in batch else None,
            au=batch["au"][0],
            expression=batch["expression"][0],
            va=batch["va"][0],
            au_mask=batch["au_mask"][0],
            mask=masks,
            video=self.table.videos[self.table.video[last]],
            frame=int(self.table.frame[last]),
            source=self.table.sources[self.table.video[last]],
        )

    def batch(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Tensors of rows [B] or clips [B, T].

        Returns:
            image [..., 3, S, S]; au, au_mask [..., 12]; expression, expression_mask [...];
            va [..., 2], va_mask [...]; is_frame [...]; row [...]; landmarks [..., 68, 2] if the
            table has any; with audio, audio [B, 1, bands, F] and has_audio [B].
        """
        table, rows = self.table, np.asarray(rows, np.int64)
        is_frame = (rows >= 0) & self._has_crop[rows]
        flat = np.where(is_frame, rows, -1).ravel()
        images = np.zeros((flat.size, 3, self.config.size_px, self.config.size_px), np.float32)
        points = np.full((flat.size, 68, 2), np.nan, np.float32)
        for k, row in enumerate(flat.tolist()):
            if row >= 0:
                images[k], points[k] = self._image(row)
        batch = {
            "image": torch.from_numpy(images.reshape(*rows.shape, *images.shape[1:])),
            "is_frame": torch.from_numpy(is_frame),
            "row": torch.from_numpy(rows.copy()),
        }
        for name in ("au", "expression", "va"):
            mask = getattr(table, f"{name}_mask")[rows]
            mask = mask & (is_frame[..., None] if name == "au" else is_frame)
            values = getattr(table, name)[rows]
            values = np.where(mask if name != "va" else mask[..., None], values, 0)
            dtype = np.int64 if name == "expression" else np.float32
            batch[name] = torch.from_numpy(values.astype(dtype))
            batch[f"{name}_mask"] = torch.from_numpy(mask)
        if table.landmarks_xy is not None:
            batch["landmarks"] = torch.from_numpy(points.reshape(*rows.shape, 68, 2))
        if self.config.audio != "none":
            windows = [self._audio(clip) for clip in rows.reshape(len(rows), -1)]
            batch["audio"] = torch.from_numpy(np.stack([window for window, _ in windows])[:, None])
            batch["has_audio"] = torch.tensor([has_audio for _, has_audio in windows])
        return batch

    def load(
        self, steps: Iterator[Step], workers: int = 2
    ) -> Iterator[list[tuple[Part, dict[str, Tensor]]]]:
        """Parts of each step with their batches, in order, prefetched by threads."""
        with ThreadPoolExecutor(max(workers, 1)) as pool:
            pending: deque[Future[list[tuple[Part, dict[str, Tensor]]]]] = deque()
            for step in steps:
                pending.append(
                    pool.submit(lambda s: [(part, self.batch(part.rows)) for part in s.parts], step)
                )
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _image(self, row: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        path = self.table.path_of(row)
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise BrokenFileError(str(path), None, "cannot be decoded as an image")
        pixels = np.asarray(bgr, np.uint8)
        crop_to_frame = self._crop_map(row, pixels.shape[1], pixels.shape[0])
        frame = Frame(pixels, source=str(path))
        crop = crop_face(
            frame,
            crop_to_frame,
            size_px=self.config.size_px,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        )[0]
        points = np.full((68, 2), np.nan, np.float32)
        if self.table.landmarks_xy is not None:
            points = transform_points(
                invert_transforms(crop_to_frame), self.table.landmarks_xy[row][None]
            )[0]
        return crop, points

    def _crop_map(self, row: int, width_px: int, height_px: int) -> NDArray[np.float32]:
        """Crop-to-image map [1, 2, 3]."""
        table, size = self.table, self.config.size_px
        if table.landmarks_xy is not None and np.isfinite(table.landmarks_xy[row]).all():
            return rescale_transforms(
                estimate_crop_to_frame(keypoints_from_landmarks(table.landmarks_xy[row][None])),
                size,
            )
        if table.box is not None and np.isfinite(table.box[row]).all():
            x1, y1, x2, y2 = table.box[row].tolist()
            side = max(x2 - x1, y2 - y1) * (1 + self.config.box_margin)
            return _square((x1 + x2) / 2, (y1 + y2) / 2, side, size)
        return _square(width_px / 2, height_px / 2, min(width_px, height_px), size)

    def _audio(self, clip: NDArray[np.int64]) -> tuple[NDArray[np.float32], bool]:
        """Mel window [bands, F] of a clip of rows and whether it has audio; silence if not."""
        config = self.config
        known = clip[clip >= 0]
        path = self.table.media_of(int(known[-1])) if len(known) else None
        offsets = self.table.audio_offset_s[known]
        track = (
            self._tracks.get(path)
            if path is not None and np.isfinite(offsets).all() and len(offsets)
            else None
        )
        if track is None:
            frames = config.audio_frames
            if config.audio == "around":
                hop_s = self._tracks.config.hop_s
                frames = round(config.before_s / hop_s) + round(config.after_s / hop_s) + 1
            return MelTrack(
                np.zeros((0, self._tracks.config.bands), np.float32), self._tracks.config
            ).silence(frames), False
        if config.audio == "around":
            return track.window_around(float(offsets[-1]), config.before_s, config.after_s), True
        step = float(np.median(np.diff(offsets))) if len(offsets) > 1 else 0.0
        step = step if step > 0 else 0.04
        return track.window_between(
            float(offsets[0]), float(offsets[-1]) + step, config.audio_frames
        ), True


def _square(x: float, y: float, side: float, size_px: int) -> NDArray[np.float32]:
    """Crop-to-image map [1, 2, 3] of an axis-aligned square about (x, y).

    `x` and `y` are measured from the image edges, not from pixel centers.
    """
    scale = side / size_px
    shift = -side / 2 + 0.5 * scale - 0.5
    return np.array([[[scale, 0, x + shift], [0, scale, y + shift]]], np.float32)
