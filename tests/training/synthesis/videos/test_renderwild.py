"""RenderWild of size tiny, read back as any reader of Aff-Wild2 would: layout, labels, crops,
audio, resuming.
"""

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

pytestmark = [pytest.mark.shared, pytest.mark.timeout(900)]  # the first one waits for the videos

HEADERS = {
    "AU": "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26",
    "EXPR": "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise",
    "VA": "valence,arousal",
}
INVALID = {"AU": -1, "EXPR": -1, "VA": -5}


@pytest.fixture(scope="module")
def notes(renderwild_tiny):
    """The notes of the truth by track name, each with its arrays under "arrays"."""
    found = {}
    for path in sorted((renderwild_tiny / "truth").glob("*.json")):
        note = json.loads(path.read_text())
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            note["arrays"] = {name: arrays[name] for name in arrays.files}
        found[path.stem] = note
    return found


def read_labels(path, task):
    """Header and values [rows, columns] of an annotation file."""
    header, *lines = path.read_text().split("\n")
    return header, np.array(
        [[float(cell) for cell in line.strip(" ,").split(",")] for line in lines if line.strip()]
    )


def annotated(folder):
    """(task, split, track) of every annotation file."""
    for path in sorted((folder / "annotations").glob("*_Set/*_Set/*.txt")):
        yield path.parts[-3].removesuffix("_Set"), path.parts[-2], path


def test_layout(renderwild_tiny, notes):
    tasks = Counter(task for task, _, _ in annotated(renderwild_tiny))
    assert set(tasks) == set(HEADERS)
    assert {split for _, split, _ in annotated(renderwild_tiny)} == {"Train_Set", "Validation_Set"}
    crops = {path.name for path in (renderwild_tiny / "cropped_aligned").iterdir()}
    assert crops == set(notes) == {path.stem for _, _, path in annotated(renderwild_tiny)}
    videos = {
        str(path.relative_to(renderwild_tiny)) for path in renderwild_tiny.glob("videos/batch*/*")
    }
    assert videos == {note["video"] for note in notes.values()}
    assert not (renderwild_tiny / ".unfinished").exists()


def test_two_people_share_a_video(notes):
    suffixed = {name for name in notes if re.search(r"_(left|right)$", name)}
    assert len(suffixed) == 4
    for name in suffixed:
        base = name.rpartition("_")[0]
        assert notes[name]["video"].endswith(f"/{base}.mp4")
        assert base not in notes
        half = notes[name]["size_wh"][0] / 2
        assert (notes[name]["arrays"]["landmarks_xy"][:, 30, 0].mean() > half) == name.endswith(
            "_right"
        )


def test_labels_agree_with_the_truth(renderwild_tiny, notes):
    seen_invalid = Counter()
    for task, split, path in annotated(renderwild_tiny):
        note = notes[path.stem]
        assert note["split"] == split
        assert task in note["tasks"]
        header, values = read_labels(path, task)
        assert header == HEADERS[task]
        truth = {
            "AU": note["arrays"]["au_intensity"] >= PRESENT_INTENSITY,
            "EXPR": note["arrays"]["expression"][:, None],
            "VA": note["arrays"]["va"],
        }[task]
        rows = min(len(values), len(truth))
        assert abs(len(values) - note["frame_count"]) <= 1
        given = values[:rows] != INVALID[task]
        assert np.abs(values[:rows] - truth[:rows])[given].max(initial=0) < 0.00051
        seen_invalid[task] += int((~given).sum())
        assert given.mean() > 0.5
        if task == "VA":
            assert np.abs(values[values != -5]).max() <= 1
        else:
            assert set(np.unique(values)) <= set(range(-1, 2 if task == "AU" else 7))
    assert min(seen_invalid.values()) > 0
    assert len(seen_invalid) == 3


def test_row_counts_differ_from_frames_by_at_most_one(renderwild_tiny, notes):
    differences = Counter()
    for task, _, path in annotated(renderwild_tiny):
        video = cv2.VideoCapture(str(renderwild_tiny / notes[path.stem]["video"]))
        frames = 0
        while video.grab():
            frames += 1
        assert frames == notes[path.stem]["frame_count"]
        differences[len(read_labels(path, task)[1]) - frames] += 1
    assert set(differences) == {-1, 0, 1}


