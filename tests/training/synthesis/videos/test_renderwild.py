"""Tests of a tiny RenderWild, read like Aff-Wild2: layout, labels, crops, audio, resuming."""

import json
import re
import shutil
from collections import Counter

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from faceaffect.geometry import (
    CANONICAL_KEYPOINTS_XY,
    invert_transforms,
    keypoints_from_landmarks,
    transform_points,
)
from faceaffect.labels import AU_NAMES
from training.audio.audio_file import read_audio
from training.synthesis.__main__ import main
from training.synthesis.expression_sampler import PRESENT_INTENSITY
from training.synthesis.videos.plan import MISMATCHED_FRACTION
from training.synthesis.videos.video_file import (
    AUDIO_RATE_HZ,
    VideoFileError,
    require_ffmpeg,
    stream_starts,
)
from training.synthesis.videos.voice_corpus import MATCHING_VOICE_EMOTIONS, VALIDATION_SPEAKERS
from training.synthesis.videos.write_videos import VideoSetConfig, write_videos

pytestmark = [pytest.mark.shared, pytest.mark.timeout(900)]  # the first test renders the videos

HEADERS = {
    "AU": "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26",
    "EXPR": "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise",
    "VA": "valence,arousal",
}
INVALID = {"AU": -1, "EXPR": -1, "VA": -5}


@pytest.fixture(scope="module")
def tracks(renderwild_tiny):
    """Metadata by track name, each with its ground truth under "arrays"."""
    tracks = {}
    for path in sorted((renderwild_tiny / "truth").glob("*.json")):
        track = json.loads(path.read_text())
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            track["arrays"] = {name: arrays[name] for name in arrays.files}
        tracks[path.stem] = track
    return tracks


def read_labels(path, task):
    """Returns header and values [rows, columns] of an annotation file."""
    header, *lines = path.read_text().split("\n")
    return header, np.array(
        [[float(cell) for cell in line.strip(" ,").split(",")] for line in lines if line.strip()]
    )


def annotation_files(folder):
    """Yields (task, split, path) of every annotation file."""
    for path in sorted((folder / "annotations").glob("*_Set/*_Set/*.txt")):
        yield path.parts[-3].removesuffix("_Set"), path.parts[-2], path


def test_write_videos_creates_affwild2_layout(renderwild_tiny, tracks):
    tasks = Counter(task for task, _, _ in annotation_files(renderwild_tiny))
    assert set(tasks) == set(HEADERS)
    assert {split for _, split, _ in annotation_files(renderwild_tiny)} == {
        "Train_Set",
        "Validation_Set",
    }
    crops = {path.name for path in (renderwild_tiny / "cropped_aligned").iterdir()}
    assert crops == set(tracks) == {path.stem for _, _, path in annotation_files(renderwild_tiny)}
    videos = {
        str(path.relative_to(renderwild_tiny)) for path in renderwild_tiny.glob("videos/batch*/*")
    }
    assert videos == {track["video"] for track in tracks.values()}
    assert not (renderwild_tiny / ".unfinished").exists()


def test_write_videos_pair_has_left_and_right_tracks(tracks):
    suffixed = {name for name in tracks if re.search(r"_(left|right)$", name)}
    assert len(suffixed) == 4
    for name in suffixed:
        base = name.rpartition("_")[0]
        assert tracks[name]["video"].endswith(f"/{base}.mp4")
        assert base not in tracks
        half = tracks[name]["size_wh"][0] / 2
        assert (tracks[name]["arrays"]["landmarks_xy"][:, 30, 0].mean() > half) == name.endswith(
            "_right"
        )


def test_annotations_match_ground_truth(renderwild_tiny, tracks):
    invalid_counts = Counter()
    for task, split, path in annotation_files(renderwild_tiny):
        track = tracks[path.stem]
        assert track["split"] == split
        assert task in track["tasks"]
        header, values = read_labels(path, task)
        assert header == HEADERS[task]
        truth = {
            "AU": track["arrays"]["au_intensity"] >= PRESENT_INTENSITY,
            "EXPR": track["arrays"]["expression"][:, None],
            "VA": track["arrays"]["va"],
        }[task]
        rows = min(len(values), len(truth))
        assert abs(len(values) - track["frame_count"]) <= 1
        is_labeled = values[:rows] != INVALID[task]
        assert np.abs(values[:rows] - truth[:rows])[is_labeled].max(initial=0) < 0.00051
        invalid_counts[task] += int((~is_labeled).sum())
        assert is_labeled.mean() > 0.5
        if task == "VA":
            assert np.abs(values[values != -5]).max() <= 1
        else:
            assert set(np.unique(values)) <= set(range(-1, 2 if task == "AU" else 7))
    assert min(invalid_counts.values()) > 0
    assert len(invalid_counts) == 3


