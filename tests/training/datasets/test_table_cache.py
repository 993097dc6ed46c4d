"""Parquet files of tables and the table cache."""

from __future__ import annotations

import io
from dataclasses import fields, replace

import numpy as np
import pytest
from pyarrow import parquet as pq
from rich.console import Console

from tests.training.datasets.synthetic_affwild2 import HEADER_VA, abaw2, crops, write
from training.datasets import affwild2
from training.datasets.affwild2 import load_cached, read_affwild2
from training.datasets.frame_table import FrameTable, concat_tables
from training.datasets.table_parquet import read_table, write_table


def assert_same(one: FrameTable, other: FrameTable) -> None:
    for each in fields(FrameTable):
        a, b = getattr(one, each.name), getattr(other, each.name)
        if each.name == "cache_path":
            continue
        if each.name == "report":
            assert a.to_json() == b.to_json()
        elif isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, each.name)
            assert a.dtype == b.dtype, each.name
        elif each.name == "path":
            assert a.to_pylist() == b.to_pylist()
        else:
            assert a == b, each.name


def test_read_table_returns_written_table(tmp_path):
    table = read_affwild2(abaw2(tmp_path / "data"), progress=False)
    write_table(table, tmp_path / "table.parquet", "key")
    again, key = read_table(tmp_path / "table.parquet")
    assert key == "key"
    assert_same(table, again)
    assert not list(tmp_path.glob("*.partial"))


def test_read_table_returns_boxes_landmarks_and_intensities(tmp_path):
    random = np.random.default_rng(0)
    table = read_affwild2(abaw2(tmp_path / "data"), progress=False)
    count = len(table)
    intensity = random.random((count, 12)).astype(np.float32)
    intensity[::2] = np.nan
    points = random.random((count, 68, 2)).astype(np.float32)
    points[1] = np.nan
    values = {each.name: getattr(table, each.name) for each in fields(FrameTable)}
    values |= {
        "au_intensity": intensity,
        "box": random.random((count, 4)).astype(np.float32),
        "landmarks_xy": points,
    }
    values |= {"audio_offset_s": np.linspace(-1, 1, count)}
    full = FrameTable(**values)
    write_table(full, tmp_path / "table.parquet")
    assert_same(full, read_table(tmp_path / "table.parquet")[0])


def test_written_table_is_readable_by_pyarrow(tmp_path):
    table = read_affwild2(abaw2(tmp_path / "data"), progress=False)
    write_table(table, tmp_path / "table.parquet")
    rows = pq.read_table(tmp_path / "table.parquet").to_pylist()
    (one,) = [r for r in rows if r["video"] == "one" and r["frame"] == 2]
    assert (one["AU1"], one["AU12"], one["AU2"]) == (1, 1, 0)
    assert (one["expression"], one["valence"]) == (4, None)
    assert (one["mask_AU"], one["mask_EXPR"], one["mask_VA"]) == (True, True, False)
    assert (one["split_AU"], one["split_VA"], one["path"]) == (
        "train",
        "validation",
        "cropped_aligned/one/00002.jpg",
    )


@pytest.fixture
def scans(monkeypatch):
    """Number of scans of a folder that were not read from the cache."""
    calls = []
    real = affwild2.assemble_table
    monkeypatch.setattr(
        affwild2, "assemble_table", lambda *a, **k: calls.append(1) or real(*a, **k)
    )
    return calls


def test_load_cached_of_unchanged_folder_scans_once(tmp_path, scans):
    root, cache = abaw2(tmp_path / "data"), tmp_path / "cache"
    first = load_cached(root, cache=cache, progress=False)
    assert_same(first, load_cached(root, cache=cache, progress=False))
    assert len(scans) == 1
    (file,) = cache.iterdir()
    assert file.name.startswith("data-")


CHANGES = {
    "a label": lambda root: write(
        root / "annotations/VA_Set/Train_Set/my_video.txt", f"{HEADER_VA}\n0.603,0.389\n-0.1,0\n"
    ),
    "a new label file": lambda root: write(
        root / "annotations/VA_Set/Train_Set/new.txt", f"{HEADER_VA}\n0,0\n"
    ),
    "a crop more": lambda root: crops(root, "one", [7]),
    "a crop less": lambda root: (root / "cropped_aligned/one/00002.jpg").unlink(),
    "a test list": lambda root: write(root / "test_set_VA_Challenge.txt", "unseen\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_load_cached_of_changed_folder_scans_again(tmp_path, scans, change):
    root, cache = abaw2(tmp_path / "data"), tmp_path / "cache"
    load_cached(root, cache=cache, progress=False)
    change(root)
    changed = load_cached(root, cache=cache, progress=False)
    assert len(scans) == 2
    assert_same(changed, read_affwild2(root, progress=False))


def test_load_cached_with_damaged_cache_rewrites_it(tmp_path, scans):
    root, cache = abaw2(tmp_path / "data"), tmp_path / "cache"
    table = load_cached(root, cache=cache, progress=False)
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:-50])
    assert_same(table, load_cached(root, cache=cache, progress=False))
    assert len(scans) == 2
    load_cached(root, cache=cache, progress=False)
    assert len(scans) == 2


def test_read_table_of_other_file_raises(tmp_path):
    write(tmp_path / "x.parquet", "hello")
    with pytest.raises(ValueError, match="not a frame table"):
        read_table(tmp_path / "x.parquet")


def test_concat_tables_keeps_rows_and_images(tmp_path):
    table = read_affwild2(abaw2(tmp_path / "data"), progress=False)
    with pytest.raises(ValueError, match="must be unique"):
        concat_tables([table, table])
    other = replace(
        table,
        videos=tuple(f"other/{video}" for video in table.videos),
        box=np.ones((len(table), 4), np.float32),
    )
    both = concat_tables([table, other])
    assert len(both) == 2 * len(table)
    k = int(both.rows("AU")[-1])
    assert both.videos[both.video[k]] == "other/one"
    assert both.path_of(k).is_file()
    assert both.box is None
    np.testing.assert_array_equal(both.au[len(table) :], table.au)
    picked = both.select(both.rows("EXPR"))
    assert picked.videos == (
        "1-30-1280x720_right",
        "one",
        "other/1-30-1280x720_right",
        "other/one",
    )
    assert picked.expression_mask.all()


def test_report_prints_summary(tmp_path):
    table = read_affwild2(abaw2(tmp_path / "data"), progress=False)
    text = io.StringIO()
    table.report.show(Console(width=160, file=text))
    assert "valid EXPR label of a frame without a crop" in text.getvalue()
    assert "usable frames, AU train" in text.getvalue()
