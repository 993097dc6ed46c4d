"""A small image of each face, cut from the source that it was seen in."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from faceaffect.report.track_stats import Key, TrackTally
from faceaffect.sources.image_files import is_image
from faceaffect.sources.import_opencv import import_opencv
from faceaffect.sources.read_image import read_image
from faceaffect.sources.source import SourceError
from faceaffect.sources.video_file import read_frame_at

_SIDE_PX: Final = 112
_AROUND_FACE: Final = 1.45  # side of the portrait in longer sides of the face's box


def cut_portraits(tracks: Iterable[TrackTally], notes: list[str]) -> dict[Key, str]:
    """The face of each track at its best quality as a `data:` address; those that cannot be had are
    told in `notes`.
    """
    portraits, missing = {}, list[str]()
    for track in tracks:
        file, _, time_s, box = track.best
        try:
            pixels = (
                read_image(Path(file))[0]
                if is_image(Path(file))
                else read_frame_at(Path(file), time_s)
            )
        except SourceError:
            pixels = None
        portrait = None if pixels is None else _cut(pixels, box)
        if portrait is None:
            missing.append(f"face {track.key[2]} of {file}")
        else:
            portraits[track.key] = portrait
    if missing:
        some = ", ".join(missing[:3]) + (
            f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        )
        notes.append(f"no portrait of {some}: the source is not at hand, or has changed since")
    return portraits


def _cut(pixels: Any, box_xyxy: tuple[float, ...]) -> str | None:
    if not np.isfinite(box_xyxy).all():
        return None
    cv2 = import_opencv()
    x1, y1, x2, y2 = box_xyxy
    scale = _SIDE_PX / (_AROUND_FACE * max(x2 - x1, y2 - y1, 1.0))
    shift = [_SIDE_PX / 2 - scale * (low + high) / 2 for low, high in ((x1, x2), (y1, y2))]
    small = min(1.0, scale)
    if small < 0.5:  # a large face would alias
        pixels = cv2.resize(pixels, None, fx=2 * small, fy=2 * small, interpolation=cv2.INTER_AREA)
        scale = 0.5
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    portrait = cv2.warpAffine(
        pixels, matrix, (_SIDE_PX, _SIDE_PX), flags=cv2.INTER_LINEAR, borderValue=(40, 40, 40)
    )
    done, data = cv2.imencode(".jpg", portrait, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}" if done else None
