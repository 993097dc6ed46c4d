"""Opens the overlay sink that a path asks for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from faceaffect.sinks.sink import OverwritePolicy, SinkError
from faceaffect.sources.source import Source
from faceaffect.system.path_text import is_utf8, to_utf8_text

if TYPE_CHECKING:
    from faceaffect.drawing.annotator import OverlayStyle
    from faceaffect.sinks.background_overlay import BackgroundOverlay

_IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg")
# Those of overlay_video.VIDEO_CODECS, which is imported only for drawing (it needs OpenCV).
_VIDEO_SUFFIXES: Final = (".mp4", ".webm", ".avi", ".mkv")


def open_overlay(
    path: Path,
    source: Source,
    if_exists: OverwritePolicy,
    au_thresholds: tuple[float, ...],
    *,
    style: OverlayStyle = "panel",
    blur_faces: bool = False,
    stem: str = "",
    inputs: Sequence[str] = (),
) -> BackgroundOverlay:
    """Open an overlay sink.

    Args:
        path: a video, an image, or (without a suffix) a folder that receives one of these.
        source: the source whose frames are drawn.
        if_exists: what to do with an existing file. An encoded video cannot be continued, so a
            resumed run writes its frames to `<name>.part2.mp4` and so on.
        au_thresholds: thresholds [12] that the bars mark.
        style: see `FaceAnnotator`.
        blur_faces: whether faces are made unrecognizable.
        stem: name of the file in the folder; the source's own if empty.
        inputs: files that must not be overwritten.

    Raises:
        SinkError: the overlay cannot be written, or is one of `inputs`.
    """
    from faceaffect.drawing.annotator import FaceAnnotator
    from faceaffect.sinks.background_overlay import BackgroundOverlay
    from faceaffect.sinks.overlay_images import (
        OverlayFolder,
        OverlayImage,
        make_folder,
        require_not_an_input,
    )
    from faceaffect.sinks.overlay_sink import OverlaySink
    from faceaffect.sinks.overlay_video import OverlayVideo, default_suffix

    annotator = FaceAnnotator(au_thresholds, style=style, blur_faces=blur_faces)
    is_single_image = source.frame_count == 1 and source.fps is None and not source.is_live
    if not path.suffix:
        make_folder(path)
        stem = stem or _stem(source.name)
        if not source.is_sequence and not is_single_image:
            return BackgroundOverlay(OverlayFolder(path / stem), annotator)
        path = path / f"{stem}{'.png' if is_single_image else default_suffix()}"
    path = _free_path(path, if_exists)
    require_not_an_input(path, [source.name, *inputs])
    sink: OverlaySink
    if path.suffix.lower() in _IMAGE_SUFFIXES:
        if not is_single_image:
            raise SinkError(
                f"{path}: an image can show one image only; for {source.name} use .mp4 or a folder"
            )
        sink = OverlayImage(path)
    else:
        sink = OverlayVideo(path, source.fps, _audio_file(source))
    return BackgroundOverlay(sink, annotator)


def _audio_file(source: Source) -> Path | None:
    """Return the file of a source that may have audio."""
    path = Path(source.name.removeprefix("file://"))
    return None if source.is_live or not path.is_file() else path


def overlay_stems(sources: Sequence[str]) -> dict[str, str]:
    """Return a unique file name, without suffix, in the overlay folder for each source."""
    stems: dict[str, str] = {}
    for source in sources:
        stem, number = _stem(source), 1
        while (numbered := stem if number == 1 else f"{stem}_{number}") in stems.values():
            number += 1
        stems[source] = numbered
    return stems


def _stem(source: str) -> str:
    return to_utf8_text(Path(source).stem) or "source"


def check_overlay(path: Path, source_count: int, if_exists: OverwritePolicy) -> None:
    """Check that an overlay can be written, without changing anything.

    Raises:
        SinkError: it cannot.
    """
    suffixes = (*_VIDEO_SUFFIXES, *_IMAGE_SUFFIXES)
    if path.suffix and path.suffix.lower() not in suffixes:
        raise SinkError(
            f"{path}: --overlay must end in {', '.join(suffixes)}, or be a folder (no suffix)"
        )
    if path.suffix and source_count > 1:
        raise SinkError(
            f"{path}: one overlay file cannot show {source_count} sources; "
            "choose a folder (no suffix)"
        )
    if not is_utf8(str(path)):
        raise SinkError(
            f"{to_utf8_text(str(path))}: --overlay must be a name in UTF-8, which FFmpeg needs; "
            "choose another"
        )
    parent = path.absolute().parent
    if path.suffix and not parent.is_dir():
        raise SinkError(f"{path}: the folder {parent} does not exist; create it or choose another")
    nearest = next(entry for entry in (path.absolute(), *path.absolute().parents) if entry.exists())
    is_blocked = path.is_dir() if path.suffix else nearest.is_file()
    if is_blocked or not os.access(nearest, os.W_OK):
        raise SinkError(
            f"{path}: cannot be written ({nearest} is in the way, or no permission); "
            "choose another --overlay"
        )
    _free_path(path, if_exists)


def _free_path(path: Path, if_exists: OverwritePolicy) -> Path:
    if not path.is_file() or if_exists is OverwritePolicy.OVERWRITE:
        return path
    if if_exists is OverwritePolicy.REFUSE:
        raise SinkError(
            f"{path}: exists already; use --overwrite to replace it or choose another --overlay"
        )
    part = 2
    while (numbered := path.with_name(f"{path.stem}.part{part}{path.suffix}")).exists():
        part += 1
    return numbered