def test_annotations_row_count_differs_from_frames_by_at_most_one(renderwild_tiny, tracks):
    differences = Counter()
    for task, _, path in annotation_files(renderwild_tiny):
        video = cv2.VideoCapture(str(renderwild_tiny / tracks[path.stem]["video"]))
        frames = 0
        while video.grab():
            frames += 1
        assert frames == tracks[path.stem]["frame_count"]
        differences[len(read_labels(path, task)[1]) - frames] += 1
    assert set(differences) == {-1, 0, 1}


def test_annotations_cover_all_task_combinations_and_split_by_identity(renderwild_tiny, tracks):
    by_track, split_of = {}, {}
    for task, split, path in annotation_files(renderwild_tiny):
        by_track.setdefault(path.stem, set()).add(task)
        split_of.setdefault(tracks[path.stem]["identity"], set()).add(split)
    assert len({frozenset(tasks) for tasks in by_track.values()}) == 7
    assert all(len(splits) == 1 for splits in split_of.values())
    assert len({next(iter(splits)) for splits in split_of.values()}) == 2
    for track in tracks.values():
        speaker = track["voice"]["speaker"]
        assert speaker is None or (speaker in VALIDATION_SPEAKERS) == (
            track["split"] == "Validation_Set"
        )


def test_crops_are_aligned_and_partially_missing(renderwild_tiny, tracks):
    gaps = 0
    for name, track in tracks.items():
        folder = renderwild_tiny / "cropped_aligned" / name
        numbers = [int(path.stem) for path in sorted(folder.glob("*.jpg"))]
        assert numbers == (np.flatnonzero(track["arrays"]["cropped"]) + 1).tolist()
        gaps += track["frame_count"] - len(numbers)
        assert len(numbers) > 0.4 * track["frame_count"]
        for number in numbers[::11]:
            crop = cv2.imread(str(folder / f"{number:05d}.jpg"))
            assert crop.shape == (112, 112, 3)
            assert crop[30:90, 30:80].std() > 4  # not an empty background
        transforms, landmarks = track["arrays"]["crop_to_frame"], track["arrays"]["landmarks_xy"]
        frontal = np.abs(track["arrays"]["pose_deg"][:, 0]) < 12
        keypoints = transform_points(
            invert_transforms(transforms), keypoints_from_landmarks(landmarks)
        )[frontal]
        if len(keypoints):
            assert np.abs(keypoints - CANONICAL_KEYPOINTS_XY).mean() < 4
    assert gaps > 5
    assert list(renderwild_tiny.glob("cropped_aligned/*/.DS_Store"))


def test_crops_match_frames_of_their_number(renderwild_tiny, tracks):
    """Compares each crop with nearby frames, cropped with the stored transform."""
    name, track = next(
        (n, track) for n, track in tracks.items() if not re.search(r"_(left|right)$", n)
    )
    video = cv2.VideoCapture(str(renderwild_tiny / track["video"]))
    frames = [video.read()[1] for _ in range(track["frame_count"])]
    hits = []
    for k in np.flatnonzero(track["arrays"]["cropped"])[3:-3:3]:
        crop = cv2.imread(
            str(renderwild_tiny / "cropped_aligned" / name / f"{k + 1:05d}.jpg")
        ).astype(int)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        near = [
            cv2.warpAffine(
                frames[k + d], track["arrays"]["crop_to_frame"][k], (112, 112), flags=flags
            )
            for d in range(-3, 4)
        ]
        hits.append(np.argmin([np.abs(cut - crop).mean() for cut in near]) == 3)
    assert np.mean(hits) > 0.9


def lip_gap(landmarks_xy):
    """Returns the lip opening [n] relative to the interocular distance."""
    eyes = np.linalg.norm(
        landmarks_xy[:, 36:42].mean(axis=1) - landmarks_xy[:, 42:48].mean(axis=1), axis=1
    )
    return np.linalg.norm(landmarks_xy[:, 62] - landmarks_xy[:, 66], axis=1) / eyes


def audio_level_db(path, time_s):
    """Returns the level [n] in decibels of the audio of a file at frame times."""
    samples, starts = read_audio(path, AUDIO_RATE_HZ).samples, stream_starts(path)
    half = AUDIO_RATE_HZ // 20
    centers = ((time_s + starts["video"] - starts["audio"]) * AUDIO_RATE_HZ).astype(int)
    windows = [samples[max(0, c - half) : max(0, c + half)] for c in centers]
    return np.array(
        [
            20 * np.log10(np.sqrt((window**2).mean()) + 1e-4) if len(window) else -80.0
            for window in windows
        ]
    )


def test_lip_opening_correlates_with_audio_level(renderwild_tiny, tracks):
    aligned = []
    delayed = []
    for name, track in tracks.items():
        if re.search(r"_(left|right)$", name) or not track["voice"]["sentences"]:
            continue
        gap, time_s = lip_gap(track["arrays"]["landmarks_xy"]), track["arrays"]["time_s"]
        for values, delay_s in ((aligned, 0.0), (delayed, 0.5)):
            level = audio_level_db(renderwild_tiny / track["video"], time_s + delay_s)
            values.append(np.corrcoef(level, gap)[0, 1])
    assert len(aligned) >= 5
    assert np.median(aligned) > 0.5, aligned
    assert np.median(aligned) > np.median(delayed) + 0.2, (aligned, delayed)