def test_all_seven_combinations_and_splits_by_identity(renderwild_tiny, notes):
    by_track, split_of = {}, {}
    for task, split, path in annotated(renderwild_tiny):
        by_track.setdefault(path.stem, set()).add(task)
        split_of.setdefault(notes[path.stem]["identity"], set()).add(split)
    assert len({frozenset(tasks) for tasks in by_track.values()}) == 7
    assert all(len(splits) == 1 for splits in split_of.values())
    assert len({next(iter(splits)) for splits in split_of.values()}) == 2
    for note in notes.values():
        speaker = note["voice"]["speaker"]
        assert speaker is None or (speaker in VALIDATION_SPEAKERS) == (
            note["split"] == "Validation_Set"
        )


def test_crops_are_aligned_and_some_are_missing(renderwild_tiny, notes):
    gaps = 0
    for name, note in notes.items():
        folder = renderwild_tiny / "cropped_aligned" / name
        numbers = [int(path.stem) for path in sorted(folder.glob("*.jpg"))]
        assert numbers == (np.flatnonzero(note["arrays"]["cropped"]) + 1).tolist()
        gaps += note["frame_count"] - len(numbers)
        assert len(numbers) > 0.4 * note["frame_count"]
        for number in numbers[::11]:
            crop = cv2.imread(str(folder / f"{number:05d}.jpg"))
            assert crop.shape == (112, 112, 3)
            assert crop[30:90, 30:80].std() > 4  # not an empty piece of wall
        transforms, landmarks = note["arrays"]["crop_to_frame"], note["arrays"]["landmarks_xy"]
        frontal = np.abs(note["arrays"]["pose_deg"][:, 0]) < 12
        keypoints = transform_points(invert_transforms(transforms), keypoints_from_landmarks(landmarks))[
            frontal
        ]
        if len(keypoints):
            assert np.abs(keypoints - CANONICAL_KEYPOINTS_XY).mean() < 4
    assert gaps > 5
    assert list(renderwild_tiny.glob("cropped_aligned/*/.DS_Store"))


def test_crops_show_the_frame_of_their_number(renderwild_tiny, notes):
    """Each crop against the frames of the video, cut with the stored map: the nearest frame is its
    own.
    """
    name, note = next((n, note) for n, note in notes.items() if not re.search(r"_(left|right)$", n))
    video = cv2.VideoCapture(str(renderwild_tiny / note["video"]))
    frames = [video.read()[1] for _ in range(note["frame_count"])]
    hits = []
    for k in np.flatnonzero(note["arrays"]["cropped"])[3:-3:3]:
        crop = cv2.imread(
            str(renderwild_tiny / "cropped_aligned" / name / f"{k + 1:05d}.jpg")
        ).astype(int)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        near = [
            cv2.warpAffine(
                frames[k + d], note["arrays"]["crop_to_frame"][k], (112, 112), flags=flags
            )
            for d in range(-3, 4)
        ]
        hits.append(np.argmin([np.abs(cut - crop).mean() for cut in near]) == 3)
    assert np.mean(hits) > 0.9


def lip_gap(landmarks_xy):
    """Distance of the inner lips [n] over that between the eyes."""
    eyes = np.linalg.norm(
        landmarks_xy[:, 36:42].mean(axis=1) - landmarks_xy[:, 42:48].mean(axis=1), axis=1
    )
    return np.linalg.norm(landmarks_xy[:, 62] - landmarks_xy[:, 66], axis=1) / eyes


def heard_level(path, time_s):
    """Decibels [n] of a file's audio at frame times since the first frame, from its samples and
    time stamps alone.
    """
    samples, starts = read_audio(path, AUDIO_RATE_HZ).samples, stream_starts(path)
    half = AUDIO_RATE_HZ // 20
    centers = ((time_s + starts["video"] - starts["audio"]) * AUDIO_RATE_HZ).astype(int)
    pieces = [samples[max(0, c - half) : max(0, c + half)] for c in centers]
    return np.array(
        [
            20 * np.log10(np.sqrt((piece**2).mean()) + 1e-4) if len(piece) else -80.0
            for piece in pieces
        ]
    )


def test_mouth_opening_follows_the_audio_of_the_file(renderwild_tiny, notes):
    at_once, too_late = [], []
    for name, note in notes.items():
        if re.search(r"_(left|right)$", name) or not note["voice"]["sentences"]:
            continue
        gap, time_s = lip_gap(note["arrays"]["landmarks_xy"]), note["arrays"]["time_s"]
        for values, delay_s in ((at_once, 0.0), (too_late, 0.5)):
            level = heard_level(renderwild_tiny / note["video"], time_s + delay_s)
            values.append(np.corrcoef(level, gap)[0, 1])
    assert len(at_once) >= 5
    assert np.median(at_once) > 0.5, at_once
    assert np.median(at_once) > np.median(too_late) + 0.2, (at_once, too_late)


