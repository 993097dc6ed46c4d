"""Ground truth of RenderWild tracks, outside the Aff-Wild2 layout: `truth/TRACK.npz` and `.json`.

TRACK is the name of the annotated track (with `_left` or `_right`). Arrays of `TRACK.npz`, one
row per video frame:

    time_s          float32 [n]         since the first frame
    au_intensity    float32 [n, 12]     0..1 in the order of AU_NAMES; present from
                                        PRESENT_INTENSITY on
    strength        float32 [n, 7]      of expressions in the order of EXPRESSION_NAMES; rows sum
                                        to 1
    expression      int8    [n]         class index, -1 for blends without a dominant emotion
    va              float32 [n, 2]      valence, arousal in -1..1
    landmarks_xy    float32 [n, 68, 2]  pixels of the video
    pose_deg        float32 [n, 3]      yaw, pitch, roll with the signs of `faceaffect.types.Faces`
    gaze_deg        float32 [n, 2]      right, up in the image
    blink           float32 [n]         lid closure, 0..1
    voice_energy    float32 [n]         of this person's speech, 0..1 (`lip_sync.voice_energy`)
    occluded        bool    [n]         part of the face is hidden; labels describe the face behind
                                        the occluder
    cropped         bool    [n]         a crop was written
    crop_to_frame   float32 [n, 2, 3]   transform of each crop, including its jitter
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.synthesis.videos.annotations import UnlabeledSpan
from training.synthesis.videos.audio_track import AudioTrack
from training.synthesis.videos.performance import Performance, frame_times, is_female
from training.synthesis.videos.plan import VideoPlan
from training.synthesis.videos.render_video import RenderedPerson


def track_arrays(
    video: VideoPlan,
    performance: Performance,
    rendered: RenderedPerson,
    transforms: NDArray[np.float32],
    is_missed: NDArray[np.bool_],
) -> dict[str, NDArray[Any]]:
    """Returns the arrays of one track."""
    return {
        "time_s": frame_times(video),
        "au_intensity": rendered.au_intensity,
        "strength": performance.affect.strength,
        "expression": performance.affect.expression,
        "va": performance.affect.va,
        "landmarks_xy": rendered.landmarks_xy,
        "pose_deg": performance.head.pose_deg,
        "gaze_deg": performance.head.gaze_deg,
        "blink": performance.blink,
        "voice_energy": performance.voice_energy,
        "occluded": rendered.is_occluded,
        "cropped": ~is_missed,
        "crop_to_frame": transforms,
    }


def track_metadata(
    video: VideoPlan,
    number: int,
    performance: Performance,
    audio: AudioTrack,
    rendered: RenderedPerson,
    unlabeled: dict[str, list[UnlabeledSpan]],
    audio_start_s: float,
) -> dict[str, Any]:
    """Returns the metadata of person `number`; `audio_start_s` is that of the video file."""
    person = video.people[number]
    utterances = [utterance for utterance in audio.utterances if utterance.person == number]
    return {
        "name": person.name,
        "video": video.file_name,
        "split": video.split,
        "tasks": list(person.tasks),
        "identity": person.identity,
        "is_female": is_female(performance.identity),
        "rig": person.rig,
        "fps": video.fps,
        "frame_count": video.frame_count,
        "size_wh": list(video.size_wh),
        "emotions": list(person.emotions),
        "voice": {
            "speaker": performance.voice,
            "mismatched": video.is_mismatched,
            "sentences": [
                {
                    "file": utterance.sentence.file,
                    "emotion": utterance.sentence.emotion,
                    "expression": utterance.expression,
                    "start_s": round(utterance.start_s, 4),
                    "end_s": round(utterance.end_s, 4),
                }
                for utterance in utterances
            ],
        },
        "audio_start_s": round(audio_start_s, 4),
        "occluded_frames": _runs(rendered.is_occluded),
        "row_difference": dict(zip(person.tasks, person.row_difference, strict=True)),
        "invalid": {task: [asdict(span) for span in spans] for task, spans in unlabeled.items()},
        "quirk": video.quirk,
    }


def _runs(flags: NDArray[np.bool_]) -> list[list[int]]:
    """Returns start and end (exclusive) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [[int(a), int(b)] for a, b in edges.reshape(-1, 2)]


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]  # numpy accepts any keyword as an array name


def write_json(path: Path, metadata: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(metadata, indent=1) + "\n", encoding="utf-8")
