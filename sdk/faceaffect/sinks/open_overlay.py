"""From the name of an overlay to the sink that writes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from faceaffect.sinks.sink import SinkError, WhenExisting
from faceaffect.sources.source import Source

if TYPE_CHECKING:
    from faceaffect.sinks.background_overlay import BackgroundOverlay

_PICTURES: Final = (".png", ".jpg", ".jpeg")
_VIDEOS: Final = (".mp4", ".webm", ".avi", ".mkv")


def open_overlay(
    path: Path, source: Source, when_existing: WhenExisting, au_thresholds: tuple[float, ...]
) -> BackgroundOverlay:
    """Open a video, a picture, or (for a path without suffix) a folder that takes one of these. Raises SinkError.

    An encoded video cannot be gone on with, so a resumed run writes its frames to `<name>.part2.mp4` and so on.
    """
    from faceaffect.overlay import Overlay
    from faceaffect.sinks.background_overlay import BackgroundOverlay
    from faceaffect.sinks.overlay_pictures import OverlayFolder, OverlayPicture, make_folder
    from faceaffect.sinks.overlay_sink import OverlaySink
    from faceaffect.sinks.overlay_video import OverlayVideo

    is_one_picture = source.frame_count == 1 and source.fps is None and not source.is_live
    if not path.suffix:
        make_folder(path)
        stem = Path(source.name).stem or "source"
        if not source.is_sequence and not is_one_picture:
            return BackgroundOverlay(OverlayFolder(path / stem), Overlay(au_thresholds))
        path = path / f"{stem}{'.png' if is_one_picture else '.mp4'}"
    path = _free_path(path, when_existing)
    sink: OverlaySink
    if path.suffix.lower() in _PICTURES:
        if not is_one_picture:
            raise SinkError(f"{path}: a picture can show one picture only; for {source.name} use .mp4 or a folder")
        sink = OverlayPicture(path)
    else:
        sink = OverlayVideo(path, source.fps)
    return BackgroundOverlay(sink, Overlay(au_thresholds))


def check_overlay(path: Path, source_count: int, when_existing: WhenExisting) -> None:
    """Raise SinkError for an overlay that could not be written, and change nothing."""
    if path.suffix and path.suffix.lower() not in (*_PICTURES, *_VIDEOS):
        raise SinkError(f"{path}: --overlay must end in {', '.join((*_VIDEOS, *_PICTURES))}, or be a folder (no suffix)")
    if path.suffix and source_count > 1:
        raise SinkError(f"{path}: one overlay file cannot show {source_count} sources; give a folder (no suffix)")
    if path.suffix and not path.absolute().parent.is_dir():
        raise SinkError(f"{path}: the folder {path.absolute().parent} does not exist; create it or choose another")
    _free_path(path, when_existing)


def _free_path(path: Path, when_existing: WhenExisting) -> Path:
    if not path.is_file() or when_existing is WhenExisting.OVERWRITE:
        return path
    if when_existing is WhenExisting.REFUSE:
        raise SinkError(f"{path}: exists already; use --overwrite to replace it or choose another --overlay")
    part = 2
    while (numbered := path.with_name(f"{path.stem}.part{part}{path.suffix}")).exists():
        part += 1
    return numbered
