from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.throughput import Ablation, growth, try_in_child

DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"


def test_growth_is_the_line_through_few_and_many_files() -> None:
    """Built from 0.5 s per worker and 0.2 s of processor per second of video; two cores twice as
    fast by the clock.
    """
    trials = {
        ("processes", jobs, files): [
            Ablation(8.0 / jobs * files, 0.5 * jobs + 0.2 * 6 * files, 6.0 * files, 100)
        ]
        for jobs in (1, 2)
        for files in (2, 8)
    }
    lines = growth(trials, ["processes"], [1, 2], [2, 8])
    assert "1 processes: 12.0 processor minutes per hour of video and 0.50 s per worker" in lines[0]
    assert "2 processes: 12.0 processor minutes per hour of video and 0.50 s per worker" in lines[1]
    assert "2 processes against 1, 8 files: 2.00 times as fast" in lines[2]


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_a_trial_measures_all_of_the_work(trained: None, kind: str, tmp_path: Path) -> None:
    import cv2

    capture = cv2.VideoCapture(str(DEMO))
    clip = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(
        str(clip), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (640, 360)
    )
    for _ in range(10):
        writer.write(capture.read()[1])
    writer.release()
    trial = try_in_child(kind, 1, 2, clip)
    assert trial.frames == 20
    assert trial.video_s == pytest.approx(20 / 30, rel=0.01)
    assert trial.cpu_s > 0.02
    assert trial.wall_s > 0.5 * trial.cpu_s
