"""Simulates everything a person does in a video, frame by frame, before rendering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceaffect.labels import AU_NAMES
from training.synthesis.expression_sampler import EXTRA_AU_NAMES, Expression
from training.synthesis.face_renderer import FaceRenderer
from training.synthesis.head_mesh import FloatArray
from training.synthesis.identity import Identity
from training.synthesis.videos.affect_track import (
    AffectTrack,
    EmotionSegment,
    make_affect_track,
    sample_segments,
)
from training.synthesis.videos.au_tracks import (
    blink_track,
    emotion_aus,
    merge_tracks,
    non_emotional_aus,
    resolve_conflicts,
    sample_motion_style,
    to_expressions,
)
from training.synthesis.videos.audio_track import AudioTrack, Speaker, choose_voice, compose_audio
from training.synthesis.videos.head_tracks import HeadTracks, sample_head_tracks
from training.synthesis.videos.lip_sync import (
    blend_speech,
    brow_accents,
    speech_aus,
    voice_brightness,
    voice_energy,
)
from training.synthesis.videos.plan import PersonPlan, VideoPlan
from training.synthesis.videos.voice_corpus import VoiceCorpus


@dataclass(frozen=True, slots=True)
class Performance:
    """Behavior of one person over n frames."""

    identity: Identity
    rig: str
    affect: AffectTrack
    head: HeadTracks
    frames: list[Expression]
    blink: FloatArray  # [n]
    voice_energy: FloatArray  # [n] of this person
    voice: str | None  # speaker of the corpus


def is_female(identity: Identity) -> bool:
    """Whether the person has a female skin texture."""
    return "_female_" in identity.assets.skin


def frame_times(video: VideoPlan) -> FloatArray:
    """Returns frame times [n] in seconds since the first frame."""
    return (np.arange(video.frame_count) / video.fps).astype(np.float32)


def generate_performances(
    seed: int, video: VideoPlan, renderer: FaceRenderer, corpus: VoiceCorpus
) -> tuple[list[Performance], AudioTrack]:
    """Simulates behavior and audio of the people of a video; deterministic per seed and video."""
    time_s = frame_times(video)
    duration_s = video.frame_count / video.fps
    rng = np.random.default_rng([seed, video.index, 41])
    segments = [sample_segments(rng, duration_s, person.emotions) for person in video.people]
    identities = [renderer.identity(seed, person.identity) for person in video.people]
    speakers: list[Speaker] = []
    for identity, plan in zip(identities, segments, strict=True):
        used = {speaker.voice for speaker in speakers}
        pool = [
            s for s in corpus.speakers(is_female(identity), video.is_validation) if s not in used
        ]
        speakers.append(Speaker(choose_voice(rng, corpus, pool, plan), plan))
    track = compose_audio(rng, corpus, speakers, duration_s, video.is_mismatched)
    performances = [
        _generate_one(
            [seed, video.index, 42 + k],
            video,
            person,
            identities[k],
            speakers[k],
            track.speech[k],
            time_s,
        )
        for k, person in enumerate(video.people)
    ]
    return performances, track


def _generate_one(
    key: list[int],
    video: VideoPlan,
    person: PersonPlan,
    identity: Identity,
    speaker: Speaker,
    speech: FloatArray,
    time_s: FloatArray,
) -> Performance:
    rng = np.random.default_rng(key)
    fps = float(video.fps)
    segments: list[EmotionSegment] = speaker.segments
    affect = make_affect_track(rng, segments, time_s)
    energy = voice_energy(speech, time_s)
    tracks = merge_tracks(
        blend_speech(emotion_aus(rng, segments, time_s, fps), energy, fps),
        non_emotional_aus(rng, segments, time_s, energy),
        speech_aus(rng, energy, voice_brightness(speech, time_s), fps),
        brow_accents(rng, energy, time_s, fps),
        {"blink": blink_track(rng, time_s)},
    )
    tracks = resolve_conflicts(tracks, person.rig)
    head = sample_head_tracks(rng, time_s, fps, affect.strength, energy)
    motion_style = sample_motion_style(rng, [*AU_NAMES, *EXTRA_AU_NAMES])
    return Performance(
        identity=identity,
        rig=person.rig,
        affect=affect,
        head=head,
        frames=to_expressions(tracks, head.gaze_deg, motion_style),
        blink=tracks["blink"],
        voice_energy=energy,
        voice=speaker.voice,
    )
