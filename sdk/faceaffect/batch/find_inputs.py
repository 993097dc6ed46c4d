"""Expands files, glob patterns, folders and addresses to the inputs of a run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from faceaffect.batch.file_task import Input
from faceaffect.batch.remote_files import is_remote, list_remote
from faceaffect.sources.file_kind import FileKind, file_kind, has_video_name
from faceaffect.sources.image_files import UNSUPPORTED_SUFFIXES, is_image
from faceaffect.sources.natural_sort import natural_sort_key
from faceaffect.sources.open_source import WEB_SCHEMES, is_live, split_scheme
from faceaffect.sources.path_checks import exists
from faceaffect.sources.patterns import expand_pattern, is_glob, split_pattern
from faceaffect.sources.source import SourceError
from faceaffect.sources.video_file import split_stream_option

_MAX_NAMES: Final = 3  # in a note


@dataclass(slots=True)
class FoundInputs:
    """What a run analyzes, and what it leaves out.

    Attributes:
        inputs: Inputs in order, each once.
        notes: What was left out of folders and patterns, and why.
    """

    inputs: list[Input] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_inputs(uris: Iterable[str], *, is_single_output: bool = False) -> FoundInputs:
    """List the inputs of files, patterns, folders and addresses (s3://bucket/path/**/*.mp4).

    A pattern or a folder gives one input per video below it, named by its path from there, and one
    per folder of images. Files whose names say nothing are probed. A name does not depend on the
    other inputs.

    Args:
        uris: What the user passed.
        is_single_output: Whether all inputs share one output file: then their names do not matter,
            and remote addresses are kept as they are.

    Raises:
        SourceError: If there are none, or two of them would write one output file.
    """
    found = FoundInputs()
    has_any = False
    for uri in uris:
        inputs = _expand(uri, found.notes, lists_remote=not is_single_output)
        has_any = has_any or bool(inputs)
        # What holds nothing is an input too: it fails by name, and alone.
        found.inputs += inputs or [Input(uri, PurePosixPath(uri).name or "input")]
    if not has_any:
        names = ", ".join(one.uri for one in found.inputs)
        raise SourceError(
            f"{names}: expected videos or images, found none; check the path or the pattern"
        )
    found.inputs = list(dict.fromkeys(found.inputs))
    if not is_single_output:
        _require_different_names(found.inputs)
    return found


def _require_different_names(inputs: list[Input]) -> None:
    uri_by_name: dict[str, str] = {}
    for one in inputs:
        other = uri_by_name.setdefault(one.name, one.uri)
        if other != one.uri:
            raise SourceError(
                f"{other} and {one.uri} would both be written to {one.name}; pass the folder above"
                " both, or use two runs with two output folders"
            )


def _expand(uri: str, notes: list[str], *, lists_remote: bool) -> list[Input]:
    scheme, rest = split_scheme(uri)
    if is_live(uri) or scheme in WEB_SCHEMES:
        return [Input(uri, PurePosixPath(rest.partition("?")[0]).name or "stream")]
    if is_remote(uri):
        return (
            list_remote(uri, has_video_name)
            if lists_remote
            else [Input(uri, PurePosixPath(rest).name)]
        )
    path = Path(rest if scheme == "file" else uri)
    is_local = scheme in ("", "file") and split_stream_option(str(path))[1] is None
    if is_local and not exists(path) and is_glob(str(path)):
        matches = expand_pattern(path)
        root = split_pattern(path)[0]
        return _expand_matches(path, root, matches, notes)
    if exists(path) and path.is_dir():
        return _expand_folder(path, path, notes)
    return [Input(uri if scheme not in ("", "file") else str(path), path.name)]


def _expand_matches(
    pattern: Path, root: Path, matches: list[Path], notes: list[str]
) -> list[Input]:
    left_out = _LeftOut(str(pattern))
    inputs, has_images = [], False
    folders = [match for match in matches if match.is_dir()]
    for match in matches:
        if match in folders:
            continue
        kind = left_out.kind(match)
        is_in_folder = kind is FileKind.IMAGE and is_image(match)
        has_images = has_images or is_in_folder
        if kind is not FileKind.OTHER and not is_in_folder:
            inputs.append(Input(str(match), _relative_name(match, root)))
    if has_images:
        inputs.append(Input(str(pattern), root.name or "images"))
    if "**" not in pattern.parts:  # which matches what is in them too
        for folder in folders:
            inputs += _expand_folder(folder, root, notes)
    notes += left_out.notes()
    return list(dict.fromkeys(inputs))


def _expand_folder(folder: Path, root: Path, notes: list[str]) -> list[Input]:
    left_out = _LeftOut(str(folder))
    inputs: list[tuple[Path, Input]] = []
    visited: set[str] = set()

    def unreadable(error: OSError) -> None:
        left_out.add(Path(str(error.filename)), f"cannot be read: {error.strerror}")

    for name, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        here = Path(name)
        real = os.path.realpath(name)
        if real in visited:  # links in a circle
            folders.clear()
            continue
        visited.add(real)
        for hidden in [one for one in folders if one.startswith(".")]:
            folders.remove(hidden)
            left_out.add(here / hidden, "hidden")
        has_images = False
        for path in (here / one for one in files):
            kind = left_out.kind(path)
            if kind is FileKind.IMAGE and is_image(path):
                has_images = True
            elif kind is not FileKind.OTHER:
                inputs.append((path, Input(str(path), _relative_name(path, root))))
        if has_images:
            inputs.append(
                (here, Input(name, folder.name if here == root else _relative_name(here, root)))
            )
    notes += left_out.notes()
    return [one for _, one in sorted(inputs, key=lambda item: natural_sort_key(item[0]))]


class _LeftOut:
    """Files that are not analyzed, by reason."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._count: Counter[str] = Counter()
        self._names: dict[str, list[str]] = {}

    def add(self, path: Path, reason: str) -> None:
        self._count[reason] += 1
        self._names.setdefault(reason, []).append(path.name)

    def kind(self, path: Path) -> FileKind:
        """Return what a file is, and remember it if it is left out."""
        if path.name.startswith("."):
            self.add(path, "hidden")
            return FileKind.OTHER
        if path.suffix.lower() in UNSUPPORTED_SUFFIXES:
            self.add(path, "images that cannot be decoded; convert them to .jpg")
            return FileKind.OTHER
        if _is_dangling_link(path):  # it fails by name, while a skipped one would not be noticed
            return FileKind.VIDEO
        if not path.is_file():
            self.add(path, "no regular files; pass them by name")
            return FileKind.OTHER
        if not os.access(path, os.R_OK):  # fails alone, with its reason
            return FileKind.VIDEO
        kind = file_kind(path)
        if kind is FileKind.OTHER:
            self.add(path, "neither video nor image")
        return kind

    def notes(self) -> list[str]:
        notes = []
        for reason, count in self._count.items():
            names = sorted(self._names[reason])
            more = ", ..." if len(names) > _MAX_NAMES else ""
            shown = ", ".join(names[:_MAX_NAMES])
            notes.append(f"{self._where}: {count} left out ({reason}): {shown}{more}")
        return notes


def _is_dangling_link(path: Path) -> bool:
    return path.is_symlink() and not exists(path)


def _relative_name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
