"""Results of whole inputs: arrays over all faces, with a view per frame and face."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from faceaffect.api.face_view import FrameView
from faceaffect.errors import FaceAffectError
from faceaffect.labels import AU_NAMES
from faceaffect.types import Affect, Faces, FrameInfo, IdArray

if TYPE_CHECKING:
    import pandas
    import polars
    from matplotlib.figure import Figure

    from faceaffect.api.summary import Summary


class MissingPackageError(FaceAffectError, ImportError):
    """An optional package that a method needs is not installed; the message names the command.

    Examples:
        >>> import faceaffect as fa
        >>> issubclass(fa.MissingPackageError, ImportError)
        True
    """


@dataclass(frozen=True, eq=False)
class Result:
    """Frames of one or several inputs, and the affect of their faces.

    `result[i]` is frame i as a `FrameView`; its `faces` are views on the arrays below.

    Attributes:
        frames: Source, number and time of each of the F frames.
        frame_of_face: Index into `frames` of each of the N faces, ascending.
        faces: The faces of all frames as arrays [N, ...].
        affect: Their affect as arrays [N, ...], row for row.
        info: What analyzed them: model, backend, precision, device, kernels, detector.
        au_thresholds: Threshold [12] of each AU, in the order of `labels.AU_NAMES`.
        notes: Remarks on the inputs, such as frames that could not be decoded.
        model_sha256: SHA-256 of the model's `spec.json`, which holds those of its other files.
        options: Settings that change the results.

    Examples:
        >>> import faceaffect as fa
        >>> result = fa.analyze("clip.mp4")
        >>> len(result), result.affect.au_probability.shape
        (60, (60, 12))
        >>> result[59].faces[0].expression
        'happiness'
    """

    frames: Sequence[FrameInfo]
    frame_of_face: IdArray
    faces: Faces
    affect: Affect
    info: dict[str, str] = field(default_factory=dict)
    au_thresholds: tuple[float, ...] = (0.5,) * len(AU_NAMES)
    notes: list[str] = field(default_factory=list)
    model_sha256: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_frames(
        cls,
        frames: Sequence[tuple[FrameInfo, Faces, Affect]],
        info: dict[str, str] | None = None,
        au_thresholds: tuple[float, ...] = (0.5,) * len(AU_NAMES),
        notes: Sequence[str] = (),
        model_sha256: str = "",
        options: dict[str, str] | None = None,
    ) -> Result:
        """Concatenate the results of single frames."""
        counts = [len(faces) for _, faces, _ in frames]
        return cls(
            frames=[one for one, _, _ in frames],
            frame_of_face=np.repeat(np.arange(len(frames), dtype=np.int64), counts),
            faces=_concatenate(Faces, [faces for _, faces, _ in frames]),
            affect=_concatenate(Affect, [affect for _, _, affect in frames]),
            info=info or {},
            au_thresholds=au_thresholds,
            notes=list(notes),
            model_sha256=model_sha256,
            options=options or {},
        )

    def __len__(self) -> int:
        return len(self.frames)

    @overload
    def __getitem__(self, index: int) -> FrameView: ...

    @overload
    def __getitem__(self, index: slice) -> Result: ...

    def __getitem__(self, index: int | slice) -> FrameView | Result:
        """Return a frame, or the result of a slice of the frames."""
        if isinstance(index, slice):
            parts = [
                (view.info, view.face_arrays, view.affect_arrays)
                for view in (self[i] for i in range(*index.indices(len(self))))
            ]
            return Result.from_frames(
                parts, self.info, self.au_thresholds, self.notes, self.model_sha256, self.options
            )
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected a frame below {len(self)}, got {index}")
        index = range(len(self))[index]
        start, stop = (int(end) for end in self._face_ends[index : index + 2])
        return FrameView(
            self.frames[index],
            _rows_of(self.faces, start, stop),
            _rows_of(self.affect, start, stop),
        )

    def __iter__(self) -> Iterator[FrameView]:
        return (self[i] for i in range(len(self)))

    @cached_property
    def _face_ends(self) -> NDArray[np.intp]:
        """Index of the first face of each frame, and the number of faces at the end [F + 1]."""
        return np.searchsorted(self.frame_of_face, np.arange(len(self) + 1))

    @property
    def time_s(self) -> NDArray[np.float64]:
        """Presentation time of each frame [F]."""
        return np.array([one.time_s for one in self.frames], np.float64)

    def columns(self) -> dict[str, list[Any]]:
        """Return the rows that `faceaffect analyze` writes as columns; None where unknown."""
        from faceaffect.sinks.columns import COLUMN_NAMES, rows_for_frame

        rows = [
            row
            for view in self
            for row in rows_for_frame(view.info, view.face_arrays, view.affect_arrays)
        ]
        cells = zip(*rows, strict=True) if rows else ((),) * len(COLUMN_NAMES)
        return {name: list(column) for name, column in zip(COLUMN_NAMES, cells, strict=True)}

    def to_pandas(self) -> pandas.DataFrame:
        """Return one row per face, with the columns of `faceaffect analyze`.

        Examples:
            >>> import faceaffect as fa
            >>> table = fa.analyze("clip.mp4").to_pandas()
            >>> table["expression"].value_counts().index.tolist()
            ['neutral', 'happiness']

        Raises:
            MissingPackageError: pandas is not installed.
        """
        from faceaffect.api.data_frames import to_pandas

        return to_pandas(self.columns())

    def to_polars(self) -> polars.DataFrame:
        """Return one row per face, with the columns of `faceaffect analyze`.

        Raises:
            MissingPackageError: polars is not installed.
        """
        from faceaffect.api.data_frames import to_polars

        return to_polars(self.columns())

    def to_dict(self) -> dict[str, Any]:
        """Return frames and faces as built-in types; None stands for unknown numbers."""
        return {
            "info": dict(self.info),
            "model_sha256": self.model_sha256,
            "options": dict(self.options),
            "au_thresholds": dict(zip(AU_NAMES, self.au_thresholds, strict=True)),
            "notes": list(self.notes),
            "frames": [view.to_dict() for view in self],
        }

    def to_json(self, indent: int | None = None) -> str:
        """Return `to_dict` as JSON.

        Examples:
            >>> import json
            >>> import faceaffect as fa
            >>> frames = json.loads(fa.analyze("face.jpg").to_json())["frames"]
            >>> frames[0]["faces"][0]["expression"]
            'happiness'
        """
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write rows (.csv, .jsonl, .parquet), all of it (.json), or a report (.html).

        Beside rows comes a side-car, such as `rows.csv.json`: how they were made, and the number of
        frames.

        Args:
            path: The file; its suffix selects the format.
            overwrite: Whether an existing file is replaced.

        Returns:
            The path.

        Raises:
            SinkError: The file exists, cannot be written or has another suffix.
            ReportError: The report cannot be written.

        Examples:
            >>> import faceaffect as fa
            >>> fa.analyze("clip.mp4").save("rows.csv").name
            'rows.csv'
        """
        from faceaffect.api.save_result import save_result

        return save_result(self, Path(path), overwrite=overwrite)

    def summary(self) -> Summary:
        """Return what each face did: time, shares and bouts of AUs, valence, arousal, expressions.

        Examples:
            >>> import faceaffect as fa
            >>> face = fa.analyze("clip.mp4").summary()[0]
            >>> face["expression"], face["AU12_bouts"]
            ('neutral', 1)
        """
        from faceaffect.api.summary import summarize_result

        return summarize_result(self)

    def plot(self, track_id: int | None = None) -> Figure:
        """Plot action units, expressions, valence and arousal over time.

        Args:
            track_id: The face; by default the one in most frames.

        Returns:
            A matplotlib figure; `figure.savefig("plot.png")` writes it.

        Raises:
            MissingPackageError: matplotlib is not installed.
            ValueError: There is no such face.
        """
        from faceaffect.api.figure import plot_result

        return plot_result(self, track_id)

    def __repr__(self) -> str:
        tracks = len(np.unique(self.faces.track_id))
        return f"<Result: {len(self)} frames, {len(self.faces)} faces in {tracks} tracks>"

    def _repr_html_(self) -> str:
        """Return a table and a plot for notebooks."""
        from faceaffect.api.notebook_view import result_html

        return result_html(self)


def _concatenate(kind: Any, parts: Sequence[Any]) -> Any:
    """Concatenate the arrays of all `parts`, which are of type `kind`."""
    parts = [part for part in parts if len(part)] or [empty_arrays(kind)]
    return kind(
        **{
            one.name: np.concatenate([getattr(part, one.name) for part in parts])
            for one in fields(kind)
        }
    )


def empty_arrays(kind: Any) -> Any:
    """Return `Faces` or `Affect` of no face."""
    if kind is Faces:
        return Faces()
    from faceaffect.labels import EXPRESSION_NAMES

    return Affect(
        np.zeros((0, len(AU_NAMES)), np.float32),
        np.zeros((0, len(AU_NAMES)), np.bool_),
        np.zeros((0, len(EXPRESSION_NAMES)), np.float32),
        np.zeros(0, np.float32),
        np.zeros(0, np.float32),
    )


def _rows_of(arrays: Any, start: int, stop: int) -> Any:
    """Return views on rows [start, stop) of `Faces` or `Affect`."""
    return type(arrays)(**{f.name: getattr(arrays, f.name)[start:stop] for f in fields(arrays)})
