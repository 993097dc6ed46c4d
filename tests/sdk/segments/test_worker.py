"""Tests of the real worker process on a real clip.

Rows of several processes equal those of one, except for what the warm-up has not forgotten.
"""

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.pipeline import open_pipeline
from faceaffect.segments.frame_result import unpack
from faceaffect.segments.parallel_video import ParallelVideo
from faceaffect.segments.plan import plan_segments
from faceaffect.segments.task import SegmentSettings, SegmentTask
from faceaffect.segments.worker import analyze_segment
from faceaffect.sources.open_source import open_source
from faceaffect.sources.source import SourceError, SourceOptions
from tests.sdk.segments.results import result

DEMO = Path(__file__).parents[3] / "assets" / "demo.mp4"
FRAMES = 450


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """The demo clip played forward and backward, with few key frames."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    with open_source(DEMO) as source:
        frames = [to_bgr(frame) for frame in source]
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (width, height)
    )
    for number in range(FRAMES):
        turn, position = divmod(number, len(frames) - 1)
        writer.write(frames[position if turn % 2 == 0 else -1 - position])
    writer.release()
    return path


def open_video(clip, **pipeline):
    settings = SegmentSettings(str(clip), None, {"precision": "fp32", **pipeline}, SourceOptions())
    segments = plan_segments(0, FRAMES, 30.0, 2)
    assert len(segments) == 2
    return ParallelVideo(settings, segments, 30.0, 2), segments[1].begin


def test_parallel_video_results_equal_one_process(clip, monkeypatch):
    monkeypatch.setattr(ParallelVideo, "_retry_counted", None)  # no segment needs a retry
    video, boundary = open_video(clip)
    with open_pipeline(precision="fp32") as pipeline, open_source(clip) as source:
        alone = [(frame.index, frame.time_s, *pipeline.analyze(frame)) for frame in source]
    parallel = list(video)
    assert [(one.index, one.time_s) for one in parallel] == [
        (index, time_s) for index, time_s, _, _ in alone
    ]
    differs = []
    for one, (index, _, faces, affect) in zip(parallel, alone, strict=True):
        np.testing.assert_array_equal(one.faces.track_id, faces.track_id)
        if index < boundary:
            np.testing.assert_array_equal(one.affect.au_probability, affect.au_probability)
            np.testing.assert_array_equal(one.faces.landmarks_xy, faces.landmarks_xy)
        np.testing.assert_allclose(one.faces.landmarks_xy, faces.landmarks_xy, atol=1.0)
        np.testing.assert_allclose(one.affect.valence, affect.valence, atol=0.03)
        differs.append((one.affect.au_active != affect.au_active).mean())
    assert np.mean(differs) < 0.003


def test_analyze_jobs_writes_rows_of_one_process(clip, tmp_path):
    run = [sys.executable, "-m", "faceaffect", "analyze", str(clip), "--precision", "fp32", "--out"]
    for jobs in (1, 2):
        subprocess.run(
            [*run, str(tmp_path / f"{jobs}.csv"), "--jobs", str(jobs), "--quiet"], check=True
        )
    alone, parallel = (list(csv.DictReader((tmp_path / f"{jobs}.csv").open())) for jobs in (1, 2))
    for name in ("source", "frame", "time_s", "track_id"):
        assert [row[name] for row in parallel] == [row[name] for row in alone], name
    stderr = subprocess.run(
        [*run, str(tmp_path / "many.csv"), "--jobs", "64"],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    assert "note" not in stderr
    stderr = subprocess.run(
        [*run[:4], str(DEMO), "--out", str(tmp_path / "short.csv"), "--jobs", "2"],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    assert "analyzed by one process, because it is too short to be split" in stderr


def test_analyze_segment_sends_frames_before_error(clip, monkeypatch):
    """The error occurs between two full messages."""
    sent = []

    class Broken:
        def reset(self, track_ids=False):
            pass

        def analyze(self, frame):
            if frame.index == 100:
                raise SourceError("broken")
            return result(frame.index, (1, 0.0)).faces, result(frame.index, (1, 0.0)).affect

    class Output:
        def send(self, kind, value, content=b""):
            sent.append((kind, content))

    with pytest.raises(SourceError, match="broken"):
        analyze_segment(
            SegmentSettings(str(clip), None, {}, SourceOptions()),
            SegmentTask(7, None),
            Broken(),
            Output(),
        )
    assert {kind for kind, _ in sent} == {"frames"}
    assert [one.index for _, content in sent for one in unpack(content)] == list(range(7, 100))


def test_parallel_video_missing_model_raises(clip):
    settings = SegmentSettings(str(clip), "no-such-model", {}, SourceOptions())
    with pytest.raises(Exception, match="no-such-model"):
        list(ParallelVideo(settings, plan_segments(0, FRAMES, 30.0, 2), 30.0, 2))


def test_parallel_video_missing_video_raises(tmp_path):
    settings = SegmentSettings(
        str(tmp_path / "gone.mp4"), None, {"precision": "fp32"}, SourceOptions()
    )
    with pytest.raises(SourceError, match=r"gone\.mp4: no such file"):
        list(ParallelVideo(settings, plan_segments(0, FRAMES, 30.0, 2), 30.0, 2))


@pytest.mark.parametrize("option", ["--overlay", "--neutral-baseline"])
def test_analyze_jobs_refuses_options_that_need_one_process(option, tmp_path, monkeypatch, capsys):
    from faceaffect.cli import main

    monkeypatch.chdir(tmp_path)
    value = ["overlay.mp4"] if option == "--overlay" else []
    with pytest.raises(SystemExit) as exit_info:
        main(["analyze", str(DEMO), "--out", "rows.csv", "--jobs", "2", option, *value])
    assert exit_info.value.code == 2
    stderr = capsys.readouterr().err
    assert option in stderr
    assert "remove --jobs" in stderr
    assert list(tmp_path.iterdir()) == []
