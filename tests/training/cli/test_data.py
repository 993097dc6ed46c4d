"""`python -m training data` on a synthetic Aff-Wild2 folder with playable videos."""

from __future__ import annotations

import re

import numpy as np
import pytest
from click.testing import CliRunner
from pyarrow import parquet as pq

from tests.training.audio.synthetic_media import write_video
from tests.training.datasets.synthetic_affwild2 import HEADER_VA, abaw2, write
from tests.training.datasets.test_fec_triplets import KINDS, line
from training.cli.data import data
from training.datasets.affwild2 import load_cached, read_affwild2

TIMES = np.array([0, 0.04, 0.08, 0.2, 0.24])  # a pause after the third frame


@pytest.fixture
def root(tmp_path):
    folder = abaw2(tmp_path / "aff")
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (1, 22050)).astype(np.float32)
    (folder / "videos/batch1").mkdir(parents=True)
    write_video(folder / "videos/batch1/one.mkv", TIMES, noise, audio_start_s=0.1)
    write_video(folder / "videos/batch1/1-30-1280x720.mp4", TIMES, noise)
    write_video(folder / "videos/my_video.mp4", TIMES)
    write(folder / "videos/unseen.mp4", "not a video")
    return folder


def run(*arguments) -> str:
    result = CliRunner().invoke(data, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_read_affwild2_assigns_audio_offsets_from_frame_times(root):
    table = read_affwild2(root, progress=False)
    offsets = {name: table.audio_offset_s[table.video == k] for k, name in enumerate(table.videos)}
    # Six rows, five frames in the video: the frame interval is extrapolated.
    assert offsets["one"] == pytest.approx([*(TIMES - 0.1), 0.18], abs=0.002)
    # Two people of one video, whose file name has no position.
    assert offsets["1-30-1280x720_left"] == pytest.approx(TIMES[:3], abs=0.002)
    assert offsets["1-30-1280x720_right"] == pytest.approx(TIMES[:3], abs=0.002)
    assert np.isnan(offsets["my_video"]).all()
    assert np.isnan(offsets["unseen"]).all()
    media = dict(zip(table.videos, table.media, strict=True))
    assert media["1-30-1280x720_right"] == "videos/batch1/1-30-1280x720.mp4"
    assert media["my_video"] == media["unseen"] == ""  # no audio available
    assert table.report.skipped["video without audio (no audio offset)"].examples == [
        "videos/my_video.mp4"
    ]
    assert (
        "videos/unseen.mp4"
        in table.report.skipped["video that cannot be read (no audio offset)"].examples[0]
    )
    assert np.isnan(read_affwild2(root, timing=False, progress=False).audio_offset_s).all()


def test_load_cached_after_video_change_scans_again(root, tmp_path):
    before = load_cached(root, cache=tmp_path / "cache", progress=False)
    write_video(root / "videos/batch1/one.mkv", TIMES, np.zeros((1, 44100), np.float32))
    after = load_cached(root, cache=tmp_path / "cache", progress=False)
    k = before.videos.index("one")
    assert before.audio_offset_s[before.video == k][0] == pytest.approx(-0.1, abs=0.002)
    assert after.audio_offset_s[after.video == k][0] == pytest.approx(0, abs=0.002)


def test_scan_prints_summary_and_writes_table(root, tmp_path):
    output = run("scan", root, "--cache", tmp_path / "cache")
    assert "usable frames, AU train" in output
    assert "video without audio" in output
    (file,) = (tmp_path / "cache").iterdir()
    assert file.name in output.replace("\n", "")
    arrow = pq.read_table(file)
    assert arrow.num_rows == 17
    assert arrow.column("audio_offset_s").null_count == 5
    assert run("scan", root, "--cache", tmp_path / "cache").split() == output.split()


def test_scan_of_broken_label_file_names_line(root, tmp_path):
    write(root / "annotations/VA_Set/Train_Set/bad.txt", f"{HEADER_VA}\n0,0\n7,0\n")
    result = CliRunner().invoke(data, ["scan", str(root), "--cache", str(tmp_path / "cache")])
    assert result.exit_code == 1
    assert re.search(
        r"bad\.txt:3: expected valence and arousal from -1 to 1, or -5, got '7,0'", result.output
    )
    output = run(
        "scan",
        root,
        "--cache",
        tmp_path / "cache",
        "--skip-broken",
        "--no-timing",
        "--version",
        "abaw2",
    )
    assert "broken label file" in output
    result = CliRunner().invoke(data, ["scan", str(tmp_path), "--kind", "dfew"])
    assert result.exit_code == 1
    assert "must contain the clips' frames" in result.output


def test_scan_of_triplets_counts_missing_images(tmp_path):
    write(tmp_path / "x.csv", line(KINDS[0], 1, 1))
    output = run("scan", tmp_path / "x.csv", "--kind", "fec")
    assert "missing image" in output


def test_extract_writes_frames_once(tmp_path):
    (tmp_path / "Videos_LeftCamera").mkdir()
    write_video(tmp_path / "Videos_LeftCamera/leftVideoSN001_Comp.avi", np.arange(4) / 25)
    write(tmp_path / "ActionUnit_Labels/SN001/SN001_au1.txt", "1,0\n2,3\n3,0\n4,0\n")
    assert "4 frames of 1 videos" in run("extract", tmp_path)
    assert "4 frames of 1 videos" in run("extract", tmp_path)
    output = run("scan", tmp_path, "--kind", "disfa", "--cache", tmp_path / "cache")
    assert "missing label file" in output
    assert re.search(r"rows with an image\s+\S\s+4", output)
    result = CliRunner().invoke(data, ["extract", str(tmp_path), "--camera", "right"])
    assert result.exit_code == 1
    assert "no video of the right camera" in result.output
