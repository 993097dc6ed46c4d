from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.throughput import Run, growth, run_in_child

DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"


def test_growth_fits_line_and_speedup() -> None:
    """0.5 s of CPU per worker and 0.2 s per second of video; two cores are twice as fast."""
    runs = {
        ("processes", jobs, files): [
            Run(8.0 / jobs * files, 0.5 * jobs + 0.2 * 6 * files, 6.0 * files, 100)
        ]
        for jobs in (1, 2)
        for files in (2, 8)
    }
    lines = growth(runs, ["processes"], [1, 2], [2, 8])
    assert "1 processes: 12.0 CPU minutes per hour of video and 0.50 s per worker" in lines[0]
    assert "2 processes: 12.0 CPU minutes per hour of video and 0.50 s per worker" in lines[1]
    assert "2 processes against 1, 8 files: 2.00 times as fast" in lines[2]


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_run_in_child_measures_all_files(trained: None, kind: str, tmp_path: Path) -> None:
    import cv2

    capture = cv2.VideoCapture(str(DEMO))
    clip = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(
        str(clip), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (640, 360)
    )
    for _ in range(10):
        writer.write(capture.read()[1])
    writer.release()
    run = run_in_child(kind, 1, 2, clip)
    assert run.frames == 20
    assert run.video_s == pytest.approx(20 / 30, rel=0.01)
    assert run.cpu_s > 0.02
    assert run.wall_s > 0.5 * run.cpu_s
