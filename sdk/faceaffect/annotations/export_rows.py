"""Exports files of rows: one document per source, or one for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from faceaffect.annotations.boris import Observation, boris_project
from faceaffect.annotations.elan import elan_document
from faceaffect.annotations.openface import openface_csv
from faceaffect.annotations.praat import praat_text_grid
from faceaffect.annotations.tracks import duration_s, frame_rate, label_tracks
from faceaffect.report.read_rows import ReportError
from faceaffect.summary.face_rows import FaceRows, read_faces
from faceaffect.system.durable_file import replace_file

FORMATS: Final[dict[str, str]] = {
    "elan": ".eaf",
    "praat": ".TextGrid",
    "boris": ".boris",
    "openface": ".csv",
}
"""Suffix of the files of each format."""
_ONE_FILE: Final = "boris"  # a project holds all sources


def export_rows(
    files: Sequence[Path], to: str, out: Path, notes: list[str], *, overwrite: bool = False
) -> list[Path]:
    """Write the sources in files of rows in another format.

    Args:
        files: Files of rows.
        to: A name in `FORMATS`.
        out: The file to write; with several sources (except for BORIS) a folder, made if needed.
        notes: Receives remarks of the reader.
        overwrite: Whether existing files are replaced.

    Returns:
        The files written.

    Raises:
        ReportError: Rows cannot be read, or a file cannot be written.
    """
    by_source = _read(files, notes)
    if to == _ONE_FILE:
        project = {
            source: Observation(label_tracks(faces), duration_s(faces), frame_rate(faces))
            for source, faces in by_source.items()
        }
        return [_write(out, boris_project(project), overwrite)]
    documents = {source: _document(source, faces, to) for source, faces in by_source.items()}
    if len(documents) == 1 and not out.is_dir() and out.suffix:
        return [_write(out, next(iter(documents.values())), overwrite)]
    if out.suffix and not out.is_dir():
        raise ReportError(
            f"{out}: expected a folder for the {len(documents)} sources of these rows, got a file;"
            " use --out with the name of a folder"
        )
    out.mkdir(parents=True, exist_ok=True)
    names = _file_names(list(documents), FORMATS[to])
    return [_write(out / names[source], text, overwrite) for source, text in documents.items()]


def _read(files: Sequence[Path], notes: list[str]) -> dict[str, list[FaceRows]]:
    by_source: dict[str, list[FaceRows]] = {}
    for path in files:
        for face in read_faces(path, notes):
            if face.is_sequence:
                by_source.setdefault(face.source, []).append(face)
            else:
                notes.append(f"{face.source}: left out, unrelated images have no time")
    if not by_source:
        raise ReportError(
            f"{', '.join(map(str, files))}: expected rows of a video, got none with a face; check"
            " the input of `faceaffect analyze`"
        )
    return by_source


def _document(source: str, faces: Sequence[FaceRows], to: str) -> str:
    if to == "elan":
        return elan_document(source, label_tracks(faces))
    if to == "praat":
        return praat_text_grid(label_tracks(faces), duration_s(faces))
    return openface_csv(faces)


def _file_names(sources: Sequence[str], suffix: str) -> dict[str, str]:
    """Return a file name of each source, numbered where two have the same stem."""
    names: dict[str, str] = {}
    for source in sources:
        stem = Path(source).stem or "frames"
        same = sum(1 for other in names if (Path(other).stem or "frames") == stem)
        names[source] = f"{stem}{f'_{same + 1}' if same else ''}{suffix}"
    return names


def _write(path: Path, text: str, overwrite: bool) -> Path:
    if path.exists() and not overwrite:
        raise ReportError(f"{path}: exists already; use --overwrite to replace it")
    try:
        replace_file(path, lambda partial: _write_text(partial, text))
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be written ({error.strerror or error}); check the folder"
        ) from None
    return path


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
