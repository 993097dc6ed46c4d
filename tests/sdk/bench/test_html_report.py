from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmarks.synthetic_records import synthetic_record
from faceaffect.bench.configuration import BenchError
from faceaffect.bench.html_report import report_page, write_report
from faceaffect.bench.result_table import titles
from faceaffect.system.install_command import install_command

REQUIRES = ("jinja2", "matplotlib")


class Page(HTMLParser):
    """Parses tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.text = Counter[str](), list[tuple[str, str]](), ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    records = [synthetic_record(num_faces=faces, seed=faces) for faces in (1, 4)]
    wide = synthetic_record(num_faces=1, size=(1920, 1080), seed=9)
    results = [*(record.results[0] for record in records), wide.results[0]]
    return report_page(replace(records[0], results=results))


def test_report_page_loads_no_external_resource(page: str) -> None:
    assert "http" not in page
    assert "//" not in page.replace("<!--", "")
    read = Page(page)
    assert not {"script", "link", "iframe", "img", "object", "embed"} & set(read.tags)
    links = [
        value for name, value in read.attributes if name in ("href", "src", "xlink:href", "data")
    ]
    assert links
    assert all(value.startswith("#") for value in links)


def test_report_page_ids_are_unique_and_references_resolve(page: str) -> None:
    read = Page(page)
    ids = Counter(value for name, value in read.attributes if name == "id")
    assert [name for name, count in ids.items() if count > 1] == []
    used = {value[1:] for name, value in read.attributes if name == "href"}
    used |= {value[5:-1] for name, value in read.attributes if value.startswith("url(#")}
    assert used
    assert used <= set(ids)


def test_report_page_has_all_plots_and_tables(page: str) -> None:
    read = Page(page)
    # Stages on two clocks, by faces and by size; and histogram, over time and camera of three
    # configurations.
    assert read.tags["svg"] == 2 + 1 + 1 + 3 * 3
    for text in (
        "Latency by number of faces",
        "Latency by frame size",
        "decode_heads",
        "p99",
        "jitter",
        "synthetic",
        "board power 6.0 W",
        "30 fps",
    ):
        assert text in read.text


def test_report_page_begins_with_the_main_number(page: str) -> None:
    text = " ".join(Page(page).text.split())
    assert text.index("median time of a frame") < text.index("Overview")
    single = synthetic_record()
    median = single.results[0].distribution("wall", "total").p50
    assert f"<dd>{median:.3g} ms</dd>" in report_page(single)
    assert "measured 2026-01-01 00:00 UTC, synthetic" in report_page(single)


def test_sections_are_named_by_what_differs_or_by_what_ran(page: str) -> None:
    assert re.findall(r"<h2>(.*?)</h2>", page)[1:-2] == [
        "640x360, 1 face",
        "640x360, 4 faces",
        "1920x1080, 1 face",
    ]
    single = synthetic_record()
    single.results[0].pipeline_info = {"backend": "onnx 1.0", "precision": "int8", "device": "cpu"}
    title = "default model, onnx int8 on cpu, 640x360, 1 face, 1 thread, 1 stream"
    assert titles(single.results) == [title]
    named = synthetic_record(backend="onnx").results[0]
    named.pipeline_info = dict(single.results[0].pipeline_info)
    both = titles([single.results[0], named])
    assert len(set(both)) == 2, "auto beside what it stands for"


def test_report_page_escapes_text(page: str) -> None:
    assert "a <note>" in Page(page).text
    assert "a clip <b>" in Page(page).text
    assert Page(page).tags["note"] == Page(page).tags["b"] == 0


def test_write_report_of_single_configuration_without_camera(tmp_path: Path) -> None:
    record = synthetic_record(rounds=1)
    record.results[0].rounds[0].camera.clear()
    write_report(record, tmp_path / "a.html")
    assert Page((tmp_path / "a.html").read_text(encoding="utf-8")).tags["svg"] == 2 + 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.html"]


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_write_report_without_package_names_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BenchError, match=rf"{package} .*{re.escape(install_command('bench'))}"):
        write_report(synthetic_record(), tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []
