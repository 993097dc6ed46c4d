"""Writes RenderWild: the layout of Aff-Wild2, plus `truth/` and `renderwild.json`.

A video is written to `.unfinished/` and moved to its final location when complete. Its metadata
`truth/TRACK.json` is moved last, so an interrupted run resumes with the videos that have none. A
video depends only on the size, the seed and its index.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from training.datasets.progress_bar import count_progress
from training.synthesis.expression_sampler import PRESENT_INTENSITY
from training.synthesis.face_renderer import FaceRenderer
from training.synthesis.head_mesh import load_head
from training.synthesis.videos.annotations import (
    sample_unlabeled_spans,
    task_rows,
    write_annotation,
)
from training.synthesis.videos.audio_track import LEAD_S, AudioTrack
from training.synthesis.videos.crops import jittered_transforms, sample_missed_frames, write_crops
from training.synthesis.videos.ground_truth import (
    track_arrays,
    track_metadata,
    write_arrays,
    write_json,
)
from training.synthesis.videos.performance import Performance, generate_performances
from training.synthesis.videos.plan import (
    MISMATCHED_FRACTION,
    PLAN_VERSION,
    SIZES,
    VideoPlan,
    plan_videos,
)
from training.synthesis.videos.render_video import (
    RenderedPerson,
    add_occlusion_interval,
    render_person,
    render_video,
)
from training.synthesis.videos.video_file import (
    AUDIO_RATE_HZ,
    EncodingOptions,
    VideoFileError,
    read_frames,
    require_ffmpeg,
    stream_starts,
    write_video,
)
from training.synthesis.videos.voice_corpus import VoiceCorpus, open_voice_corpus

METADATA_NAME: Final[str] = "renderwild.json"
SPLITS: Final = ("all", "train", "validation")
"""Splits that can be rendered; the others can be added to the same folder later."""
UNFINISHED: Final[str] = ".unfinished"


class RendererError(RuntimeError):
    """Error for a machine without a working OpenGL driver."""


@dataclass(frozen=True, slots=True)
class VideoSetConfig:
    """Parameters that determine the data set."""

    size: str  # a key of plan.SIZES
    seed: int


class VideoGenerator:
    """Generates videos of a data set. Owns a GL context: create one per process."""

    def __init__(self, config: VideoSetConfig, out_dir: Path, data_dir: Path) -> None:
        self.config = config
        self.out_dir = out_dir
        self.corpus: VoiceCorpus = open_voice_corpus(data_dir)
        head = load_head(data_dir)
        try:
            self.renderer = FaceRenderer(head, SIZES[config.size].tile_px, data_dir)
        except Exception as error:  # moderngl raises bare Exception without a GL driver
            raise RendererError(
                f"rendering needs OpenGL through EGL (Debian: libegl1 libgl1-mesa-dri): {error}"
            ) from error

    def generate(self, video: VideoPlan) -> None:
        """Renders a video and publishes all of its files."""
        remove_partial_output(self.out_dir, video)
        folder = self.out_dir / UNFINISHED / video.name
        shutil.rmtree(folder, ignore_errors=True)
        performances, audio = generate_performances(
            self.config.seed, video, self.renderer, self.corpus
        )
        people = self._render_people(video, performances)
        self._write_video_file(folder / video.file_name, video, people, audio)
        for number, (performance, person) in enumerate(zip(performances, people, strict=True)):
            self._write_track(folder, video, number, performance, person, audio)
        publish_output(folder, self.out_dir, video)

    def _rng(self, video: VideoPlan, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, video.index, stream])

    def _render_people(
        self, video: VideoPlan, performances: list[Performance]
    ) -> list[RenderedPerson]:
        tile_px, width = self.renderer.size_px, video.size_wh[0]
        people = []
        for k, performance in enumerate(performances):
            rng = self._rng(video, 50 + k)
            left_px = (
                k * tile_px
                if len(performances) > 1
                else int(rng.integers(0, (width - tile_px) // 2 + 1)) * 2
            )
            people.append(render_person(rng, self.renderer, performance, left_px))
        if video.is_occluded:
            rng = self._rng(video, 55)
            person = int(rng.integers(len(people)))
            people[person] = add_occlusion_interval(rng, people[person], video.fps)
        return people

    def _write_video_file(
        self, path: Path, video: VideoPlan, people: list[RenderedPerson], audio: AudioTrack
    ) -> None:
        path.parent.mkdir(parents=True)
        samples = audio.mixed[round((LEAD_S + video.audio_start_s) * AUDIO_RATE_HZ) :]
        options = EncodingOptions(video.fps, video.quality, video.audio_start_s, video.is_avi)
        frames = render_video(self._rng(video, 56), video, people, self.renderer)
        write_video(path, frames, samples, options)

    def _write_track(
        self,
        folder: Path,
        video: VideoPlan,
        number: int,
        performance: Performance,
        rendered: RenderedPerson,
        audio: AudioTrack,
    ) -> None:
        person = video.people[number]
        rng = self._rng(video, 60 + number)
        transforms = jittered_transforms(rng, rendered.landmarks_xy, video.fps)
        is_missed = sample_missed_frames(
            rng, performance.head.pose_deg, rendered.is_occluded, video.fps
        )
        frames = list(read_frames(folder / video.file_name, video.size_wh))
        if len(frames) != video.frame_count:
            raise VideoFileError(
                f"expected {video.frame_count} frames in {video.file_name}, got {len(frames)}; "
                "use ffmpeg 5.1 or newer"
            )
        crops = folder / "cropped_aligned" / person.name
        write_crops(crops, frames, transforms, is_missed)
        if video.has_stray_file:
            (crops / ".DS_Store").write_bytes(b"\0\0\0\1Bud1\0")
        unlabeled = {}
        present = rendered.au_intensity >= PRESENT_INTENSITY
        for k, task in enumerate(person.tasks):
            spans = (
                sample_unlabeled_spans(rng, task, video.frame_count, video.fps)
                if person.has_unlabeled[k]
                else []
            )
            unlabeled[task] = spans
            rows = task_rows(
                task, present, performance.affect.expression, performance.affect.va, spans
            )
            path = folder / "annotations" / f"{task}_Set" / video.split / f"{person.name}.txt"
            write_annotation(path, task, rows, person.row_difference[k], video.quirk)
        write_arrays(
            folder / "truth" / f"{person.name}.npz",
            track_arrays(video, performance, rendered, transforms, is_missed),
        )
        starts = stream_starts(folder / video.file_name)
        audio_start_s = starts["audio"] - starts["video"]
        metadata = track_metadata(
            video, number, performance, audio, rendered, unlabeled, audio_start_s
        )
        write_json(folder / "truth" / f"{person.name}.json", metadata)


def _output_paths(video: VideoPlan) -> list[str]:
    """Returns all outputs of a video in the order of publication, the metadata last."""
    paths = [video.file_name]
    for person in video.people:
        paths.append(f"cropped_aligned/{person.name}")
        paths += [
            f"annotations/{task}_Set/{video.split}/{person.name}.txt" for task in person.tasks
        ]
        paths.append(f"truth/{person.name}.npz")
    return paths + [f"truth/{person.name}.json" for person in reversed(video.people)]


def is_finished(out_dir: Path, video: VideoPlan) -> bool:
    return (out_dir / _output_paths(video)[-1]).is_file()


def remove_partial_output(out_dir: Path, video: VideoPlan) -> None:
    """Removes outputs of a video left by an interrupted run."""
    for name in reversed(_output_paths(video)):
        path = out_dir / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def publish_output(folder: Path, out_dir: Path, video: VideoPlan) -> None:
    """Moves the outputs of a complete video to their final location."""
    for name in _output_paths(video):
        target = out_dir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / name, target)
    shutil.rmtree(folder)


@lru_cache(maxsize=1)
def _open_generator(config: VideoSetConfig, out_dir: Path, data_dir: Path) -> VideoGenerator:
    """Returns the generator of this process, created by its first job so that errors propagate."""
    cv2.setNumThreads(1)
    return VideoGenerator(config, out_dir, data_dir)


def _generate(job: tuple[VideoSetConfig, Path, Path, VideoPlan]) -> int:
    """Generates one video in a worker process; returns its number of face frames."""
    config, out_dir, data_dir, video = job
    _open_generator(config, out_dir, data_dir).generate(video)
    return face_frames(video)


def face_frames(video: VideoPlan) -> int:
    """Returns the number of frames times people."""
    return video.frame_count * len(video.people)


def _check_config(config: VideoSetConfig, out_dir: Path) -> None:
    """Checks that a folder is empty or holds this configuration."""
    path = out_dir / METADATA_NAME
    expected = {"size": config.size, "seed": config.seed, "plan_version": PLAN_VERSION}
    if path.exists():
        stored = {key: json.loads(path.read_text()).get(key) for key in expected}
        if stored != expected:
            raise ValueError(
                f"expected an empty folder or one with {expected}, got {stored} in {path}; "
                "choose another folder"
            )
    elif out_dir.exists() and any(out_dir.iterdir()):
        raise ValueError(
            f"expected an empty folder or a RenderWild, got other files in {out_dir}; "
            "choose another folder"
        )


def describe(config: VideoSetConfig, videos: list[VideoPlan]) -> dict[str, Any]:
    """Returns the contents of `renderwild.json`."""
    people = [person for video in videos for person in video.people]
    return {
        "size": config.size,
        "seed": config.seed,
        "plan_version": PLAN_VERSION,
        "videos": len(videos),
        "tracks": len(people),
        "identities": len({person.identity for person in people}),
        "video_frames": sum(video.frame_count for video in videos),
        "face_frames": sum(video.frame_count * len(video.people) for video in videos),
        "tile_px": SIZES[config.size].tile_px,
        "mismatched_fraction": MISMATCHED_FRACTION,
        "labels": "au, expression, valence and arousal are those of the rendering, "
        "not ratings by people",
    }


def write_videos(
    config: VideoSetConfig, out_dir: Path, data_dir: Path, workers: int, split: str = "all"
) -> int:
    """Generates the missing videos of a split (of `SPLITS`); returns the number of new videos.

    Raises:
        ValueError: The folder holds another configuration.
        FileNotFoundError: Data are missing.
        VideoFileError: ffmpeg is missing or failed.
        RendererError: OpenGL is not available.
    """
    if split not in SPLITS:
        raise ValueError(f"expected split to be one of {', '.join(SPLITS)}, got {split!r}")
    videos = plan_videos(config.size, config.seed)
    _check_config(config, out_dir)
    require_ffmpeg()
    open_voice_corpus(data_dir)
    for name in ("makehuman_head/mh_head.npz", "facshuman_targets/facshuman_targets.npz"):
        if not (data_dir / name).is_file():
            raise FileNotFoundError(
                f"expected the head mesh in {data_dir / name}, got none; "
                "give the data folder with --data"
            )
    out_dir.mkdir(parents=True, exist_ok=True)
    write_json(out_dir / METADATA_NAME, describe(config, videos))
    selected = [
        video
        for video in videos
        if split == "all" or video.is_validation == (split == "validation")
    ]
    missing = [video for video in selected if not is_finished(out_dir, video)]
    missing.sort(key=face_frames, reverse=True)  # longest first, so that workers finish together
    with count_progress() as progress:
        total = sum(face_frames(video) for video in selected)
        bar = progress.add_task(
            "frames", total=total, completed=total - sum(face_frames(video) for video in missing)
        )
        for done in _generate_all(
            [(config, out_dir, data_dir, video) for video in missing], workers
        ):
            progress.advance(bar, done)
    shutil.rmtree(out_dir / UNFINISHED, ignore_errors=True)
    return len(missing)


def _generate_all(
    jobs: list[tuple[VideoSetConfig, Path, Path, VideoPlan]], workers: int
) -> Iterator[int]:
    """Yields the face frames of each completed video; the first error stops all workers."""
    if not jobs:
        return
    pool = ProcessPoolExecutor(min(workers, len(jobs)), multiprocessing.get_context("spawn"))
    try:
        for future in as_completed([pool.submit(_generate, job) for job in jobs]):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
