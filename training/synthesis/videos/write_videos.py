"""Writes RenderWild: the layout of Aff-Wild2, plus `truth/` and `renderwild.json`.

A video is built under `.unfinished/` and moved into place when it is whole; its note
`truth/VIDEO.json` comes last, so a stopped run goes on with the first video that has none. A
video depends on size, seed and its number only.
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
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from training.synthesis.expression_sampler import PRESENT_INTENSITY
from training.synthesis.face import FaceRenderer
from training.synthesis.head_mesh import load_head
from training.synthesis.videos.annotations import draw_invalid, task_rows, write_annotation
from training.synthesis.videos.audio_track import LEAD_S, AudioTrack
from training.synthesis.videos.crops import find_misses, jittered_maps, write_crops
from training.synthesis.videos.ground_truth import (
    truth_arrays,
    truth_note,
    write_arrays,
    write_note,
)
from training.synthesis.videos.performance import Performance, perform
from training.synthesis.videos.plan import (
    MISMATCHED_SHARE,
    PLAN_VERSION,
    SIZES,
    VideoPlan,
    plan_wild,
)
from training.synthesis.videos.render_video import (
    FilmedPerson,
    hide_for_a_while,
    render_person,
    shoot,
)
from training.synthesis.videos.video_file import (
    AUDIO_RATE_HZ,
    MovieError,
    MovieStyle,
    read_frames,
    require_ffmpeg,
    stream_starts,
    write_movie,
)
from training.synthesis.videos.voices import VoiceCorpus, open_voices

NOTE_NAME: Final[str] = "renderwild.json"
PARTS: Final = ("all", "train", "validation")
"""Of an order, what is made now; the rest may follow into the same folder."""
UNFINISHED: Final[str] = ".unfinished"


class StudioError(RuntimeError):
    """No image can be drawn on this machine."""


@dataclass(frozen=True, slots=True)
class WildOrder:
    """What to make."""

    size: str  # a key of plan.SIZES
    seed: int


class WildMaker:
    """Makes videos of an order; holds a GL context, so one a process."""

    def __init__(self, order: WildOrder, out_dir: Path, data_dir: Path) -> None:
        self.order = order
        self.out_dir = out_dir
        self.shelf: VoiceCorpus = open_voices(data_dir)
        head = load_head(data_dir)
        try:
            self.studio = FaceRenderer(head, SIZES[order.size].tile_px, data_dir)
        except Exception as error:  # moderngl raises bare Exception without a GL driver
            raise StudioError(
                f"rendering needs OpenGL through EGL (Debian: libegl1 libgl1-mesa-dri): {error}"
            ) from error

    def make(self, video: VideoPlan) -> None:
        """Render a video and put everything that belongs to it in place."""
        remove_traces(self.out_dir, video)
        folder = self.out_dir / UNFINISHED / video.name
        shutil.rmtree(folder, ignore_errors=True)
        acts, audio = perform(self.order.seed, video, self.studio, self.shelf)
        people = self._film(video, acts)
        self._write_movie(folder / video.file_name, video, people, audio)
        for number, (act, person) in enumerate(zip(acts, people, strict=True)):
            self._write_track(folder, video, number, act, person, audio)
        move_into_place(folder, self.out_dir, video)

    def _rng(self, video: VideoPlan, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.order.seed, video.index, stream])

    def _film(self, video: VideoPlan, acts: list[Performance]) -> list[FilmedPerson]:
        tile_px, width = self.studio.size_px, video.size_wh[0]
        people = []
        for k, act in enumerate(acts):
            rng = self._rng(video, 50 + k)
            left_px = (
                k * tile_px
                if len(acts) > 1
                else int(rng.integers(0, (width - tile_px) // 2 + 1)) * 2
            )
            people.append(render_person(rng, self.studio, act, left_px))
        if video.is_occluded:
            rng = self._rng(video, 55)
            whom = int(rng.integers(len(people)))
            people[whom] = hide_for_a_while(rng, people[whom], video.fps)
        return people

    def _write_movie(
        self, path: Path, video: VideoPlan, people: list[FilmedPerson], audio: AudioTrack
    ) -> None:
        path.parent.mkdir(parents=True)
        heard = audio.mixed[round((LEAD_S + video.audio_start_s) * AUDIO_RATE_HZ) :]
        style = MovieStyle(video.fps, video.quality, video.audio_start_s, video.is_avi)
        write_movie(path, shoot(self._rng(video, 56), video, people, self.studio), heard, style)

    def _write_track(
        self,
        folder: Path,
        video: VideoPlan,
        number: int,
        act: Performance,
        filmed: FilmedPerson,
        audio: AudioTrack,
    ) -> None:
        person = video.people[number]
        rng = self._rng(video, 60 + number)
        maps = jittered_maps(rng, filmed.landmarks_xy, video.fps)
        is_missed = find_misses(rng, act.head.pose_deg, filmed.is_occluded, video.fps)
        frames = list(read_frames(folder / video.file_name, video.size_wh))
        if len(frames) != video.frame_count:
            raise MovieError(
                f"{video.file_name} must decode to {video.frame_count} frames, got {len(frames)}; is ffmpeg older than 5.1?"
            )
        crops = folder / "cropped_aligned" / person.name
        write_crops(crops, frames, maps, is_missed)
        if video.has_stray_file:
            (crops / ".DS_Store").write_bytes(b"\0\0\0\1Bud1\0")
        invalid = {}
        present = filmed.au_intensity >= PRESENT_INTENSITY
        for k, task in enumerate(person.tasks):
            stretches = (
                draw_invalid(rng, task, video.frame_count, video.fps)
                if person.has_invalid[k]
                else []
            )
            invalid[task] = stretches
            rows = task_rows(task, present, act.affect.expression, act.affect.va, stretches)
            path = folder / "annotations" / f"{task}_Set" / video.split / f"{person.name}.txt"
            write_annotation(path, task, rows, person.row_difference[k], video.quirk)
        write_arrays(
            folder / "truth" / f"{person.name}.npz",
            truth_arrays(video, act, filmed, maps, is_missed),
        )
        starts = stream_starts(folder / video.file_name)
        note = truth_note(
            video, number, act, audio, filmed, invalid, starts["audio"] - starts["video"]
        )
        write_note(folder / "truth" / f"{person.name}.json", note)


def _places(video: VideoPlan) -> list[str]:
    """Everything that a video may leave in a folder, in the order of moving; the notes come last."""
    places = [video.file_name]
    for person in video.people:
        places.append(f"cropped_aligned/{person.name}")
        places += [
            f"annotations/{task}_Set/{video.split}/{person.name}.txt" for task in person.tasks
        ]
        places.append(f"truth/{person.name}.npz")
    return places + [f"truth/{person.name}.json" for person in reversed(video.people)]


def is_finished(out_dir: Path, video: VideoPlan) -> bool:
    return (out_dir / _places(video)[-1]).is_file()


def remove_traces(out_dir: Path, video: VideoPlan) -> None:
    """Take away what a stopped run left of a video."""
    for place in reversed(_places(video)):
        path = out_dir / place
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def move_into_place(folder: Path, out_dir: Path, video: VideoPlan) -> None:
    """Move a whole video out of its workshop."""
    for place in _places(video):
        target = out_dir / place
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / place, target)
    shutil.rmtree(folder)


@lru_cache(maxsize=1)
def _open_maker(order: WildOrder, out_dir: Path, data_dir: Path) -> WildMaker:
    """The maker of this process; opened by its first job, so that a failure reaches the caller."""
    cv2.setNumThreads(1)
    return WildMaker(order, out_dir, data_dir)


def _make(job: tuple[WildOrder, Path, Path, VideoPlan]) -> int:
    """Make one video in a worker; returns its face frames."""
    order, out_dir, data_dir, video = job
    _open_maker(order, out_dir, data_dir).make(video)
    return face_frames(video)


def face_frames(video: VideoPlan) -> int:
    """Frames times people."""
    return video.frame_count * len(video.people)


def _check_order(order: WildOrder, out_dir: Path) -> None:
    """A folder belongs to one order."""
    path = out_dir / NOTE_NAME
    wanted = {"size": order.size, "seed": order.seed, "plan_version": PLAN_VERSION}
    if path.exists():
        stored = {key: json.loads(path.read_text()).get(key) for key in wanted}
        if stored != wanted:
            raise ValueError(
                f"out must be empty or hold the same order {wanted}, got {stored} in {path}; take another folder"
            )
    elif out_dir.exists() and any(out_dir.iterdir()):
        raise ValueError(
            f"out must be empty or hold a RenderWild, got other files in {out_dir}; take another folder"
        )


def describe(order: WildOrder, videos: list[VideoPlan]) -> dict[str, Any]:
    """What `renderwild.json` says of an order."""
    people = [person for video in videos for person in video.people]
    return {
        "size": order.size,
        "seed": order.seed,
        "plan_version": PLAN_VERSION,
        "videos": len(videos),
        "tracks": len(people),
        "identities": len({person.identity for person in people}),
        "video_frames": sum(video.frame_count for video in videos),
        "face_frames": sum(video.frame_count * len(video.people) for video in videos),
        "tile_px": SIZES[order.size].tile_px,
        "mismatched_share": MISMATCHED_SHARE,
        "labels": "au, expression, valence and arousal are those of the rendering, not ratings by people",
    }


def write_wild(
    order: WildOrder, out_dir: Path, data_dir: Path, workers: int, part: str = "all"
) -> int:
    """Make what is missing of an order, or of a `part` of it (PARTS); returns how many videos were
    made now.

    Raises ValueError for a folder of another order, FileNotFoundError for missing data,
    MovieError without ffmpeg, StudioError without OpenGL.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    videos = plan_wild(order.size, order.seed)
    _check_order(order, out_dir)
    require_ffmpeg()
    open_voices(data_dir)
    for wanted in ("makehuman_head/mh_head.npz", "facshuman_targets/facshuman_targets.npz"):
        if not (data_dir / wanted).is_file():
            raise FileNotFoundError(
                f"the head must lie in {data_dir / wanted}, none found; give the data folder with --data"
            )
    out_dir.mkdir(parents=True, exist_ok=True)
    write_note(out_dir / NOTE_NAME, describe(order, videos))
    wanted_now = [
        video for video in videos if part == "all" or video.is_validation == (part == "validation")
    ]
    missing = [video for video in wanted_now if not is_finished(out_dir, video)]
    missing.sort(key=face_frames, reverse=True)  # the longest first: workers end together
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        total = sum(face_frames(video) for video in wanted_now)
        bar = progress.add_task(
            "frames", total=total, completed=total - sum(face_frames(video) for video in missing)
        )
        for done in _make_all([(order, out_dir, data_dir, video) for video in missing], workers):
            progress.advance(bar, done)
    shutil.rmtree(out_dir / UNFINISHED, ignore_errors=True)
    return len(missing)


def _make_all(jobs: list[tuple[WildOrder, Path, Path, VideoPlan]], workers: int) -> Iterator[int]:
    """Face frames of each video as it is done; the first failure ends everything."""
    if not jobs:
        return
    pool = ProcessPoolExecutor(min(workers, len(jobs)), multiprocessing.get_context("spawn"))
    try:
        for future in as_completed([pool.submit(_make, job) for job in jobs]):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
