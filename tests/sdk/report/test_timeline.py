from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceaffect.report.read_rows import COLUMN_INDEX
from faceaffect.report.timeline import read_timelines
from faceaffect.report.track_stats import collect_stats
from tests.sdk.report.synthetic_rows import one_face, write_rows

V = COLUMN_INDEX["valence"]


def test_read_timelines_bins_long_tracks_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceaffect.report.timeline.MAX_BINS", 400)
    path = write_rows(
        tmp_path / "a.csv",
        [*one_face("s.mp4", 4.0, track_id=3), *one_face("l.mp4", 80.0, track_id=4)],
    )
    tracks = [track for source in collect_stats([path], []) for track in source.tracks.values()]
    lines = read_timelines([path], tracks)
    short, long = (lines[track.key] for track in tracks)
    assert (len(short.time_s), short.is_binned) == (100, False)
    wave = np.sin(np.arange(100) / 25 * 2 * np.pi / 10)
    assert short.mean[:, V] == pytest.approx(wave, abs=1e-4)
    assert (len(long.time_s), long.is_binned, int(long.count.sum())) == (400, True, 2000)
    times = np.arange(2000) / 25
    bins = np.minimum((times / times[-1] * 400).astype(int), 399)
    values = np.sin(times * 2 * np.pi / 10)
    for step in (0, 7, 399):
        expected = values[bins == step]
        actual = (long.minimum[step, V], long.mean[step, V], long.maximum[step, V])
        assert actual == pytest.approx((expected.min(), expected.mean(), expected.max()), abs=1e-4)
    assert long.au_active[:, 6].max() == 1.0
    assert long.expression_s.sum() == pytest.approx(80.0, abs=0.1)
    assert long.expression_s[4] == pytest.approx(40.0, abs=0.1)


def test_read_timelines_expression_time_excludes_gaps(tmp_path: Path) -> None:
    frames = [*one_face("a.mp4", 2.0), *(("a.mp4", 250 + i, 10 + i / 25, [1]) for i in range(50))]
    (source,) = collect_stats([write_rows(tmp_path / "a.csv", frames)], [])
    line = read_timelines([tmp_path / "a.csv"], [source.tracks[1]])[source.tracks[1].key]
    assert line.expression_s.sum() == pytest.approx(4.0, abs=0.5)
