"""Side-cars of rows, written by runs and read by reports and resumed runs."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import faceaffect
from faceaffect.bundle.bundle import DEFAULT_NAME, SHIPPED_MODELS_DIR
from faceaffect.cli.command_line import faceaffect as command
from faceaffect.pipeline import Pipeline
from faceaffect.sinks.columns import COLUMN_NAMES
from faceaffect.sinks.side_car import SourceFacts, read_side_car

DEMO = Path(__file__).resolve().parents[3] / "assets" / "demo.mp4"
REQUIRES = ("jinja2", "matplotlib")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, trained: None) -> Path:
    """Twenty frames of the demo clip, then ten black ones."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(DEMO)) as original, av.open(str(path), "w") as cut:
        stream = cut.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.bit_rate = 4_000_000
        images = [
            frame.to_ndarray(format="rgb24")
            for frame, _ in zip(original.decode(video=0), range(20), strict=False)
        ]
        for image in [*images, *[np.zeros_like(images[0])] * 10]:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            cut.mux(stream.encode(frame))
        cut.mux(stream.encode())
    return path


def run(*arguments: object) -> Any:
    return command([*map(str, arguments), "--quiet"], standalone_mode=False)


def side_car(rows: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(rows.with_name(rows.name + ".json").read_text())
    return content


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_side_car_says_how_rows_were_made(clip: Path, tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    rows = tmp_path / f"rows{suffix}"
    assert run("analyze", clip, "--out", rows, "--max-faces", 3) == 0
    content = side_car(rows)
    spec = SHIPPED_MODELS_DIR / DEFAULT_NAME / "spec.json"
    assert content["version"] == faceaffect.__version__
    assert content["model_sha256"] == hashlib.sha256(spec.read_bytes()).hexdigest()
    thresholds = json.loads(spec.read_text())["au_thresholds"]
    assert list(content["au_thresholds"].values()) == thresholds
    assert content["options"]["max_faces"] == "3"
    assert content["columns"] == list(COLUMN_NAMES)
    (source,) = content["sources"]
    assert source == {
        "source": str(clip),
        "frames": 30,
        "fps": 30.0,
        "width_px": 640,
        "height_px": 360,
        "dropped": 0,
        "is_sequence": True,
        "is_complete": True,
    }


def test_resumed_run_counts_all_frames(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.csv"
    original = Pipeline.analyze
    calls, own_thread = 0, threading.get_ident()

    def interrupted(self: Pipeline, frame: Any) -> Any:
        nonlocal calls
        if threading.get_ident() == own_thread:  # others may still end the work of other tests
            calls += 1
            if calls == 12:
                raise KeyboardInterrupt
        return original(self, frame)

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "analyze", interrupted)
        assert run("analyze", clip, "--out", rows) == 130
    assert [(one["frames"], one["is_complete"]) for one in side_car(rows)["sources"]] == [
        (11, False)
    ]
    assert run("analyze", clip, "--out", rows, "--resume") == 0
    assert [(one["frames"], one["is_complete"]) for one in side_car(rows)["sources"]] == [
        (30, True)
    ]


def test_resume_with_another_model_of_the_same_name_is_refused(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.csv"
    monkeypatch.setattr(Pipeline, "analyze", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    run("analyze", clip, "--out", rows)
    monkeypatch.undo()
    run("analyze", clip, "--out", tmp_path / "other.csv")
    content = side_car(tmp_path / "other.csv")
    content["model_sha256"] = "0" * 64
    rows.with_name("rows.csv.json").write_text(json.dumps(content))
    with pytest.raises(faceaffect.SinkError, match="expected the model of the first run"):
        run("analyze", clip, "--out", rows, "--resume")


def test_failed_run_leaves_no_side_car(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert run("analyze", tmp_path / "broken.mp4", "--out", tmp_path / "rows.csv") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mp4"]


def test_report_shows_what_rows_cannot_say(clip: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    run("analyze", clip, "--out", rows)
    faces = len(rows.read_text().splitlines()) - 1
    assert 20 <= faces < 30
    command(["report", str(rows), "--out", str(tmp_path / "page.html")], standalone_mode=False)
    text = re.sub(r"<[^>]+>", " ", (tmp_path / "page.html").read_text())
    assert f"{faces} of 30" in text
    assert f"faceaffect {faceaffect.__version__}" in text
    assert side_car(rows)["model_sha256"][:12] in text


def test_side_car_that_was_edited_is_ignored(clip: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    run("analyze", clip, "--out", rows)
    path = rows.with_name("rows.csv.json")
    known = read_side_car(rows)
    assert known is not None
    assert isinstance(known.sources[0], SourceFacts)
    for content in ("", "[]", '{"rows_version": 1}', path.read_text().replace("fps", "fpz")):
        path.write_text(content)
        assert read_side_car(rows) is None


@pytest.mark.parametrize("to_folder", [False, True])
def test_every_frame_of_a_clip_has_a_row(clip: Path, tmp_path: Path, to_folder: bool) -> None:
    rows = tmp_path / "out" / "clip.mp4.csv"
    rows.parent.mkdir()
    out = rows.parent if to_folder else rows
    assert run("analyze", clip, "--out", out, "--every-frame", "--columns", "landmarks") == 0
    with rows.open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [int(row["frame"]) for row in table] == list(range(30))
    with_face = [row for row in table if row["track_id"]]
    assert 20 <= len(with_face) < 30
    assert all(float(row["x_30"]) > 0 for row in with_face)
    assert all(row["x_30"] == row["AU1_on"] == row["expression"] == "" for row in table[-1:])


def test_side_car_of_saved_result_says_what_that_of_the_command_says(
    clip: Path, tmp_path: Path
) -> None:
    by_command, by_result = tmp_path / "command.csv", tmp_path / "result.csv"
    assert run("analyze", clip, "--out", by_command) == 0
    faceaffect.analyze(clip, progress=False).save(by_result)
    expected, got = side_car(by_command), side_car(by_result)
    (one,) = expected.pop("sources")
    assert got.pop("sources") == [one | {"fps": None, "width_px": None, "height_px": None}]
    assert got == expected


def test_side_cars_of_a_folder_run_are_kept_out_of_datasets(clip: Path, tmp_path: Path) -> None:
    """They are those of runs with a single output, and a reader of the folder sees rows only."""
    dataset = pytest.importorskip("pyarrow.dataset")
    videos, out, single = tmp_path / "videos", tmp_path / "out", tmp_path / "single.parquet"
    (videos / "day").mkdir(parents=True)
    copied = [videos / "a.mp4", videos / "day" / "b.mp4"]
    for path in copied:
        path.write_bytes(clip.read_bytes())
    options = ("--output-format", "parquet", "--jobs", 1, "--max-faces", 3)
    assert run("analyze", videos, "--out", out, *options) == 0
    assert len(dataset.dataset(out, format="parquet").to_table()) == 40
    for name, path in zip(("a.mp4", "day/b.mp4"), copied, strict=True):
        got = read_side_car(out / f"{name}.parquet")
        assert run("analyze", path, "--out", single, "--overwrite", "--max-faces", 3) == 0
        assert got is not None
        assert got == read_side_car(single)
        assert got.sources[0].frames == 30
