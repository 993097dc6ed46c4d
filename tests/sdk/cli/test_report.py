"""Tests of `report` and `analyze --report`."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceaffect.types import Affect, Faces, Frame
from tests.sdk.cli.conftest import Run
from tests.sdk.cli.fake_pipeline import FakePipeline

REQUIRES = ("jinja2",)


def test_analyze_report_equals_command_afterwards(
    run: Run, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, page = tmp_path / "rows.csv", tmp_path / "page.html"
    assert run("analyze", clip, tmp_path / "none.mp4", "--out", rows, "--report", page) == 3
    text = page.read_text(encoding="utf-8")
    assert "not analyzed" in text
    assert "none.mp4: no such file" in text
    assert "60 (" in text
    assert "data:image/jpeg" not in text
    assert str(page) in capsys.readouterr().err
    later = tmp_path / "later.html"
    assert run("report", rows, "--out", later) == 0
    assert "clip.mp4" in later.read_text(encoding="utf-8")
    assert run("report", rows, "--out", later) == 1
    assert "use --overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report", "page.html"], "add one, such as --out rows.csv"),
        (["--out", "a.csv", "--thumbnails"], "add --report FILE.html"),
        (["--out", "a.csv", "--report", "page.pdf"], "must end in .html"),
        (["--out", "results/", "--report", "page.html"], "run `faceaffect report` afterwards"),
    ],
)
def test_report_invalid_options_fail_before_pipeline_opens(
    run: Run,
    clip: Path,
    opened: list[object],
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("analyze", clip, *arguments) in (1, 2)
    assert message in capsys.readouterr().err
    assert opened == []


def test_analyze_failed_report_keeps_rows_and_names_command(
    run: Run,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from faceaffect.report import write_report
    from faceaffect.report.read_rows import ReportError

    def fail(*_given: object, **_named: object) -> None:
        raise ReportError("no room")

    monkeypatch.setattr(write_report, "write_report", fail)
    rows = tmp_path / "rows.csv"
    assert run("analyze", clip, "--out", rows, "--report", tmp_path / "page.html") == 1
    error = capsys.readouterr().err
    assert "no room (run `faceaffect report" in error
    assert "incomplete" not in error
    assert len(rows.read_text().splitlines()) == 41
    assert not (tmp_path / "rows.csv.progress.json").exists()


def test_analyze_stopped_camera_writes_report(
    run: Run,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened: list[FakePipeline],
) -> None:
    """Ctrl-C is how a live source ends; a file is incomplete then."""
    healthy = FakePipeline.analyze

    def analyze(self: FakePipeline, frame: Frame) -> tuple[Faces, Affect]:
        if frame.index == 20:
            raise KeyboardInterrupt
        return healthy(self, frame)

    monkeypatch.setattr(FakePipeline, "analyze", analyze)
    assert run("analyze", clip, "--out", tmp_path / "a.csv", "--report", tmp_path / "a.html") == 130
    assert not (tmp_path / "a.html").exists()
    monkeypatch.setattr("faceaffect.cli.analyze_run.is_live", lambda _uri: True)
    assert run("analyze", clip, "--out", tmp_path / "b.csv", "--report", tmp_path / "b.html") == 130
    assert "clip.mp4" in (tmp_path / "b.html").read_text(encoding="utf-8")
