"""From the name of an overlay to the sink that writes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faceaffect.sinks.sink import OverwritePolicy, SinkError
from faceaffect.sources.source import Source
from faceaffect.system.path_text import is_utf8, to_utf8_text

if TYPE_CHECKING:
    from faceaffect.sinks.background_overlay import BackgroundOverlay

_IMAGES: Final = (".png", ".jpg", ".jpeg")
_VIDEOS: Final = (".mp4", ".webm", ".avi", ".mkv")


def open_overlay(
    path: Path,
    source: Source,
    when_existing: OverwritePolicy,
    au_thresholds: tuple[float, ...],
    *,
    stem: str = "",
    inputs: Sequence[str] = (),
) -> BackgroundOverlay:
    """Open a video, an image, or (for a path without suffix) a folder that takes one of these as
    `stem`, which is the source's own where none is given. Raises SinkError, also where one of
    the `inputs` would be written over.

    An encoded video cannot be gone on with, so a resumed run writes its frames to
    `<name>.part2.mp4` and so on.
    """
    from faceaffect.drawing.annotator import FaceAnnotator
    from faceaffect.sinks.background_overlay import BackgroundOverlay
    from faceaffect.sinks.overlay_images import OverlayFolder, OverlayImage, make_folder
    from faceaffect.sinks.overlay_sink import OverlaySink
    from faceaffect.sinks.overlay_video import OverlayVideo

    is_one_image = source.frame_count == 1 and source.fps is None and not source.is_live
    if not path.suffix:
        make_folder(path)
        stem = stem or _stem(source.name)
        if not source.is_sequence and not is_one_image:
            return BackgroundOverlay(OverlayFolder(path / stem), FaceAnnotator(au_thresholds))
        path = path / f"{stem}{'.png' if is_one_image else '.mp4'}"
    path = _free_path(path, when_existing)
    if path.exists() and any(
        Path(one).exists() and path.samefile(one) for one in (source.name, *inputs)
    ):
        raise SinkError(
            f"{path}: this is an input, which would be written over; choose another --overlay"
        )
    sink: OverlaySink
    if path.suffix.lower() in _IMAGES:
        if not is_one_image:
            raise SinkError(
                f"{path}: an image can show one image only; for {source.name} use .mp4 or a folder"
            )
        sink = OverlayImage(path)
    else:
        sink = OverlayVideo(path, source.fps)
    return BackgroundOverlay(sink, FaceAnnotator(au_thresholds))


def overlay_stems(sources: Sequence[str]) -> dict[str, str]:
    """A name in the overlay folder for each source; of those that are called the same, all but the
    first get a number.
    """
    stems: dict[str, str] = {}
    for source in sources:
        stem, number = _stem(source), 1
        while (numbered := stem if number == 1 else f"{stem}_{number}") in stems.values():
            number += 1
        stems[source] = numbered
    return stems


def _stem(source: str) -> str:
    return to_utf8_text(Path(source).stem) or "source"


def check_overlay(path: Path, source_count: int, when_existing: OverwritePolicy) -> None:
    """Raise SinkError for an overlay that could not be written, and change nothing."""
    if path.suffix and path.suffix.lower() not in (*_IMAGES, *_VIDEOS):
        raise SinkError(
            f"{path}: --overlay must end in {', '.join((*_VIDEOS, *_IMAGES))}, or be a folder (no suffix)"
        )
    if path.suffix and source_count > 1:
        raise SinkError(
            f"{path}: one overlay file cannot show {source_count} sources; give a folder (no suffix)"
        )
    if not is_utf8(str(path)):
        raise SinkError(
            f"{to_utf8_text(str(path))}: --overlay must be a name in UTF-8, which OpenCV needs; choose another"
        )
    parent = path.absolute().parent
    if path.suffix and not parent.is_dir():
        raise SinkError(f"{path}: the folder {parent} does not exist; create it or choose another")
    there = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    if (
        bool(path.suffix and path.is_dir())
        or (there.is_file() and not path.suffix)
        or not os.access(there, os.W_OK)
    ):
        raise SinkError(
            f"{path}: this cannot be written (in the way, or no permission: {there}); choose another --overlay"
        )
    _free_path(path, when_existing)


def _free_path(path: Path, when_existing: OverwritePolicy) -> Path:
    if not path.is_file() or when_existing is OverwritePolicy.OVERWRITE:
        return path
    if when_existing is OverwritePolicy.REFUSE:
        raise SinkError(
            f"{path}: exists already; use --overwrite to replace it or choose another --overlay"
        )
    part = 2
    while (numbered := path.with_name(f"{path.stem}.part{part}{path.suffix}")).exists():
        part += 1
    return numbered
