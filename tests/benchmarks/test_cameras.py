from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import cameras
from tests.sdk.tiny_bundle import write_tiny_bundle

DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"


def test_read_frames_delays_each_camera() -> None:
    moments = cameras.read_frames(DEMO, 5, 2)
    assert [len(frames) for frames in moments] == [2] * 5
    later = cameras.read_frames(DEMO, 1 + cameras.DELAY_FRAMES, 1)[-1][0]
    np.testing.assert_array_equal(moments[0][1].pixels, later.pixels)
    assert not np.array_equal(moments[0][0].pixels, later.pixels)


def test_read_frames_beyond_the_clip_exits() -> None:
    with pytest.raises(SystemExit, match="must be at most 173 for 2 cameras"):
        cameras.read_frames(DEMO, 180, 2)


def test_cpu_ms_per_frame_leaves_out_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((1.0, 1.6))
    monkeypatch.setattr(cameras.time, "process_time", lambda: next(clock))
    seen: list[int] = []
    moments = [[None, None]] * 5
    step = lambda frames: seen.append(len(frames))  # noqa: E731
    assert cameras.cpu_ms_per_frame(step, moments, 2) == pytest.approx(100)  # type: ignore[arg-type]
    assert seen == [2] * 5


def test_cameras_record_has_a_row_for_each_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cameras.os, "sched_setaffinity", lambda *_: None)
    bundle = write_tiny_bundle(tmp_path / "tiny", size_px=28)
    record = tmp_path / "cameras.md"
    arguments = ["--model", str(bundle), "--frames", "6", "--warm-up", "2", "--rounds", "1"]
    arguments += ["--cameras", "1", "--cameras", "2", "--precision", "fp32"]
    cameras.main([*arguments, "--record", str(record)])
    rows = [line for line in record.read_text(encoding="utf-8").splitlines() if "| fp32 |" in line]
    assert [row.split(" | ")[1] for row in rows] == ["1", "2"]
    assert all(float(row.split(" | ")[2]) > 0 for row in rows)
    assert capsys.readouterr().out.count("| fp32 |") == 2
