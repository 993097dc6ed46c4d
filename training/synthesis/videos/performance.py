"""Everything that one person does in a video, frame by frame, before a camera sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceaffect.labels import AU_NAMES
from training.synthesis.expression_sampler import EXTRA_NAMES, Expression
from training.synthesis.face import FaceRenderer
from training.synthesis.head_mesh import FloatArray
from training.synthesis.identity import Identity
from training.synthesis.videos.affect_track import (
    AffectTrack,
    Segment,
    draw_stretches,
    follow_affect,
)
from training.synthesis.videos.au_tracks import (
    blink_track,
    draw_manner,
    emotion_units,
    expressions,
    join_tracks,
    resolve_tracks,
    stray_units,
)
from training.synthesis.videos.audio_track import AudioTrack, Speaker, compose, pick_speaker
from training.synthesis.videos.head_tracks import HeadTracks, move_head
from training.synthesis.videos.plan import PersonPlan, VideoPlan
from training.synthesis.videos.speech_mouth import (
    blend_speech,
    brow_accents,
    mouth_units,
    voice_color,
    voice_energy,
)
from training.synthesis.videos.voices import VoiceCorpus


@dataclass(frozen=True, slots=True)
class Performance:
    """One person over n frames."""

    identity: Identity
    rig: str
    affect: AffectTrack
    head: HeadTracks
    frames: list[Expression]
    blink: FloatArray  # [n]
    voice_energy: FloatArray  # [n] of this person's own voice
    speaker: str | None


def is_female(identity: Identity) -> bool:
    """Sex of a person, as the skin shows it."""
    return "_female_" in identity.wardrobe.skin


def frame_times(video: VideoPlan) -> FloatArray:
    """Seconds [n] of the frames since the first one."""
    return (np.arange(video.frame_count) / video.fps).astype(np.float32)


def perform(
    seed: int, video: VideoPlan, studio: FaceRenderer, shelf: VoiceCorpus
) -> tuple[list[Performance], AudioTrack]:
    """What the people of a video do and say; depends on seed and video only."""
    time_s = frame_times(video)
    duration_s = video.frame_count / video.fps
    rng = np.random.default_rng([seed, video.index, 41])
    stretches = [draw_stretches(rng, duration_s, person.emotions) for person in video.people]
    identities = [studio.identity_of(seed, person.identity) for person in video.people]
    talkers: list[Speaker] = []
    for identity, plan in zip(identities, stretches, strict=True):
        taken = {talker.speaker for talker in talkers}
        pool = [
            s for s in shelf.speakers(is_female(identity), video.is_validation) if s not in taken
        ]
        talkers.append(Speaker(pick_speaker(rng, shelf, pool, plan), plan))
    track = compose(rng, shelf, talkers, duration_s, video.is_mismatched)
    performances = [
        _perform_one(
            [seed, video.index, 42 + k],
            video,
            person,
            identities[k],
            talkers[k],
            track.spoken[k],
            time_s,
        )
        for k, person in enumerate(video.people)
    ]
    return performances, track


def _perform_one(
    key: list[int], video: VideoPlan, person: PersonPlan, identity: Identity, talker: Speaker, spoken: FloatArray,
    time_s: FloatArray,
) -> Performance:  # fmt: skip
    rng = np.random.default_rng(key)
    fps = float(video.fps)
    stretches: list[Segment] = talker.stretches
    affect = follow_affect(rng, stretches, time_s)
    energy = voice_energy(spoken, time_s)
    tracks = join_tracks(
        blend_speech(emotion_units(rng, stretches, time_s, fps), energy, fps),
        stray_units(rng, stretches, time_s, energy),
        mouth_units(rng, energy, voice_color(spoken, time_s), fps),
        brow_accents(rng, energy, time_s, fps),
        {"blink": blink_track(rng, time_s)},
    )
    tracks = resolve_tracks(tracks, person.rig)
    head = move_head(rng, time_s, fps, affect.strength, energy)
    manner = draw_manner(rng, [*AU_NAMES, *EXTRA_NAMES])
    return Performance(
        identity=identity,
        rig=person.rig,
        affect=affect,
        head=head,
        frames=expressions(tracks, head.gaze_deg, manner),
        blink=tracks["blink"],
        voice_energy=energy,
        speaker=talker.speaker,
    )
