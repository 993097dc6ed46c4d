"""Results agree with what the command line writes, in every form."""

from __future__ import annotations

import csv
import json
import math
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import faceaffect as fa
from faceaffect.cli.command_line import faceaffect as command
from faceaffect.drawing.palette import EXPRESSION_COLORS

REQUIRES = ("matplotlib", "jinja2")


@pytest.fixture(scope="module")
def rows(clip: Path) -> list[dict[str, str]]:
    """Rows of the clip as the command line writes them."""
    out = clip.with_name("by_command.csv")
    command(["analyze", str(clip), "--out", str(out), "--quiet"], standalone_mode=False)
    with out.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_pandas_frame_equals_the_rows_of_the_command(
    result: fa.Result, rows: list[dict[str, str]]
) -> None:
    pandas = pytest.importorskip("pandas")
    table = result.to_pandas()
    written = pandas.read_csv(Path(rows[0]["source"]).with_name("by_command.csv"))
    assert list(table.columns) == list(rows[0])
    pandas.testing.assert_frame_equal(table, written, check_dtype=False)
    assert table["frame"].dtype == np.int64


def test_polars_frame_equals_the_rows_of_the_command(
    result: fa.Result, rows: list[dict[str, str]]
) -> None:
    polars = pytest.importorskip("polars")
    table = result.to_polars()
    assert isinstance(table, polars.DataFrame)
    assert [str(cell) for cell in table["track_id"]] == [row["track_id"] for row in rows]
    assert table["AU12"].to_list() == [float(row["AU12"]) for row in rows]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_saved_rows_are_those_of_the_command(
    result: fa.Result, rows: list[dict[str, str]], tmp_path: Path, suffix: str
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = result.save(tmp_path / f"rows{suffix}")
    if suffix == ".csv":
        with path.open(newline="") as stream:
            assert list(csv.DictReader(stream)) == rows
        return
    if suffix == ".jsonl":
        got = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        from pyarrow import parquet

        got = parquet.read_table(path).to_pylist()
    assert [row["valence"] for row in got] == [float(row["valence"]) for row in rows]


def test_save_refuses_existing_files_and_odd_names(result: fa.Result, tmp_path: Path) -> None:
    path = result.save(tmp_path / "rows.csv")
    with pytest.raises(fa.SinkError, match="overwrite=True"):
        result.save(path)
    result.save(path, overwrite=True)
    with pytest.raises(fa.SinkError, match=r"got \.docx"):
        result.save(tmp_path / "rows.docx")


def test_face_view_reads_the_arrays(result: fa.Result) -> None:
    for number in (0, 31, -1):
        face = result[number].faces[0]
        assert list(face.action_units.values()) == result.affect.au_probability[number].tolist()
        active = result.affect.au_active[number]
        assert face.active_aus == [
            name for name, is_on in zip(fa.AU_NAMES, active, strict=True) if is_on
        ]
        assert face.box == tuple(result.faces.box_xyxy[number].tolist())
        assert face.landmarks.shape == (68, 2)
        assert list(face.pose.values()) == result.faces.pose_deg[number].tolist()
        best = result.affect.expression_probability[number].argmax()
        assert face.expression == fa.EXPRESSION_NAMES[best]
        assert face.valence == result.affect.valence[number]
    with pytest.raises(IndexError, match="below 60"):
        result[60]


def test_slices_are_results(result: fa.Result) -> None:
    part = result[10:40:3]
    assert [view.index for view in part] == list(range(10, 40, 3))
    np.testing.assert_array_equal(part.affect.arousal, result.affect.arousal[10:40:3])


def test_json_holds_everything(result: fa.Result, tmp_path: Path) -> None:
    content = json.loads(result.save(tmp_path / "all.json").read_text())
    assert content["info"]["model"] == "default"
    assert len(content["frames"]) == len(result)
    face = content["frames"][-1]["faces"][0]
    assert face["action_units"]["AU12"] == result[-1].faces[0].action_units["AU12"]
    assert np.array(face["landmarks"]).shape == (68, 2)


def test_unknown_numbers_are_null_in_json(result: fa.Result) -> None:
    affect = fa.Affect(
        np.full_like(result.affect.au_probability, np.nan),
        np.zeros_like(result.affect.au_active),
        np.full_like(result.affect.expression_probability, np.nan),
        np.full_like(result.affect.valence, np.nan),
        np.full_like(result.affect.arousal, np.nan),
    )
    unknown = fa.Result(result.frames, result.frame_of_face, result.faces, affect)
    face = json.loads(unknown.to_json())["frames"][0]["faces"][0]
    assert (face["valence"], face["action_units"]["AU1"], face["expression"]) == (None, None, "")
    assert math.isnan(unknown[0].faces[0].valence)
    assert unknown.summary()[0]["AU12_share"] is None
    assert "<svg" in unknown._repr_html_()


def test_notebook_html_is_well_formed_and_shows_the_smile(result: fa.Result) -> None:
    html = result._repr_html_()
    tree = ElementTree.fromstring(f"<div>{html}</div>".replace("&nbsp;", " "))
    svg = tree.find(".//svg")
    assert svg is not None
    texts = ["".join(one.itertext()) for one in svg.iter("text")]
    assert "AU12" in texts
    colors = {one.get("fill") for one in svg.iter("rect")}
    assert {EXPRESSION_COLORS[4], "#ea580c"} <= colors, "happiness, and an active AU"
    top, bottom, left, right = 0.0, 500.0, 0.0, 720.0
    for one in svg.iter("rect"):
        assert left <= float(one.get("x", -1))
        assert float(one.get("x", 0)) + float(one.get("width", 0)) <= right + 0.2
        assert top <= float(one.get("y", -1)) <= bottom
    assert len(html) < 40_000


def test_notebook_html_lists_images(frames: list[np.ndarray]) -> None:
    html = fa.analyze(frames[-10:])._repr_html_()
    assert html.count("<tr>") == 1 + 8
    assert "and 2 more faces" in html


def test_names_of_files_are_escaped(tmp_path: Path, frames: list[np.ndarray]) -> None:
    got = fa.analyze(fa.Frame(frames[-1], source="<b>&.png"))
    assert "<b>&" not in got._repr_html_()
    assert "&lt;b&gt;&amp;.png" in got._repr_html_()


def test_plot_shows_bouts_where_the_rows_are_active(result: fa.Result) -> None:
    figure = result.plot()
    aus, expressions, plane = figure.axes[:3]
    bars = aus.collections[1 + fa.AU_NAMES.index("AU12")].get_paths()
    on = result.time_s[result.affect.au_active[:, fa.AU_NAMES.index("AU12")]]
    assert len(bars) == 1
    edges = bars[0].vertices[:, 0]
    assert (edges.min(), edges.max()) == pytest.approx((on[0], on[-1] + 1 / 30), abs=1e-6)
    np.testing.assert_allclose(plane.lines[0].get_ydata(), result.affect.valence)
    assert expressions.get_ylim() == (0, 1)
    with pytest.raises(ValueError, match="expected face 7"):
        result.plot(track_id=7)


@pytest.mark.parametrize(
    ("package", "use"),
    [("pandas", "to_pandas"), ("polars", "to_polars"), ("matplotlib.figure", "plot")],
)
def test_missing_packages_are_named(
    result: fa.Result, monkeypatch: pytest.MonkeyPatch, package: str, use: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(fa.MissingPackageError, match="pip install"):
        getattr(result, use)()


def test_report_of_a_result_and_of_its_rows(result: fa.Result, tmp_path: Path) -> None:
    page = fa.Report(result).html()
    assert "clip.mp4" in page
    assert "<svg" in page
    rows = result.save(tmp_path / "rows.csv")
    path = fa.Report([rows]).save(tmp_path / "page.html")
    assert "clip.mp4" in path.read_text()
    with pytest.raises(fa.ReportError, match="exists already"):
        fa.Report(rows).save(path)
    assert result.save(tmp_path / "other.html").exists()
