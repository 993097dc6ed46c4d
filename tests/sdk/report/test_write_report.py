from __future__ import annotations

import base64
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceaffect.report.clock import clock_time
from faceaffect.report.page import MAX_TABLE_ROWS
from faceaffect.report.read_rows import ReportError
from faceaffect.report.write_report import check_report, write_report
from faceaffect.sinks.side_car import SideCar, SourceFacts
from faceaffect.system.install_command import install_command
from tests.sdk.report.synthetic_rows import one_face, write_rows

REQUIRES = ("jinja2",)


class Tags(HTMLParser):
    """Parses a page; fails on a tag that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.addresses += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")
        ]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def write_page(tmp_path: Path, rows: Path | list[Path], **options: object) -> str:
    page = tmp_path / "page.html"
    write_report([rows] if isinstance(rows, Path) else rows, page, **options)  # type: ignore[arg-type]
    return page.read_text(encoding="utf-8")


def page_data(text: str) -> dict[str, Any]:
    """What the script of a page plots."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def numbers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def visible_text(text: str) -> str:
    """The text of a page without its scripts and styles."""
    text = re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_write_report_escapes_text_and_loads_no_external_resource(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "a.csv", [("<b>&.mp4", i, i / 25, [1, 2]) for i in range(50)])
    text = write_page(tmp_path, rows, facts=[("model", "</script><b>")], notes=["<i>"])
    tags = Tags(text)
    assert tags.open == []
    assert tags.names.count("script") == 3, "data, uPlot, and the script of the page"
    assert not {"link", "iframe", "object", "b"} & set(tags.names) - {"b"}
    assert all(address.startswith(("#", "data:image/")) for address in tags.addresses)
    assert not re.search(r"https?://|@import|url\((?!#)", text.replace("https://github.com", ""))
    assert "default-src 'none'" in text
    assert "&lt;b&gt;&amp;.mp4" in text
    assert list(tmp_path.glob("*.tmp")) == []


def test_write_report_shows_values_of_rows(tmp_path: Path) -> None:
    text = write_page(tmp_path, write_rows(tmp_path / "a.csv", one_face("a.mp4", 20.0)))
    shown = visible_text(text)
    assert "faces from 0 to 19.96 s frames with a face 500 tracks 1" in shown
    assert "most active AU12 lip corner puller 50%" in shown
    assert "It shows no image of anybody" in shown
    assert shown.index("mean valence") < shown.index("It shows no image")
    (track,) = page_data(text)["sections"][0]["tracks"]
    times_s = np.arange(500) / 25
    assert numbers(track["time"], "<f4") == pytest.approx(times_s, abs=1e-5)
    wave = np.sin(times_s * 2 * np.pi / 10)
    assert numbers(track["valence"], "<i2") / 10_000 == pytest.approx(wave, abs=1e-4)
    is_odd = times_s.astype(int) % 2 == 1
    assert (numbers(track["expression"], "u1") == np.where(is_odd, 4, 0)).all()
    active = numbers(track["au_on"], "u1").reshape(-1, 12)
    assert ((active[:, 6] == 250) == is_odd).all()
    assert not active[:, :6].any()


def test_write_report_tells_facts_last_and_folded(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "a.csv", one_face("a.mp4", 2.0))
    text = write_page(tmp_path, rows, facts=[("model", "default")])
    folded = re.search(r"<details>\s*<summary>How this was made.*?</details>", text, re.DOTALL)
    assert folded
    assert "default" in folded[0]
    assert text.index('class="chart"') < folded.start()


def test_write_report_without_outputs_has_no_panels(tmp_path: Path) -> None:
    rows = write_rows(
        tmp_path / "a.csv", one_face("a.mp4", 2.0), has_aus=False, has_valence_arousal=False
    )
    text = write_page(tmp_path, rows)
    assert re.findall('data-kind="(.*?)"', text) == ["expression", "pose", "quality"]
    assert 'class="plane"' not in text
    assert "nan" not in visible_text(text).lower()
    (track,) = page_data(text)["sections"][0]["tracks"]
    assert (numbers(track["valence"], "<i2") == -32768).all()
    assert (numbers(track["au"], "u1") == 255).all()


def test_write_report_of_no_rows_says_so(tmp_path: Path) -> None:
    assert "No face was detected" in write_page(tmp_path, write_rows(tmp_path / "a.csv", []))


@pytest.mark.parametrize("count", [1, 2])
def test_write_report_of_track_with_few_rows_plots_it(tmp_path: Path, count: int) -> None:
    rows = write_rows(tmp_path / "a.csv", one_face("a.mp4", count / 25))
    (track,) = page_data(write_page(tmp_path, rows))["sections"][0]["tracks"]
    assert len(numbers(track["time"], "<f4")) == count


def test_write_report_plots_only_longest_tracks_and_lists_all(tmp_path: Path) -> None:
    count = MAX_TABLE_ROWS + 10
    frames = [("a.mp4", i, i / 25, [1 + i // 2]) for i in range(2 * count)]
    text = write_page(
        tmp_path,
        write_rows(tmp_path / "a.csv", [*frames, *one_face("b.mp4", 1.0, track_id=999)]),
        max_tracks=2,
    )
    assert f"Of {count} tracks, the 1 with the most frames can be chosen" in text
    assert "and 11 more rows" in text
    sections = page_data(text)["sections"]
    assert [len(one["tracks"]) for one in sections] == [1, 1]
    assert len(sections[0]["presence"]) == count
    assert sections[0]["presence"][1] == [0.08, 0.12, 2]


def test_write_report_shows_frames_without_a_face_at_the_end(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "a.csv", one_face("a.mp4", 2.0))
    facts = SourceFacts("a.mp4", 250, 25.0, 640, 360, 0, True, True)
    side_car = SideCar("1", "default", "0" * 64, {}, {}, {}, [], [facts])
    side_car.save(rows)
    text = write_page(tmp_path, rows)
    assert "50 of 250 (20%)" in text
    section = page_data(text)["sections"][0]
    assert (section["start"], section["end"]) == (0.0, 10.0)


def test_write_report_compares_people_and_groups(tmp_path: Path) -> None:
    frames = [("a.mp4", i, i / 25, [1, 2]) for i in range(50)]
    rows = write_rows(tmp_path / "a.csv", [*frames, *one_face("b.mp4", 1.0)])
    people = {("a.mp4", 1): ("Ann", "patients"), ("b.mp4", 1): ("Bob <b>", "controls")}
    text = write_page(
        tmp_path, rows, find_person=lambda source, track_id: people.get((source, track_id))
    )
    tables = re.findall(r'<table class="compare">(.*?)</table>', text, re.DOTALL)
    cells = [
        [re.sub("<.*?>", "", cell).strip() for cell in re.findall(r"<td.*?>(.*?)</td>", row)]
        for table in tables
        for row in re.findall(r"<tr>(<td.*?)</tr>", table, re.DOTALL)
    ]
    assert [row[:2] for row in cells[:2]] == [["controls", "25"], ["patients", "50"]]
    assert [row[:3] for row in cells[2:]] == [
        ["a.mp4", "face 2", "50"],
        ["b.mp4", "Bob &lt;b&gt; controls", "25"],
        ["a.mp4", "Ann patients", "50"],
    ]
    assert cells[2][-12:] == ["0"] * 6 + ["50"] + ["0"] * 5
    times_s = np.arange(50) / 25
    wave = np.sin(times_s * 2 * np.pi / 10)
    assert cells[2][3] == f"+{wave.mean():.2f} ± {wave.std():.2f}"


@pytest.mark.parametrize("use", ["link", "embed"])
def test_write_report_plays_video_on_request_only(tmp_path: Path, use: str) -> None:
    clip = tmp_path / "a video.mp4"
    clip.write_bytes(b"video")
    rows = write_rows(tmp_path / "a.csv", [*one_face(str(clip), 1.0), *one_face("b.avi", 1.0)])
    assert "<video" not in write_page(tmp_path, rows)
    text = write_page(tmp_path, rows, video=use)
    assert re.findall('<video .*?src="(.*?)"', text) == [
        "a%20video.mp4" if use == "link" else "data:video/mp4;base64,dmlkZW8="
    ]
    assert "b.avi: not shown, browsers play .mp4 and .webm" in text
    assert "It plays the video. It shows people: share it with care." in text


def make_images(folder: Path) -> Path:
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((120, 160, 3), 40 * number, np.uint8))
    frames = [
        (str(folder / f"{number}.png"), number, number / 30, [number + 1]) for number in range(3)
    ]
    return write_rows(folder / "rows.csv", frames)


def test_write_report_of_images_shows_thumbnails_on_request_only(tmp_path: Path) -> None:
    rows = make_images(tmp_path / "photos")
    without = write_page(tmp_path, rows)
    assert "<td>2.png</td>" in without
    points = page_data(without)["sections"][0]["points"]
    assert points == [
        [0.0, 0.0, 0],
        [pytest.approx(0.021, abs=1e-3), pytest.approx(0.01, abs=1e-3), 0],
        [pytest.approx(0.042, abs=1e-3), pytest.approx(0.021, abs=1e-3), 0],
    ]
    assert "data:image/jpeg" not in without
    text = write_page(tmp_path, rows, thumbnails=True)
    assert text.count('<img src="data:image/jpeg') == 3
    assert "images of 3 faces: share it with care" in text
    assert Tags(text).open == []


def test_write_report_escapes_names_of_images_and_sources(tmp_path: Path) -> None:
    name = '<img src=x onerror=y>&".png'
    folder = tmp_path / "<script>"
    folder.mkdir()
    cv2.imwrite(str(tmp_path / "image.png"), np.full((120, 160, 3), 90, np.uint8))
    (tmp_path / "image.png").rename(folder / name)
    frames = [(str(folder / name), 0, 0.0, [1]), (str(folder / "<svg>.png"), 1, 0.0, [2])]
    rows = write_rows(tmp_path / "<u>.csv", frames)
    text = write_page(tmp_path, rows, thumbnails=True)
    tags = Tags(text)
    assert tags.open == []
    assert tags.names.count("script") == 3
    assert not {"u", "svg"} & set(tags.names)
    assert tags.names.count("img") == 1, "the thumbnail only"
    assert "&lt;img src=x onerror=y&gt;&amp;&#34;.png" in text
    assert "&lt;u&gt;.csv" in text


def test_write_report_thumbnail_is_from_frame_of_best_quality(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(
        str(clip), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (96, 96)
    )
    for number in range(60):
        writer.write(np.full((96, 96, 3), 4 * number, np.uint8))
    writer.release()
    rows = write_rows(tmp_path / "a.csv", one_face(str(clip), 60 / 25))
    found = re.search(
        r'src="data:image/jpeg;base64,([^"]+)"', write_page(tmp_path, rows, thumbnails=True)
    )
    assert found
    image = cv2.imdecode(np.frombuffer(base64.b64decode(found[1]), np.uint8), cv2.IMREAD_COLOR)
    assert abs(int(image[56, 56, 0]) - 4 * 25) <= 3, "of frame 25, whose quality is the highest"
    clip.unlink()
    assert "no thumbnail of face 1" in write_page(tmp_path, rows, thumbnails=True)


@pytest.mark.parametrize(
    ("name", "message"), [("a.txt", "must end in .html"), ("none/a.html", "does not exist")]
)
def test_check_report_with_invalid_path_raises(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ReportError, match=message):
        check_report(tmp_path / name, may_replace=True)


def test_check_report_of_existing_file_needs_overwrite(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("precious")
    with pytest.raises(ReportError, match="use --overwrite"):
        check_report(tmp_path / "a.html", may_replace=False)
    check_report(tmp_path / "a.html", may_replace=True)


def test_check_report_without_jinja2_names_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ReportError, match=rf"jinja2 .*{re.escape(install_command('report'))}"):
        check_report(tmp_path / "a.html", may_replace=False)


def test_write_report_needs_no_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "<canvas" in write_page(tmp_path, write_rows(tmp_path / "a.csv", one_face("a.mp4", 1.0)))


@pytest.mark.parametrize(
    ("time_s", "last_s", "expected"),
    [(12.5, 20, "12.5"), (12.5, 90, "0:12"), (187, 200, "3:07"), (3753, 4000, "1:02:33")],
)
def test_clock_time_format_depends_on_last_time(
    time_s: float, last_s: float, expected: str
) -> None:
    assert clock_time(time_s, last_s) == expected
