"""matplotlib figure of one face over time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from faceaffect.api.result import MissingPackageError
from faceaffect.api.summary import faces_of
from faceaffect.drawing.palette import EXPRESSION_COLORS
from faceaffect.labels import AU_MEANINGS, AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import EXPRESSION_COLUMNS
from faceaffect.summary.face_rows import FaceRows
from faceaffect.system.install_command import install_command

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from faceaffect.api.result import Result


def plot_result(result: Result, track_id: int | None) -> Figure:
    """Plot a face of a result; see `Result.plot`."""
    faces = faces_of(result)
    if track_id is not None:
        faces = [face for face in faces if face.track_id == track_id]
    if not faces:
        which = "a face" if track_id is None else f"face {track_id}"
        known = ", ".join(map(str, np.unique(result.faces.track_id)[:8])) or "no faces"
        raise ValueError(f"expected {which} in the result, it has {known}; choose one of them")
    return plot_face(max(faces, key=len))


def plot_face(face: FaceRows) -> Figure:
    """Plot AU probabilities and decisions, expressions, valence and arousal of a face."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackageError(
            f"expected matplotlib to be installed, it is not; run `{install_command('report')}`"
        ) from None

    class NotebookFigure(Figure):
        """A figure that notebooks show without pyplot."""

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=100)
            return buffer.getvalue()

    figure = NotebookFigure(figsize=(9, 6.2), layout="constrained")
    aus, expressions, plane = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1, 1.2)}
    )
    name = face.source.rpartition("/")[2] or "frames"
    aus.set_title(f"{name}, face {face.track_id}", loc="left")
    edges_s = np.r_[face.time_s, face.time_s[-1] + max(face.frame_interval_s, 1e-3)]
    _plot_aus(aus, face, edges_s)
    _plot_expressions(expressions, face)
    for column, color in (("valence", "#2563eb"), ("arousal", "#ea580c")):
        values = face.column(column).copy()
        values[face.starts_part() & (np.arange(len(face)) > 0)] = np.nan
        plane.plot(face.time_s, values, label=column, color=color, linewidth=1.3)
    plane.axhline(0, color="#999999", linewidth=0.6)
    plane.set(ylim=(-1, 1), xlabel="time in seconds", xlim=(edges_s[0], edges_s[-1]))
    plane.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    for axes in (aus, expressions, plane):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _plot_aus(axes: Any, face: FaceRows, edges_s: np.ndarray[Any, Any]) -> None:
    rows = np.arange(len(AU_NAMES) + 1)
    probability = np.ma.masked_invalid(face.au_probability.T)
    mesh = axes.pcolormesh(
        edges_s, rows, probability, cmap="Blues", vmin=0, vmax=1, rasterized=True
    )
    duration_s = face.duration_s()
    for au in range(len(AU_NAMES)):
        bouts = [
            (face.time_s[first], duration_s[first : last + 1].sum())
            for first, last in face.runs(face.au_active[:, au]).tolist()
        ]
        axes.broken_barh(bouts, (au + 0.72, 0.2), color="#ea580c")
    axes.set_yticks(rows[:-1] + 0.5, [f"{AU_MEANINGS[name]}  {name}" for name in AU_NAMES])
    axes.invert_yaxis()
    axes.figure.colorbar(mesh, ax=axes, label="probability (line: active)", pad=0.01)


def _plot_expressions(axes: Any, face: FaceRows) -> None:
    probability = np.nan_to_num(face.numbers[:, EXPRESSION_COLUMNS])
    axes.stackplot(
        face.time_s, probability.T, labels=EXPRESSION_NAMES, colors=EXPRESSION_COLORS, linewidth=0
    )
    axes.set(ylim=(0, 1), ylabel="expression")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1],
        labels[::-1],
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        fontsize=7,
        labelspacing=0.2,
    )
