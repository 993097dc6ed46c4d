"""Opens containers of video and audio with PyAV: files, pipes and network addresses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from faceaffect.sources.import_pyav import import_pyav
from faceaffect.sources.source import SourceError, SourceOptions

_PLAYLIST_FORMATS: Final = frozenset(["concat", "dash", "hls", "imf", "sdp", "webm_dash_manifest"])
"""FFmpeg's names of formats that name other files or addresses."""
_PLAYLIST_STARTS: Final = (b"#EXTM3U", b"ffconcat version", b"[playlist]", b"v=0\r\n", b"v=0\n")
_PLAYLIST_TAGS: Final = (b"<MPD", b"<playlist", b"<CompositionPlaylist", b"<smil")
_TEXT_ART_CODECS: Final = frozenset(["ansi", "bintext", "idf", "xbin"])
"""Text that FFmpeg would draw as video."""
_HEAD_BYTES: Final = 1024
_NO_TIME_STAMPS: Final = 0x80  # AVFMT_NOTIMESTAMPS
_TIMEOUT_S: Final = 5.0  # of a network address; FFmpeg's default is to wait for ever
_NETWORK_PROTOCOLS: Final = "http,https,httpproxy,tcp,tls,crypto"
_LOCAL_PROTOCOLS: Final = "file,pipe,fd"


def open_file(path: Path, options: SourceOptions) -> Any:
    """Open a file, FIFO or pipe.

    Raises:
        SourceError: it is missing, empty, unreadable, a playlist, or no video.
    """
    _require_media(path, options)
    protocols = f"{_LOCAL_PROTOCOLS},{_NETWORK_PROTOCOLS}" if options.allow_playlists else ""
    settings = {"protocol_whitelist": protocols or _LOCAL_PROTOCOLS}
    # With the protocol in front, nothing in a name is taken for a protocol or a pattern.
    name = f"file:{path.absolute()}"
    container = _open(str(path), name, settings, None, options)
    if options.rate_fps is not None and has_no_time_stamps(container) and path.is_file():
        container.close()
        settings["framerate"] = str(options.rate_fps)
        container = _open(str(path), name, settings, None, options)
    return container


def open_address(
    uri: str, shown_name: str, options: SourceOptions, settings: Mapping[str, str] | None = None
) -> Any:
    """Open a network address.

    Args:
        uri: the address.
        shown_name: the address without its password.
        options: how to read it.
        settings: options of FFmpeg.

    Raises:
        SourceError: it cannot be opened.
    """
    defaults = {} if settings else {"protocol_whitelist": _NETWORK_PROTOCOLS}
    return _open(shown_name, uri, {**defaults, **(settings or {})}, _TIMEOUT_S, options)


def _open(
    shown: str, name: str, settings: dict[str, str], timeout_s: float | None, options: SourceOptions
) -> Any:
    av = import_pyav()
    try:
        container = av.open(name, options=settings, timeout=timeout_s, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(
            f"{shown}: expected a video or image, got one that FFmpeg can open as neither "
            f"({reason}); it may be damaged, cut short or of another type: try to play it, or "
            "convert it to .mp4"
        ) from None
    is_network = timeout_s is not None
    if not options.allow_playlists and not is_network and _is_playlist_format(container):
        container.close()
        raise _playlist_error(shown)
    return container


def _is_playlist_format(container: Any) -> bool:
    return not _PLAYLIST_FORMATS.isdisjoint(container.format.name.split(","))


def _playlist_error(shown: str) -> SourceError:
    return SourceError(
        f"{shown}: expected a video, got a playlist, which names other files; pass those, or allow "
        "it with --playlists (allow_playlists=True)"
    )


def _require_media(path: Path, options: SourceOptions) -> None:
    """Check what can be known of a path without FFmpeg.

    Raises:
        SourceError: there is no such file, or it cannot be video.
    """
    try:
        if not path.exists():
            hint = "the link leads nowhere" if path.is_symlink() else "check the path"
            raise SourceError(f"{path}: no such file; {hint}")
        if path.is_char_device() and not path.is_fifo():
            raise SourceError(f"{path}: expected a video, got a device; pass v4l2://{path}")
        if not path.is_file():
            return
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if not head:
        raise SourceError(
            f"{path}: expected a video, got an empty file (0 bytes); copy or record it again"
        )
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_xml_playlist = start.startswith(b"<") and any(tag in head for tag in _PLAYLIST_TAGS)
    if not options.allow_playlists and (start.startswith(_PLAYLIST_STARTS) or is_xml_playlist):
        raise _playlist_error(str(path))


def has_no_time_stamps(container: Any) -> bool:
    """Return whether a container is a bare stream, as .h264 and .mjpeg are."""
    return bool(int(container.format.flags) & _NO_TIME_STAMPS)


def choose_video_stream(container: Any, number: int | None, shown: str) -> Any:
    """Return the stream to read: FFmpeg's best one that is no cover image.

    Args:
        container: an open container.
        number: index of the stream among all streams; None to choose.
        shown: name for messages.

    Raises:
        SourceError: there is none.
    """
    videos = [stream for stream in container.streams.video if not _is_text_art(stream)]
    if number is not None:
        for stream in videos:
            if stream.index == number:
                return stream
        known = ", ".join(str(stream.index) for stream in videos) or "none"
        raise SourceError(f"{shown}: expected the number of a video stream ({known}), got {number}")
    moving = [stream for stream in videos if not is_attached_picture(stream)]
    if not moving:
        content = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        image = " and a cover image" if videos else ""
        kind = "audio" if container.streams.audio else content
        raise SourceError(f"{shown}: expected a video, got a file with {kind}{image} only")
    best = container.streams.best("video")
    return best if best in moving else moving[0]


def is_attached_picture(stream: Any) -> bool:
    """Return whether a video stream is a cover image."""
    return "attached_pic" in stream.disposition.name if stream.disposition else False


def _is_text_art(stream: Any) -> bool:
    return stream.codec_context is None or stream.codec_context.name in _TEXT_ART_CODECS


def start_s(container: Any) -> float:
    """Return the time of a container's clock at which it starts to play.

    Streams that begin later keep their distance. Samples before 0 only prime an audio decoder.
    """
    microseconds = container.start_time
    if microseconds is None:
        return 0.0
    start = microseconds / 1e6
    videos = [
        float(stream.start_time * stream.time_base)
        for stream in container.streams.video
        if stream.start_time is not None and not is_attached_picture(stream)
    ]
    return float(max(start, min([0.0, *videos]))) if videos else float(start)