def test_audio_may_start_apart_from_the_image(renderwild_tiny, notes):
    late = [note for note in notes.values() if abs(note["audio_start_s"]) > 0.05]
    assert 0 < len(late) < len(notes)
    for note in notes.values():
        starts = stream_starts(renderwild_tiny / note["video"])
        assert starts["audio"] - starts["video"] == pytest.approx(note["audio_start_s"], abs=1e-3)


def test_voices_fit_but_for_the_stated_share(renderwild_tiny, notes):
    videos = {
        note["video"]: (note["voice"]["mismatched"], note["split"]) for note in notes.values()
    }
    for split in ("Train_Set", "Validation_Set"):
        flags = [mismatched for mismatched, side in videos.values() if side == split]
        assert sum(flags) == round(MISMATCHED_FRACTION * len(flags))
    assert (
        json.loads((renderwild_tiny / "renderwild.json").read_text())["mismatched_share"]
        == MISMATCHED_FRACTION
    )
    speech = [
        (note["voice"]["mismatched"], s)
        for note in notes.values()
        for s in note["voice"]["sentences"]
    ]
    assert len(speech) >= 6
    for is_mismatched, sentence in speech:
        assert (sentence["emotion"] in MATCHING_VOICE_EMOTIONS[sentence["expression"]]) != is_mismatched


def test_truth_is_whole(notes):
    for note in notes.values():
        arrays, count = note["arrays"], note["frame_count"]
        assert all(len(rows) == count for rows in arrays.values())
        assert arrays["au_intensity"].shape == (count, len(AU_NAMES))
        assert np.ptp(arrays["pose_deg"][:, 0]) > 0.5
        width, height = note["size_wh"]
        inside = (arrays["landmarks_xy"] > (-4, -4)) & (
            arrays["landmarks_xy"] < (width + 4, height + 4)
        )
        assert inside.mean() > 0.97
        assert bool(note["occluded_frames"]) == arrays["occluded"].any()
        assert note["rig"] == "facs" or arrays["au_intensity"][:, AU_NAMES.index("AU23")].max() == 0
    assert {note["rig"] for note in notes.values()} == {"facs", "arkit"}
    assert any(note["occluded_frames"] for note in notes.values())


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_stopped_run_goes_on_and_workers_change_nothing(renderwild_tiny, notes, shared, tmp_path):
    """Made by one worker after others instead of by two: the same bytes."""
    before = contents(renderwild_tiny)
    copy = tmp_path / "stopped"
    shutil.copytree(renderwild_tiny, copy)
    alone = [
        n for n in notes if not re.search(r"_(left|right)$", n) and notes[n]["split"] == "Train_Set"
    ]
    name = min(alone, key=lambda n: notes[n]["frame_count"])
    (copy / "truth" / f"{name}.json").unlink()
    for crop in list((copy / "cropped_aligned" / name).glob("*.jpg"))[::2]:
        crop.unlink()
    (copy / ".unfinished" / name).mkdir(parents=True)
    assert (
        write_videos(VideoSetConfig("tiny", 1), copy, shared / "data", workers=1, part="validation") == 0
    )
    assert write_videos(VideoSetConfig("tiny", 1), copy, shared / "data", workers=1, part="train") == 1
    after = contents(copy)
    assert after.keys() == before.keys()
    assert [str(path) for path in before if before[path] != after[path]] == []
    assert write_videos(VideoSetConfig("tiny", 1), copy, shared / "data", workers=1) == 0


def test_a_folder_belongs_to_one_order(renderwild_tiny, shared, tmp_path):
    with pytest.raises(ValueError, match=r"same config .*'seed': 2.*got .*'seed': 1"):
        write_videos(VideoSetConfig("tiny", 2), renderwild_tiny, shared / "data", workers=1)
    with pytest.raises(ValueError, match="part must be one of all, train, validation, got 'test'"):
        write_videos(VideoSetConfig("tiny", 1), renderwild_tiny, shared / "data", workers=1, part="test")
    (tmp_path / "precious.txt").write_text("keep")
    with pytest.raises(ValueError, match="got other files"):
        write_videos(VideoSetConfig("tiny", 1), tmp_path, shared / "data", workers=1)
    assert (tmp_path / "precious.txt").read_text() == "keep"


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    result = CliRunner().invoke(
        main, ["wild", "--size", "tiny", "--out", str(tmp_path / "out"), "--data", str(tmp_path)]
    )
    assert result.exit_code == 1
    assert "voices must lie in" in result.output
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VideoFileError, match="needs ffmpeg and ffprobe on the PATH"):
        require_ffmpeg()
