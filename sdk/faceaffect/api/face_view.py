"""Views of single frames and faces on arrays of results."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceaffect.geometry import closed_eyes_probability, eye_openness
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import Affect, Faces, FloatArray, Frame, FrameInfo

if TYPE_CHECKING:
    from faceaffect.drawing.annotator import FaceAnnotator


class FaceView:
    """A face in a frame: a view on row `row` of the arrays of a result.

    Examples:
        >>> import faceaffect as fa
        >>> face = fa.analyze("face.jpg")[0].faces[0]
        >>> face.expression, face.active_aus
        ('happiness', ['AU12'])
        >>> 0 <= face.action_units["AU12"] <= 1
        True
    """

    __slots__ = ("_affect", "_faces", "_row")

    def __init__(self, faces: Faces, affect: Affect, row: int) -> None:
        """Look at row `row` of `faces` and `affect`."""
        self._faces = faces
        self._affect = affect
        self._row = row

    @property
    def track_id(self) -> int:
        """Number of the face, the same from frame to frame."""
        return int(self._faces.track_id[self._row])

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, in pixels of the frame."""
        x1, y1, x2, y2 = self._faces.box_xyxy[self._row].tolist()
        return x1, y1, x2, y2

    @property
    def landmarks(self) -> FloatArray:
        """Landmarks [68, 2] in pixels of the frame, in the order of 300-W."""
        landmarks: FloatArray = self._faces.landmarks_xy[self._row]
        return landmarks

    @property
    def pose(self) -> dict[str, float]:
        """Head pose in degrees: yaw, pitch and roll (see `Faces.pose_deg`)."""
        values = self._faces.pose_deg[self._row].tolist()
        return dict(zip(("yaw", "pitch", "roll"), values, strict=True))

    @property
    def score(self) -> float:
        """Probability that this is a face."""
        return float(self._faces.face_score[self._row])

    @property
    def quality(self) -> float:
        """How far the outputs can be trusted, 0 to 1."""
        return float(self._faces.quality[self._row])

    @property
    def action_units(self) -> dict[str, float]:
        """Probability of each action unit by its name; NaN if the model predicts none."""
        return dict(zip(AU_NAMES, self._affect.au_probability[self._row].tolist(), strict=True))

    @property
    def intensities(self) -> dict[str, float]:
        """Intensity of each action unit by its name, 0 to 5; NaN if the model has none."""
        return dict(zip(AU_NAMES, self._affect.au_intensity[self._row].tolist(), strict=True))

    @property
    def eye_openness(self) -> tuple[float, float]:
        """Distance of the lids of the person's right and left eye, relative to its width."""
        right, left = eye_openness(self._faces.landmarks_xy[self._row][None])[0].tolist()
        return right, left

    @property
    def closed_eyes(self) -> float:
        """Probability that the eyes are closed (AU45)."""
        return float(closed_eyes_probability(self._faces.landmarks_xy[self._row][None])[0])

    @property
    def active_aus(self) -> list[str]:
        """Names of the action units that are decided to be active."""
        active = self._affect.au_active[self._row].tolist()
        return [name for name, is_active in zip(AU_NAMES, active, strict=True) if is_active]

    @property
    def expressions(self) -> dict[str, float]:
        """Probability of each expression by its name; NaN if the model predicts none."""
        values = self._affect.expression_probability[self._row].tolist()
        return dict(zip(EXPRESSION_NAMES, values, strict=True))

    @property
    def expression(self) -> str:
        """The most probable expression; empty if the model predicts none."""
        values = self._affect.expression_probability[self._row]
        return EXPRESSION_NAMES[int(values.argmax())] if np.isfinite(values).all() else ""

    @property
    def valence(self) -> float:
        """-1 (unpleasant) to 1 (pleasant)."""
        return float(self._affect.valence[self._row])

    @property
    def arousal(self) -> float:
        """-1 (calm) to 1 (excited)."""
        return float(self._affect.arousal[self._row])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in types, with None for what the model does not predict."""
        content: dict[str, Any] = {
            "track_id": self.track_id,
            "box": list(self.box),
            "score": self.score,
            "quality": self.quality,
            "pose": self.pose,
            "action_units": self.action_units,
            "active_aus": self.active_aus,
            "expression": self.expression,
            "expressions": self.expressions,
            "valence": self.valence,
            "arousal": self.arousal,
        }
        points = self.landmarks.tolist()
        content = without_nan(content)
        content["landmarks"] = points if np.isfinite(self.landmarks).all() else without_nan(points)
        return content

    def __repr__(self) -> str:
        aus = "+".join(self.active_aus) or "no AU"
        return (
            f"<face {self.track_id}: {self.expression or 'no expression'}, {aus},"
            f" valence {self.valence:+.2f}, arousal {self.arousal:+.2f}>"
        )


@dataclass(frozen=True)
class FrameView:
    """A frame and its faces.

    Attributes:
        info: Source, number and time of the frame.
        face_arrays: The N faces as arrays.
        affect_arrays: Their affect as arrays, row for row.
        image: The frame with its pixels; None in results of whole inputs, which keep no pixels.

    Examples:
        >>> import faceaffect as fa
        >>> frame = fa.analyze("clip.mp4")[12]
        >>> frame.index, round(frame.time_s, 2), len(frame)
        (12, 0.4, 1)
        >>> [face.track_id for face in frame]
        [1]
    """

    info: FrameInfo
    face_arrays: Faces
    affect_arrays: Affect
    image: Frame | None = field(default=None, repr=False)

    @property
    def source(self) -> str:
        """Name of the file, camera or input."""
        return self.info.source

    @property
    def index(self) -> int:
        """Number of the frame in its source, from 0."""
        return self.info.index

    @property
    def time_s(self) -> float:
        """Presentation time, seconds from the start of the source."""
        return self.info.time_s

    @cached_property
    def faces(self) -> tuple[FaceView, ...]:
        """The faces of the frame; empty if there is none."""
        return tuple(
            FaceView(self.face_arrays, self.affect_arrays, row)
            for row in range(len(self.face_arrays))
        )

    def __len__(self) -> int:
        return len(self.face_arrays)

    def __bool__(self) -> bool:
        return True  # a frame without a face is a frame

    def __iter__(self) -> Iterator[FaceView]:
        return iter(self.faces)

    def draw(
        self, image: Frame | None = None, annotator: FaceAnnotator | None = None
    ) -> NDArray[np.uint8]:
        """Return an annotated copy of the frame, BGR [H, W, 3], widened by a panel of scores.

        Args:
            image: The frame's pixels; needed where the view holds none.
            annotator: Draws them; keep one over a stream, for the trail of valence and arousal.
                `FaceAnnotator(style="minimal")` keeps the size of the frame.

        Raises:
            ValueError: There are no pixels to draw on.
        """
        from faceaffect.drawing.annotator import FaceAnnotator

        image = image or self.image
        if image is None:
            raise ValueError(
                "expected a frame with pixels, got a result that keeps none; pass the frame as"
                " draw(image), or use faceaffect.stream(), whose frames keep theirs"
            )
        return (annotator or FaceAnnotator()).draw(image, self.face_arrays, self.affect_arrays)

    def to_dict(self) -> dict[str, Any]:
        """Return the frame and its faces as built-in types."""
        return {
            "source": self.source,
            "frame": self.index,
            "time_s": self.time_s,
            "faces": [face.to_dict() for face in self.faces],
        }

    def __repr__(self) -> str:
        faces = f"{len(self)} face{'' if len(self) == 1 else 's'}"
        return f"<frame {self.index} of {self.source!r} at {self.time_s:.3f} s: {faces}>"


def without_nan(value: Any) -> Any:
    """Replace numbers that are not finite by None, in dicts and lists as well."""
    if isinstance(value, dict):
        return {name: without_nan(one) for name, one in value.items()}
    if isinstance(value, list):
        return [without_nan(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
