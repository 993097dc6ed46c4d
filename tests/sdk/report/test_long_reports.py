"""Reports of long videos and of many tracks: size, and values that downsampling must keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceaffect.report.write_report import write_report
from tests.sdk.report.synthetic_rows import write_rows
from tests.sdk.report.test_write_report import numbers, page_data

REQUIRES = ("jinja2",)
MAX_BYTES = 5_000_000


def repeat_row(path: Path, cells: list[dict[str, str]]) -> Path:
    """Write rows that differ from one template in some cells; thousands per millisecond."""
    template = write_rows(path.with_name("template.csv"), [("long.mp4", 0, 0.0, [1])])
    header, row = template.read_text().splitlines()
    names, values = header.split(","), row.split(",")
    lines = [header]
    for changed in cells:
        lines.append(
            ",".join(changed.get(name, value) for name, value in zip(names, values, strict=True))
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def test_write_report_of_three_hours_is_small_and_keeps_extremes(tmp_path: Path) -> None:
    count, fps = 43_200, 4
    valence = 0.3 * np.sin(np.arange(count) / 5000)
    valence[30_000] = -0.98  # one frame in three hours
    rows = repeat_row(
        tmp_path / "long.csv",
        [
            {"frame": str(k), "time_s": f"{k / fps:.6f}", "valence": f"{value:.4f}"}
            for k, value in enumerate(valence.tolist())
        ],
    )
    page = tmp_path / "page.html"
    write_report([rows], page)
    assert page.stat().st_size < 1_000_000
    (track,) = page_data(page.read_text())["sections"][0]["tracks"]
    times_s = numbers(track["time"], "<f4")
    assert len(times_s) == 2000
    low = numbers(track["valence_low"], "<i2") / 10_000
    assert low.min() == pytest.approx(-0.98)
    assert times_s[low.argmin()] == pytest.approx(30_000 / fps, abs=3 * 3600 / 2000)


def test_write_report_of_two_thousand_tracks_is_small_and_has_all(tmp_path: Path) -> None:
    rows = repeat_row(
        tmp_path / "many.csv",
        [
            {"frame": str(4 * track + k), "time_s": f"{track + k / 4:.6f}", "track_id": str(track)}
            for track in range(2000)
            for k in range(4)
        ],
    )
    page = tmp_path / "page.html"
    write_report([rows], page, max_tracks=2000)
    assert page.stat().st_size < MAX_BYTES
    section = page_data(page.read_text())["sections"][0]
    assert len(section["tracks"]) == len(section["presence"]) == 2000
    assert section["presence"][1999] == [1999.0, 1999.75, 1999]
