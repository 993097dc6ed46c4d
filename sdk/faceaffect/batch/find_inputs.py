"""Expands files, glob patterns, folders and remote addresses to the inputs of a batch."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Final

from faceaffect.batch.file_task import Input
from faceaffect.batch.remote_files import is_remote, list_remote
from faceaffect.sources.image_files import is_image
from faceaffect.sources.patterns import is_glob
from faceaffect.sources.natural_sort import natural_sort_key
from faceaffect.sources.source import SourceError

VIDEO_SUFFIXES: Final = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "flv", "gif", "m2ts", "m4v", "mjpg", "mkv", "mov"),
        *("mp4", "mpeg", "mpg", "mts", "mxf", "ogv", "ts", "vob", "webm", "wmv"),
    )
)


def find_inputs(uris: Iterable[str]) -> list[Input]:
    """List the inputs of files, patterns, folders and addresses (s3://bucket/path/**/*.mp4).

    A pattern or a folder gives one input per video below it, named by its path from there; a
    folder without videos gives one input per folder of images. A name does not depend on the other
    inputs.

    Returns:
        Inputs in order, each once.

    Raises:
        SourceError: If there are none, or two of them would write one output file.
    """
    inputs = [one for uri in uris for one in _expand(uri)]
    uri_by_name: dict[str, str] = {}
    for one in inputs:
        other = uri_by_name.setdefault(one.name, one.uri)
        if other != one.uri:
            raise SourceError(
                f"{other} and {one.uri} would both be written to {one.name}; pass the folder above"
                " both, or use two runs with two output folders"
            )
    return list(dict.fromkeys(inputs))


def _expand(uri: str) -> list[Input]:
    if is_remote(uri):
        inputs = list_remote(uri, _is_video)
    else:
        path = Path(uri.removeprefix("file://"))
        if path.is_dir():
            inputs = _expand_folder(path)
        elif is_glob(str(path)) and not path.exists():
            inputs = _expand_pattern(path)
        else:  # a missing file is an input too: it fails alone, not the run
            inputs = [Input(str(path), path.name)]
    if not inputs:
        raise SourceError(f"{uri}: expected videos, found none; check the path or the pattern")
    return inputs


def _expand_pattern(pattern: Path) -> list[Input]:
    root = Path(*takewhile(lambda part: not is_glob(part), pattern.parts))
    matches = sorted(map(Path, glob.glob(str(pattern), recursive=True)), key=natural_sort_key)
    if matches and all(is_image(match) for match in matches if match.is_file()):
        if any(match.is_file() for match in matches):
            return [Input(str(pattern), root.name or "images")]
        return [one for match in matches for one in _image_folders(match, root)]
    return [
        Input(str(match), _relative_name(match, root))
        for match in matches
        if (match.is_file() or _is_dangling_link(match)) and not is_image(match)
    ]


def _expand_folder(folder: Path) -> list[Input]:
    paths = sorted(
        (path for path in folder.rglob("*") if not _is_hidden(path, folder)), key=natural_sort_key
    )
    # A dangling link is an input too: it fails by name, while a skipped one would not be noticed.
    videos = [
        path
        for path in paths
        if _is_video(path.name) and (path.is_file() or _is_dangling_link(path))
    ]
    if videos:
        return [Input(str(path), _relative_name(path, folder)) for path in videos]
    return _image_folders(folder, folder)


def _image_folders(folder: Path, root: Path) -> list[Input]:
    subfolders = sorted((path for path in folder.rglob("*") if path.is_dir()), key=natural_sort_key)
    return [
        Input(str(path), folder.name if path == root else _relative_name(path, root))
        for path in (folder, *subfolders)
        if any(is_image(entry) for entry in path.iterdir())
    ]


def _is_video(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _is_dangling_link(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _relative_name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
