"""From what the user wrote to a list of inputs, each with a name of its own that does not depend on
the others.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from faceaffect.batch.file_task import Input
from faceaffect.batch.remote_files import is_remote, list_remote
from faceaffect.sources.image_files import is_glob, is_image
from faceaffect.sources.natural_sort import natural_sort_key
from faceaffect.sources.source import SourceError

VIDEO_SUFFIXES: Final = frozenset(
    [
        ".3gp",
        ".asf",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mjpg",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
    ]
    + [".ogv", ".ts", ".vob", ".webm", ".wmv"]
)


def find_inputs(uris: Iterable[str]) -> list[Input]:
    """Files, patterns, folders and addresses such as s3://bucket/path/**/*.mp4, each input once, in
    their order.

    A pattern or a folder gives one input per video below it, named by its path from there; a
    folder without videos gives one per folder of images. Raises SourceError where nothing is
    found or two inputs would write one part.
    """
    found = [one for uri in uris for one in _of_uri(uri)]
    by_name: dict[str, str] = {}
    for one in found:
        if by_name.setdefault(one.name, one.uri) != one.uri:
            raise SourceError(
                f"each input must have an output of its own, {by_name[one.name]} and {one.uri} would both be "
                f"{one.name}: give the folder above both, or two runs with two output folders"
            )
    return list(dict.fromkeys(found))


def _of_uri(uri: str) -> list[Input]:
    if is_remote(uri):
        found = list_remote(uri, _is_video)
    else:
        path = Path(uri.removeprefix("file://"))
        if path.is_dir():
            found = _of_folder(path)
        elif is_glob(str(path)) and not path.exists():
            found = _of_pattern(path)
        else:
            return [
                Input(str(path), path.name)
            ]  # also where there is none: it fails alone, not the run
    if not found:
        raise SourceError(
            f"{uri}: videos were wanted, none are there; check the path or the pattern"
        )
    return found


def _of_pattern(pattern: Path) -> list[Input]:
    root = Path(*[part for part in _before_wildcard(pattern)])
    matches = sorted(
        (Path(match) for match in glob.glob(str(pattern), recursive=True)), key=natural_sort_key
    )
    if matches and all(is_image(match) for match in matches if match.is_file()):
        images = [match for match in matches if match.is_file()]
        if images:
            return [Input(str(pattern), root.name or "images")]
        return [one for match in matches for one in _folders_of_images(match, root)]
    return [
        Input(str(match), _name(match, root))
        for match in matches
        if (match.is_file() or _is_dangling(match)) and not is_image(match)
    ]


def _before_wildcard(pattern: Path) -> list[str]:
    parts: list[str] = []
    for part in pattern.parts:
        if is_glob(part):
            break
        parts.append(part)
    return parts


def _of_folder(folder: Path) -> list[Input]:
    files = sorted(
        (path for path in folder.rglob("*") if not _is_hidden(path, folder)), key=natural_sort_key
    )
    # A link to a file that is gone stays among them: it fails by name, where a skipped one would
    # not be missed.
    videos = [
        path
        for path in files
        if path.suffix.lower() in VIDEO_SUFFIXES and (path.is_file() or _is_dangling(path))
    ]
    if videos:
        return [Input(str(path), _name(path, folder)) for path in videos]
    return _folders_of_images(folder, folder)


def _folders_of_images(folder: Path, root: Path) -> list[Input]:
    folders = [
        folder,
        *sorted((path for path in folder.rglob("*") if path.is_dir()), key=natural_sort_key),
    ]
    holding = [path for path in folders if any(is_image(entry) for entry in path.iterdir())]
    return [
        Input(str(path), folder.name if path == root else _name(path, root)) for path in holding
    ]


def _is_video(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _is_dangling(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
