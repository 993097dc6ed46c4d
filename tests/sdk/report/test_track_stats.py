from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceaffect.report import read_rows as read_rows_module
from faceaffect.report.track_stats import collect_stats
from tests.sdk.report.synthetic_rows import one_face, write_rows


def test_collect_stats_means_and_counts_cover_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_rows_module, "CHUNK_ROWS", 97)
    frames = [("a.mp4", i, i / 25, [1] if i < 900 else [1, 7]) for i in range(1000)]
    (source,) = collect_stats([write_rows(tmp_path / "a.csv", frames)], [])
    assert (source.rows, source.frames, sorted(source.tracks)) == (1100, 1000, [1, 7])
    times = np.arange(1000) / 25
    assert source.tracks[1].mean("valence") == pytest.approx(
        np.sin(times * 2 * np.pi / 10).mean(), abs=1e-4
    )
    assert source.tracks[1].au_counts.tolist() == [0] * 6 + [500] + [0] * 5
    assert source.tracks[7].expression_counts.tolist() == [50, 0, 0, 0, 50, 0, 0]
    assert (source.tracks[7].first_s, source.tracks[7].last_s) == (36.0, 39.96)
    assert source.tracks[1].best.frame == 25, "the row with the highest quality"


def test_collect_stats_keeps_ids_of_files_apart(tmp_path: Path) -> None:
    files = [write_rows(tmp_path / f"{name}.csv", one_face("clip.mp4", 1.0)) for name in ("a", "b")]
    assert [source.rows for source in collect_stats(files, [])] == [25, 25]


def test_collect_stats_groups_images_by_folder(tmp_path: Path) -> None:
    frames = [(f"photos/{i}.jpg", i, 0.0, [2 * i, 2 * i + 1]) for i in range(5)]
    (apart,) = collect_stats([write_rows(tmp_path / "a.csv", frames)], [])
    assert (apart.frames, len(apart.tracks), apart.is_sequence) == (5, 10, False)
    (one,) = collect_stats(
        [write_rows(tmp_path / "b.csv", [(f"crops/{i}.jpg", i, i / 30, [1]) for i in range(5)])], []
    )
    assert one.is_sequence


def test_collect_stats_of_missing_outputs_is_nan(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "a.csv", one_face("a.mp4", 1.0), has_aus=False, has_expression=False
    )
    (source,) = collect_stats([path], [])
    assert np.isnan(source.tracks[1].mean("AU1"))
    assert source.tracks[1].expression_counts.sum() == 0
    assert np.isfinite(source.tracks[1].mean("valence"))
