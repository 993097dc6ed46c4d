"""Extracts the frames of a video to numbered images, for datasets published as videos."""

from __future__ import annotations

import os
from pathlib import Path

import cv2

from faceaffect.audio.open_media import UnreadableMediaError, open_media


def extract_frames(video: Path, folder: Path) -> int:
    """Write every frame to `folder/NNNNN.png` from 00001 and return the number of frames.

    The folder is created once all frames are written; if it exists, its images are counted and
    nothing is written.

    Raises:
        UnreadableMediaError: there is no video track or no frame can be decoded.
        OSError: an image cannot be written.
    """
    if folder.is_dir():
        return len(list(folder.glob("*.png")))
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    count = 0
    with open_media(video) as container:
        if not container.streams.video:
            raise UnreadableMediaError(f"{video} has no video track")
        for frame in container.decode(container.streams.video[0]):
            count += 1
            path = partial / f"{count:05d}.png"
            if not cv2.imwrite(str(path), frame.to_ndarray(format="bgr24")):
                raise OSError(f"{path} cannot be written")
    if not count:
        raise UnreadableMediaError(f"{video} has no frame that can be read")
    os.replace(partial, folder)
    return count
