"""Examples of answers, for the OpenAPI description."""

from __future__ import annotations

from typing import Any, Final

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.live.results import FaceResult, ImagesResult, JobResult

_FACE: Final[FaceResult] = {
    "track_id": 1,
    "box": [228.1, 100.4, 405.6, 308.2],
    "score": 0.9999,
    "quality": 0.61,
    "pose": {"yaw": -2.7, "pitch": 1.0, "roll": -0.4},
    "action_units": {**dict.fromkeys(AU_NAMES, 0.01), "AU6": 0.24, "AU12": 1.0, "AU25": 0.65},
    "active_aus": ["AU6", "AU12", "AU25"],
    "expression": "happiness",
    "expressions": {**dict.fromkeys(EXPRESSION_NAMES, 0.0), "neutral": 0.12, "happiness": 0.88},
    "valence": 0.52,
    "arousal": 0.34,
    "landmarks": [[228.1, 181.0], [228.9, 203.4]],
}
_IMAGES: Final[ImagesResult] = {
    "images": [{"name": "face.jpg", "width": 640, "height": 360, "faces": [_FACE], "error": ""}]
}
_JOB: Final[JobResult] = {
    "id": "ONfRwY4mvoIJLFH1fcg65EiQ",
    "name": "clip.mp4",
    "state": "running",
    "progress": 0.4,
    "frames": 72,
    "faces": 72,
    "outputs": [],
    "error": "",
    "expires_s": 3600.0,
}


def _json(example: object, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": example}}}


IMAGES: Final = _json(_IMAGES, "Results in the order of the images; faces have 68 landmarks each")
JOB: Final = _json(_JOB, "The job; `outputs` names what can be fetched once it is done")
