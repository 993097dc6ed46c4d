"""The real process on a real clip: what `--jobs` writes is what one process writes, but for what it
has not yet forgotten.
"""

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.pipeline import open_pipeline
from faceaffect.segments.frame_result import unpack
from faceaffect.segments.parallel_video import ParallelVideo
from faceaffect.segments.plan import plan_segments
from faceaffect.segments.task import StretchSettings, StretchTask
from faceaffect.segments.worker import _analyze
from faceaffect.sources.open_source import open_source
from faceaffect.sources.source import SourceError, SourceOptions
from tests.sdk.segments.results import result

DEMO = Path(__file__).parents[3] / "assets" / "demo.mp4"
FRAMES = 450


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """The demo clip forth and back, with key frames here and there only."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    with open_source(DEMO) as source:
        frames = [frame.pixels.copy() for frame in source]
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (width, height)
    )
    for number in range(FRAMES):
        turn, place = divmod(number, len(frames) - 1)
        writer.write(frames[place if turn % 2 == 0 else -1 - place])
    writer.release()
    return path


def share(clip, **pipeline):
    settings = StretchSettings(str(clip), None, {"precision": "fp32", **pipeline}, SourceOptions())
    stretches = plan_segments(0, FRAMES, 30.0, 2)
    assert len(stretches) == 2
    return ParallelVideo(settings, stretches, 30.0, 2), stretches[1].begin


def test_results_are_those_of_one_process(clip, monkeypatch):
    monkeypatch.setattr(ParallelVideo, "_count", None)  # nothing needs to be done again
    video, seam = share(clip)
    with open_pipeline(precision="fp32") as pipeline, open_source(clip) as source:
        alone = [(frame.index, frame.time_s, *pipeline.analyze(frame)) for frame in source]
    shared = list(video)
    assert [(one.index, one.time_s) for one in shared] == [
        (index, time_s) for index, time_s, _, _ in alone
    ]
    differs = []
    for one, (index, _, faces, affect) in zip(shared, alone, strict=True):
        np.testing.assert_array_equal(one.faces.track_id, faces.track_id)
        if index < seam:
            np.testing.assert_array_equal(one.affect.au_probability, affect.au_probability)
            np.testing.assert_array_equal(one.faces.landmarks_xy, faces.landmarks_xy)
        np.testing.assert_allclose(one.faces.landmarks_xy, faces.landmarks_xy, atol=1.0)
        np.testing.assert_allclose(one.affect.valence, affect.valence, atol=0.03)
        differs.append((one.affect.au_active != affect.au_active).mean())
    assert np.mean(differs) < 0.003


def test_the_command_shares_a_video_out(clip, tmp_path):
    run = [sys.executable, "-m", "faceaffect", "analyze", str(clip), "--precision", "fp32", "--out"]
    for jobs in (1, 2):
        subprocess.run(
            [*run, str(tmp_path / f"{jobs}.csv"), "--jobs", str(jobs), "--quiet"], check=True
        )
    alone, shared = (list(csv.DictReader((tmp_path / f"{jobs}.csv").open())) for jobs in (1, 2))
    for name in ("source", "frame", "time_s", "track_id"):
        assert [row[name] for row in shared] == [row[name] for row in alone], name
    said = subprocess.run(
        [*run, str(tmp_path / "many.csv"), "--jobs", "64"],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    assert "note" not in said
    said = subprocess.run(
        [*run[:4], str(DEMO), "--out", str(tmp_path / "short.csv"), "--jobs", "2"],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    assert "analyzed by one process, since it is too short to be shared out" in said


def test_what_was_found_before_an_error_is_said(clip, monkeypatch):
    """The error strikes in the middle of a message's frames."""
    said = []

    class Broken:
        def reset(self, track_ids=False):
            pass

        def analyze(self, frame):
            if frame.index == 100:
                raise SourceError("broken")
            return result(frame.index, (1, 0.0)).faces, result(frame.index, (1, 0.0)).affect

    answers = type(
        "Answers", (), {"say": lambda self, kind, value, content=b"": said.append((kind, content))}
    )()
    with pytest.raises(SourceError, match="broken"):
        _analyze(
            StretchSettings(str(clip), None, {}, SourceOptions()),
            StretchTask(7, None),
            Broken(),
            answers,
        )
    assert {kind for kind, _ in said} == {"frames"}
    assert [one.index for _, content in said for one in unpack(content)] == list(range(7, 100))


def test_a_model_that_is_not_there_is_named(clip):
    settings = StretchSettings(str(clip), "no-such-model", {}, SourceOptions())
    with pytest.raises(Exception, match="no-such-model"):
        list(ParallelVideo(settings, plan_segments(0, FRAMES, 30.0, 2), 30.0, 2))


def test_a_video_that_is_not_there_is_named(tmp_path):
    settings = StretchSettings(
        str(tmp_path / "gone.mp4"), None, {"precision": "fp32"}, SourceOptions()
    )
    with pytest.raises(SourceError, match=r"gone\.mp4: no such file"):
        list(ParallelVideo(settings, plan_segments(0, FRAMES, 30.0, 2), 30.0, 2))


@pytest.mark.parametrize("option", ["--overlay", "--baseline"])
def test_what_cannot_be_shared_is_refused(option, tmp_path, monkeypatch, capsys):
    from faceaffect.cli import main

    monkeypatch.chdir(tmp_path)
    value = ["seen.mp4"] if option == "--overlay" else []
    with pytest.raises(SystemExit) as left:
        main(["analyze", str(DEMO), "--out", "rows.csv", "--jobs", "2", option, *value])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert option in said
    assert "leave --jobs off" in said
    assert list(tmp_path.iterdir()) == []
