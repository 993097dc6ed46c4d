"""Text files of rows: interruption, resume and full disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceaffect.sinks import OverwritePolicy, SinkError, SinkOptions, open_sink
from tests.sdk.sinks.synthetic_results import (
    frame_column,
    interrupt_run,
    read_frame_column,
    write_frames,
)

RESUME = SinkOptions(OverwritePolicy.RESUME)


def test_text_sink_writes_rows_of_every_frame_at_once(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "rows.csv")
    write_frames(sink, range(3))
    assert read_frame_column(tmp_path / "rows.csv") == frame_column(range(3))
    sink.close()


def test_resume_after_interruption_neither_repeats_nor_loses_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    interrupt_run(path, range(8))
    with path.open("a") as stream:
        stream.write("clip.mp4,8,0.3")  # torn, as a kill leaves it
    with open_sink(path, RESUME) as sink:
        point = sink.begin("clip.mp4")
        assert (point.next_frame, point.last_track_id, point.is_finished) == (8, 2, False)
        write_frames(sink, range(8, 20))
        sink.end("clip.mp4")
    assert read_frame_column(path) == frame_column(range(20))
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.csv"]


def test_resume_drops_rows_after_the_checkpoint(tmp_path: Path) -> None:
    """After a kill the file may be ahead of its checkpoint, which is saved once a second."""
    path = tmp_path / "rows.csv"
    killed = open_sink(path)  # saves a checkpoint, and is never closed
    killed.begin("clip.mp4")
    write_frames(killed, range(9))
    assert read_frame_column(path) == frame_column(range(9))
    with pytest.warns(ResourceWarning, match="unclosed row sink"):
        del killed
    with open_sink(path, RESUME) as resumed:
        assert resumed.begin("clip.mp4").next_frame == 0
        write_frames(resumed, range(9))
    assert read_frame_column(path) == frame_column(range(9))


def test_resume_of_several_sources_continues_each_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    sink = open_sink(path)
    for source, stop in (("a", 5), ("b", 3)):
        sink.begin(source)
        write_frames(sink, range(stop), source)
    sink.begin("c")
    write_frames(sink, range(4), "c")
    sink.end("c")
    sink.close(is_complete=False)
    with open_sink(path, RESUME) as resumed:
        points = [resumed.begin(source) for source in ("a", "b", "c", "d")]
    assert [point.next_frame for point in points] == [5, 3, 0, 0]
    assert [point.is_finished for point in points] == [False, False, True, False]


def test_resume_with_other_run_config_raises_sink_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    interrupt_run(path, range(3), options=SinkOptions(run_config={"model": "small"}))
    with pytest.raises(SinkError, match="model was small, is large"):
        open_sink(path, SinkOptions(OverwritePolicy.RESUME, {"model": "large"}))


def test_resume_of_changed_file_raises_sink_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    interrupt_run(path, range(9))
    path.write_text("gone")
    with pytest.raises(SinkError, match="changed since: use --overwrite"):
        open_sink(path, RESUME)


def test_text_sink_on_full_disk_keeps_complete_rows_and_resumes(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    path = tmp_path / "rows.csv"
    sink = open_sink(path)
    sink.begin("clip.mp4")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(SinkError, match="writing stopped"):
            write_frames(sink, range(99))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    sink.close(is_complete=False)
    kept = read_frame_column(path)
    assert kept == frame_column(range(kept[-1] + 1))
    with open_sink(path, RESUME) as resumed:
        write_frames(resumed, range(resumed.begin("clip.mp4").next_frame, 40))
    assert read_frame_column(path) == frame_column(range(40))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_text_sink_on_full_device_raises_sink_error(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").symlink_to("/dev/full")
    with pytest.raises(SinkError, match="No space left on device"):
        open_sink(tmp_path / "rows.csv", SinkOptions(OverwritePolicy.OVERWRITE))
