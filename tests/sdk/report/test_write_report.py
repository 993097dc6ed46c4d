from __future__ import annotations

import base64
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.report.page import MAX_TABLE_ROWS
from faceaffect.report.plots import clock_time
from faceaffect.report.read_rows import ReportError
from faceaffect.report.write_report import check_report, write_report
from faceaffect.system.install_command import install_command
from tests.sdk.report.synthetic_rows import one_face, write_rows

REQUIRES = ("jinja2", "matplotlib")


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


def test_write_report_escapes_text_and_loads_no_external_resource(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "a.csv", [("<b>&.mp4", i, i / 25, [1, 2]) for i in range(50)])
    text = write_page(tmp_path, rows, facts=[("model", "<default>")], notes=["<i>"])
    tags = Tags(text)
    assert tags.open == []
    assert tags.names.count("svg") == 3, "presence, and two faces"
    assert not {"script", "link", "iframe", "object", "b", "i"} & set(tags.names)
    assert all(address.startswith(("#", "data:image/png")) for address in tags.addresses)
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert "&lt;b&gt;&amp;.mp4" in text
    assert list(tmp_path.glob("*.tmp")) == []


def test_write_report_shows_values_of_rows(tmp_path: Path) -> None:
    text = write_page(tmp_path, write_rows(tmp_path / "a.csv", one_face("a.mp4", 20.0)))
    cells = re.findall(r"<td>(.*?)</td>", text)
    assert cells[:5] == ["a.mp4", "19.96 s", "500", "500", "1"]
    assert cells[7:9] == ["neutral 50%", "AU12 50%"]
    assert "happiness 50%, 10 s" in text
    assert "It shows no image of anybody" in text


def test_write_report_without_outputs_has_no_panels(tmp_path: Path) -> None:
    rows = write_rows(
        tmp_path / "a.csv", one_face("a.mp4", 2.0), has_aus=False, has_valence_arousal=False
    )
    text = write_page(tmp_path, rows)
    assert "lip corner puller" not in text
    assert ">valence</text>" not in text
    assert ">happiness</text>" in text
    assert ">yaw</text>" in text
    assert "nan" not in text.lower().replace("-nan", "").split("<style>")[0]


def test_write_report_of_no_rows_says_so(tmp_path: Path) -> None:
    assert "No face was detected" in write_page(tmp_path, write_rows(tmp_path / "a.csv", []))


@pytest.mark.parametrize("count", [1, 2])
def test_write_report_of_track_with_few_rows_plots_it(tmp_path: Path, count: int) -> None:
    assert (
        write_page(tmp_path, write_rows(tmp_path / "a.csv", one_face("a.mp4", count / 25))).count(
            "<svg"
        )
        == 1
    )


def test_write_report_plots_only_longest_tracks_and_says_so(tmp_path: Path) -> None:
    frames = [("a.mp4", i, i / 25, [1 + i // 2]) for i in range(2 * (MAX_TABLE_ROWS + 10))]
    text = write_page(
        tmp_path,
        write_rows(tmp_path / "a.csv", [*frames, *one_face("b.mp4", 1.0, track_id=999)]),
        max_tracks=2,
    )
    assert f"Of {MAX_TABLE_ROWS + 10} tracks, the 1 with the most frames are plotted below" in text
    assert "and 10 more tracks with fewer frames" in text
    assert text.count('class="track"') == 2
    assert "Face 999" in text


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
    assert not {"script", "u"} & set(tags.names)
    assert tags.names.count("img") == 1, "the thumbnail only"
    assert tags.names.count("svg") == 1, "the plot only"
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
        r'<img src="data:image/jpeg;base64,([^"]+)"', write_page(tmp_path, rows, thumbnails=True)
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


@pytest.mark.parametrize(
    ("package", "module"), [("jinja2", "jinja2"), ("matplotlib", "matplotlib.figure")]
)
def test_check_report_without_package_names_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ReportError, match=rf"{package} .*{re.escape(install_command('report'))}"):
        check_report(tmp_path / "a.html", may_replace=False)


@pytest.mark.parametrize(
    ("time_s", "last_s", "expected"),
    [(12.5, 20, "12.5"), (12.5, 90, "0:12"), (187, 200, "3:07"), (3753, 4000, "1:02:33")],
)
def test_clock_time_format_depends_on_last_time(
    time_s: float, last_s: float, expected: str
) -> None:
    assert clock_time(time_s, last_s) == expected
