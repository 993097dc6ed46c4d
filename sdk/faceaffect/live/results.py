"""Messages of the server as typed dictionaries, for the routes, the client and the page."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import NotRequired, TypedDict

from faceaffect.api.face_view import FaceView
from faceaffect.drawing.palette import (
    ACTIVE_COLOR,
    AROUSAL_COLOR,
    EXPRESSION_COLORS,
    VALENCE_COLOR,
)
from faceaffect.labels import AU_MEANINGS, AU_NAMES, EXPRESSION_NAMES, LANDMARK_COUNT

if TYPE_CHECKING:
    from faceaffect.live.batched_streams import StreamPipeline
    from faceaffect.types import Affect, Faces

PROTOCOL = 1


class FaceResult(TypedDict):
    """A face; numbers that the model does not predict are None. See `faceaffect.FaceView`."""

    track_id: int
    box: list[float]
    score: float | None
    quality: float | None
    pose: dict[str, float | None]
    action_units: dict[str, float | None]
    active_aus: list[str]
    expression: str
    expressions: dict[str, float | None]
    valence: float | None
    arousal: float | None
    landmarks: list[list[float | None]]


class Timing(TypedDict):
    """Milliseconds that a frame waited, was decoded and was analyzed."""

    queue_ms: float
    decode_ms: float
    analyze_ms: float


class FrameResult(TypedDict):
    """Result of a frame of a stream.

    Attributes:
        id: Of the frame, as the client named it, else its number in the connection.
        dropped: Frames of this stream that newer ones replaced, so far.
        dropped_ids: Those since the last result.
        rows: Lines of CSV, if rows were asked for.
    """

    type: Literal["result"]
    id: int
    time_s: float
    width: int
    height: int
    faces: list[FaceResult]
    timing: Timing
    dropped: int
    dropped_ids: NotRequired[list[int]]
    rows: NotRequired[str]


class ImageResult(TypedDict):
    """Result of one image; `error` says why it could not be analyzed, and is else empty."""

    name: str
    width: int
    height: int
    faces: list[FaceResult]
    error: str


class ImagesResult(TypedDict):
    """Results in the order of the images."""

    images: list[ImageResult]


class ActionUnit(TypedDict):
    """An action unit that the model predicts."""

    name: str
    meaning: str
    threshold: float


class Expression(TypedDict):
    """An expression that the model predicts, and its color in pages."""

    name: str
    color: str


class ModelResult(TypedDict):
    """What the model predicts, how it runs and what a client may send."""

    protocol: int
    model: str
    backend: str
    precision: str
    device: str
    detector: str
    kernels: str
    action_units: list[ActionUnit]
    expressions: list[Expression]
    landmarks: int
    colors: dict[str, str]
    has_neutral_baseline: bool
    source: SourceResult | None
    limits: dict[str, float]


class SourceResult(TypedDict):
    """The camera, file or stream that the server shows; only the last part of its name."""

    name: str
    is_live: bool
    width: int
    height: int
    fps: float | None
    state: str


class JobResult(TypedDict):
    """State of an uploaded video; `progress` is 0 to 1, and None while the length is unknown."""

    id: str
    name: str
    state: Literal["queued", "running", "done", "failed", "canceled"]
    progress: float | None
    frames: int
    faces: int
    outputs: list[str]
    error: str
    expires_s: float


class Problem(TypedDict):
    """Why a request was refused."""

    code: str
    message: str


def face_results(faces: Faces, affect: Affect) -> list[FaceResult]:
    """Return the faces [N] of a frame as built-in types, rounded as in rows."""
    results: list[Any] = []
    for row in range(len(faces)):
        content = FaceView(faces, affect, row).to_dict()
        content["landmarks"] = [[_rounded(x, 1), _rounded(y, 1)] for x, y in content["landmarks"]]
        content["box"] = [_rounded(one, 1) for one in content["box"]]
        content["pose"] = {name: _rounded(one, 1) for name, one in content["pose"].items()}
        for name in ("action_units", "expressions"):
            content[name] = {key: _rounded(one, 4) for key, one in content[name].items()}
        for name in ("score", "quality", "valence", "arousal"):
            content[name] = _rounded(content[name], 4)
        results.append(content)
    return results


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals) + 0.0


def model_result(
    pipeline: StreamPipeline, source: SourceResult | None, limits: dict[str, float]
) -> ModelResult:
    """Describe the model of a pipeline, with the names and colors that pages show."""
    described = pipeline.describe()
    thresholds = pipeline.spec.au_thresholds
    return {
        "protocol": PROTOCOL,
        "model": described["model"],
        "backend": described["backend"],
        "precision": described["precision"],
        "device": described["device"],
        "detector": described["detector"],
        "kernels": described["kernels"],
        "action_units": [
            {"name": name, "meaning": AU_MEANINGS[name], "threshold": round(threshold, 4)}
            for name, threshold in zip(AU_NAMES, thresholds, strict=True)
        ],
        "expressions": [
            {"name": name, "color": color}
            for name, color in zip(EXPRESSION_NAMES, EXPRESSION_COLORS, strict=True)
        ],
        "landmarks": LANDMARK_COUNT,
        "colors": {"active": ACTIVE_COLOR, "valence": VALENCE_COLOR, "arousal": AROUSAL_COLOR},
        "has_neutral_baseline": pipeline.spec.au_neutral_logits is not None,
        "source": source,
        "limits": limits,
    }


def source_label(name: str) -> str:
    """Return a name of a source that tells a page nothing about folders, hosts and passwords."""
    if name.isdecimal():
        return f"camera {name}"
    scheme, separator, rest = name.partition("://")
    if separator and scheme.lower() in ("rtsp", "rtsps", "http", "https"):
        return f"{scheme.lower()} stream"
    return PurePath(rest if separator else name).name or "source"
