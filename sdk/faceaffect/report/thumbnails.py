"""Small images of faces, cropped from the source files."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from faceaffect.report.track_stats import TrackKey, TrackStats
from faceaffect.sources.image_files import is_image
from faceaffect.sources.read_image import read_image
from faceaffect.sources.source import SourceError
from faceaffect.sources.video_file import read_frame_at
from faceaffect.system.import_opencv import import_opencv

_SIDE_PX: Final = 112
_MARGIN_FACTOR: Final = 1.45  # side of the thumbnail / longer side of the face's box
_MAX_NAMED: Final = 3


def extract_thumbnails(tracks: Iterable[TrackStats], notes: list[str]) -> dict[TrackKey, str]:
    """Crop each track's face from its frame of the highest quality.

    Args:
        tracks: Tracks to make thumbnails of.
        notes: Receives a line naming the tracks whose thumbnails could not be made.

    Returns:
        JPEG images as `data:` URLs.
    """
    thumbnails: dict[TrackKey, str] = {}
    missing: list[str] = []
    for track in tracks:
        path = Path(track.best.file)
        try:
            image = (
                read_image(path)[0] if is_image(path) else read_frame_at(path, track.best.time_s)
            )
        except SourceError:
            image = None
        thumbnail = None if image is None else _crop(image, track.best.box_xyxy)
        if thumbnail is None:
            missing.append(f"face {track.key[2]} of {path}")
        else:
            thumbnails[track.key] = thumbnail
    if missing:
        others = len(missing) - _MAX_NAMED
        names = ", ".join(missing[:_MAX_NAMED]) + (f" and {others} more" if others > 0 else "")
        notes.append(f"no thumbnail of {names}: the source file is missing or has changed")
    return thumbnails


def _crop(image: Any, box_xyxy: tuple[float, ...]) -> str | None:
    if not np.isfinite(box_xyxy).all():
        return None
    cv2 = import_opencv()
    x1, y1, x2, y2 = box_xyxy
    scale = _SIDE_PX / (_MARGIN_FACTOR * max(x2 - x1, y2 - y1, 1.0))
    shift = [_SIDE_PX / 2 - scale * (low + high) / 2 for low, high in ((x1, x2), (y1, y2))]
    if scale < 0.5:  # bilinear sampling alone would alias on a large face
        image = cv2.resize(image, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        scale = 0.5
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    thumbnail = cv2.warpAffine(
        image, matrix, (_SIDE_PX, _SIDE_PX), flags=cv2.INTER_LINEAR, borderValue=(40, 40, 40)
    )
    is_encoded, data = cv2.imencode(".jpg", thumbnail, [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not is_encoded:
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
