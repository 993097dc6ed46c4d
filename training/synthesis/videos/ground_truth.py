"""The whole truth of a video, kept outside the official layout: `truth/VIDEO.npz` and
`truth/VIDEO.json`.

VIDEO is the name of the annotated track (with `_left` or `_right`). Arrays of `VIDEO.npz`, one
row a frame of the video:

    time_s          float32 [n]        since the first frame
    au_intensity    float32 [n, 12]    0..1 in the order of AU_NAMES; present from
    PRESENT_INTENSITY on
    strength        float32 [n, 7]     of each expression in the order of EXPRESSION_NAMES;
    rows sum to 1
    expression      int8    [n]        class index, -1 where a blend has no dominant emotion
    va              float32 [n, 2]     valence, arousal in -1..1
    landmarks_xy    float32 [n, 68, 2] pixels of the video
    pose_deg        float32 [n, 3]     yaw, pitch, roll with the signs of
    `faceaffect.types.Faces`
    gaze_deg        float32 [n, 2]     right, up in the image
    blink           float32 [n]        closure of the lids, 0..1
    voice_energy    float32 [n]        of this person's own speech, 0..1
    (`speech_mouth.voice_energy`)
    occluded        bool    [n]        something hides part of the face; labels tell what is
    behind it
    cropped         bool    [n]        a crop was written
    crop_to_frame   float32 [n, 2, 3]  the map of each crop, with its error
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.synthesis.videos.annotations import InvalidStretch
from training.synthesis.videos.audio_track import AudioTrack
from training.synthesis.videos.performance import Performance, frame_times, is_female
from training.synthesis.videos.plan import VideoPlan
from training.synthesis.videos.render_video import FilmedPerson


def truth_arrays(
    video: VideoPlan,
    act: Performance,
    filmed: FilmedPerson,
    maps: NDArray[np.float32],
    is_missed: NDArray[np.bool_],
) -> dict[str, NDArray[Any]]:
    """The arrays of one track."""
    return {
        "time_s": frame_times(video),
        "au_intensity": filmed.au_intensity,
        "strength": act.affect.strength,
        "expression": act.affect.expression,
        "va": act.affect.va,
        "landmarks_xy": filmed.landmarks_xy,
        "pose_deg": act.head.pose_deg,
        "gaze_deg": act.head.gaze_deg,
        "blink": act.blink,
        "voice_energy": act.voice_energy,
        "occluded": filmed.is_occluded,
        "cropped": ~is_missed,
        "crop_to_frame": maps,
    }


def truth_note(
    video: VideoPlan, number: int, act: Performance, audio: AudioTrack, filmed: FilmedPerson,
    invalid: dict[str, list[InvalidStretch]], audio_start_s: float,
) -> dict[str, Any]:  # fmt: skip
    """What is not one value a frame, of person `number` of a video; `audio_start_s` as the file's
    time stamps say.
    """
    person = video.people[number]
    said = [utterance for utterance in audio.utterances if utterance.person == number]
    return {
        "name": person.name,
        "video": video.file_name,
        "split": video.split,
        "tasks": list(person.tasks),
        "identity": person.identity,
        "is_female": is_female(act.identity),
        "rig": person.rig,
        "fps": video.fps,
        "frame_count": video.frame_count,
        "size_wh": list(video.size_wh),
        "emotions": list(person.emotions),
        "voice": {
            "speaker": act.speaker,
            "mismatched": video.is_mismatched,
            "sentences": [
                {
                    "file": utterance.sentence.file,
                    "emotion": utterance.sentence.emotion,
                    "expression": utterance.expression,
                    "start_s": round(utterance.start_s, 4),
                    "end_s": round(utterance.end_s, 4),
                }
                for utterance in said
            ],
        },
        "audio_start_s": round(audio_start_s, 4),
        "occluded_frames": _runs(filmed.is_occluded),
        "row_difference": dict(zip(person.tasks, person.row_difference, strict=True)),
        "invalid": {
            task: [asdict(stretch) for stretch in stretches] for task, stretches in invalid.items()
        },
        "quirk": video.quirk,
    }


def _runs(flags: NDArray[np.bool_]) -> list[list[int]]:
    """Start and end (excluded) of each run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [[int(a), int(b)] for a, b in edges.reshape(-1, 2)]


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]  # numpy takes any name as an array


def write_note(path: Path, note: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