def test_audio_start_matches_metadata(renderwild_tiny, tracks):
    late = [track for track in tracks.values() if abs(track["audio_start_s"]) > 0.05]
    assert 0 < len(late) < len(tracks)
    for track in tracks.values():
        starts = stream_starts(renderwild_tiny / track["video"])
        assert starts["audio"] - starts["video"] == pytest.approx(track["audio_start_s"], abs=1e-3)


def test_voices_match_expressions_except_documented_fraction(renderwild_tiny, tracks):
    videos = {
        track["video"]: (track["voice"]["mismatched"], track["split"]) for track in tracks.values()
    }
    for split in ("Train_Set", "Validation_Set"):
        flags = [mismatched for mismatched, video_split in videos.values() if video_split == split]
        assert sum(flags) == round(MISMATCHED_FRACTION * len(flags))
    assert (
        json.loads((renderwild_tiny / "renderwild.json").read_text())["mismatched_fraction"]
        == MISMATCHED_FRACTION
    )
    speech = [
        (track["voice"]["mismatched"], s)
        for track in tracks.values()
        for s in track["voice"]["sentences"]
    ]
    assert len(speech) >= 6
    for is_mismatched, sentence in speech:
        assert (
            sentence["emotion"] in MATCHING_VOICE_EMOTIONS[sentence["expression"]]
        ) != is_mismatched


def test_ground_truth_is_complete(tracks):
    for track in tracks.values():
        arrays, count = track["arrays"], track["frame_count"]
        assert all(len(rows) == count for rows in arrays.values())
        assert arrays["au_intensity"].shape == (count, len(AU_NAMES))
        assert np.ptp(arrays["pose_deg"][:, 0]) > 0.5
        width, height = track["size_wh"]
        inside = (arrays["landmarks_xy"] > (-4, -4)) & (
            arrays["landmarks_xy"] < (width + 4, height + 4)
        )
        assert inside.mean() > 0.97
        assert bool(track["occluded_frames"]) == arrays["occluded"].any()
        assert (
            track["rig"] == "facs" or arrays["au_intensity"][:, AU_NAMES.index("AU23")].max() == 0
        )
    assert {track["rig"] for track in tracks.values()} == {"facs", "arkit"}
    assert any(track["occluded_frames"] for track in tracks.values())


def read_files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_write_videos_after_interruption_reproduces_all_bytes(
    renderwild_tiny, tracks, shared, tmp_path
):
    """One worker reproduces the bytes that two workers wrote."""
    before = read_files(renderwild_tiny)
    copy = tmp_path / "stopped"
    shutil.copytree(renderwild_tiny, copy)
    alone = [
        n
        for n in tracks
        if not re.search(r"_(left|right)$", n) and tracks[n]["split"] == "Train_Set"
    ]
    name = min(alone, key=lambda n: tracks[n]["frame_count"])
    (copy / "truth" / f"{name}.json").unlink()
    for crop in list((copy / "cropped_aligned" / name).glob("*.jpg"))[::2]:
        crop.unlink()
    (copy / ".unfinished" / name).mkdir(parents=True)
    assert (
        write_videos(
            VideoSetConfig("tiny", 1), copy, shared / "data", workers=1, split="validation"
        )
        == 0
    )
    assert (
        write_videos(VideoSetConfig("tiny", 1), copy, shared / "data", workers=1, split="train")
        == 1
    )
    after = read_files(copy)
    assert after.keys() == before.keys()
    assert [str(path) for path in before if before[path] != after[path]] == []
    assert write_videos(VideoSetConfig("tiny", 1), copy, shared / "data", workers=1) == 0


def test_write_videos_into_other_folder_raises(renderwild_tiny, shared, tmp_path):
    with pytest.raises(
        ValueError, match=r"expected an empty folder or one with .*'seed': 2.*got .*'seed': 1"
    ):
        write_videos(VideoSetConfig("tiny", 2), renderwild_tiny, shared / "data", workers=1)
    with pytest.raises(
        ValueError, match="expected split to be one of all, train, validation, got 'test'"
    ):
        write_videos(
            VideoSetConfig("tiny", 1), renderwild_tiny, shared / "data", workers=1, split="test"
        )
    (tmp_path / "precious.txt").write_text("keep")
    with pytest.raises(ValueError, match="got other files"):
        write_videos(VideoSetConfig("tiny", 1), tmp_path, shared / "data", workers=1)
    assert (tmp_path / "precious.txt").read_text() == "keep"


def test_videos_command_without_data_or_ffmpeg_names_what_is_missing(monkeypatch, tmp_path):
    result = CliRunner().invoke(
        main, ["videos", "--size", "tiny", "--out", str(tmp_path / "out"), "--data", str(tmp_path)]
    )
    assert result.exit_code == 1
    assert "expected labels.csv" in result.output
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VideoFileError, match="expected ffmpeg and ffprobe on the PATH"):
        require_ffmpeg()
