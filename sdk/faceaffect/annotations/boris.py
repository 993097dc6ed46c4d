"""BORIS projects (.boris): an observation with the state events of each source."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from faceaffect.annotations.tracks import LabelTrack
from faceaffect.labels import AU_MEANINGS, AU_NAMES, EXPRESSION_NAMES

_FORMAT_VERSION: Final = "7.0"


class Observation(NamedTuple):
    """Labels of a source, its end in seconds and its frame rate."""

    tracks: Sequence[LabelTrack]
    end_s: float
    fps: float


def boris_project(observations: Mapping[str, Observation]) -> str:
    """Return a project.

    Args:
        observations: One per source. AUs and expressions become state events: each has a row
            where it begins and one where it ends.
    """
    now = datetime.now().isoformat(timespec="seconds")
    faces = list(dict.fromkeys(track.face for one in observations.values() for track in one.tracks))
    project = {
        "time_format": "hh:mm:ss",
        "project_date": now,
        "project_name": "faceaffect",
        "project_description": "",
        "project_format_version": _FORMAT_VERSION,
        "subjects_conf": {
            str(number): {"key": "", "name": face, "description": ""}
            for number, face in enumerate(faces)
        },
        "behaviors_conf": {
            str(number): _behavior(code)
            for number, code in enumerate((*AU_NAMES, *EXPRESSION_NAMES))
        },
        "behavioral_categories": ["action unit", "expression"],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
        "observations": {
            _name(source, observations): _observation(source, one, now)
            for source, one in observations.items()
        },
    }
    return json.dumps(project, indent=1, ensure_ascii=False) + "\n"


def _behavior(code: str) -> dict[str, Any]:
    is_au = code in AU_MEANINGS
    return {
        "type": "State event",
        "key": "",
        "code": code,
        "description": AU_MEANINGS.get(code, ""),
        "category": "action unit" if is_au else "expression",
        "modifiers": {},
        "excluded": "" if is_au else ",".join(name for name in EXPRESSION_NAMES if name != code),
        "coding map": "",
        "color": "",
    }


def _name(source: str, observations: Mapping[str, Any]) -> str:
    """Return the stem of a source, or the whole path where two have the same stem."""
    stem = Path(source).stem
    same = [other for other in observations if Path(other).stem == stem]
    return stem if len(same) == 1 else source


def _observation(source: str, observation: Observation, now: str) -> dict[str, Any]:
    path = str(Path(source).absolute())
    events: list[tuple[float, str, str, str, str]] = []
    for track in observation.tracks:
        for one in track.intervals:
            events.append((round(one.start_s, 3), track.face, one.label, "", ""))
            events.append((round(one.end_s, 3), track.face, one.label, "", ""))
    events.sort(key=lambda event: event[0])
    return {
        "file": {"1": [path], **{str(player): [] for player in range(2, 9)}},
        "type": "MEDIA",
        "date": now,
        "description": "",
        "time offset": 0.0,
        "events": events,
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": {path: observation.end_s},
            "fps": {path: round(observation.fps, 3)},
            "hasVideo": {path: True},
            "hasAudio": {path: False},
            "offset": {"1": 0.0},
        },
    }
