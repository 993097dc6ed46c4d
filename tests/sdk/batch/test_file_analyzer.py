"""Tests of FileAnalyzer, on a tiny model."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceaffect.batch import BatchError, Input, TaskSettings, find_inputs, open_store
from faceaffect.batch.file_analyzer import FileAnalyzer
from faceaffect.batch.file_task import installed_version
from faceaffect.bundle.bundle import MODELS_VARIABLE
from faceaffect.sources.source import SourceOptions
from tests.sdk.batch.conftest import make_video


def settings(out: str, model: Path) -> TaskSettings:
    return TaskSettings(
        out,
        "csv",
        str(model),
        {"aligned_crops": True, "backend": "onnx"},
        SourceOptions(),
        "auto",
        installed_version(),
    )


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Any]:
    """An in-memory file system with one video."""
    system = pytest.importorskip("fsspec").filesystem("memory")
    system.put_file(str(make_video(tmp_path / "a.mp4", 12)), "/videos/deep/a.mp4")
    yield system
    system.rm("/videos", recursive=True)
    if system.exists("/results"):
        system.rm("/results", recursive=True)


def test_analyze_remote_video_writes_remote_file(memory: Any, tiny_model: Path) -> None:
    (task,) = find_inputs(["memory://videos"]).inputs
    progress: list[int] = []
    result = FileAnalyzer(settings("memory://results", tiny_model)).analyze(task, progress.append)
    assert (result.error, result.frames, result.faces, sum(progress)) == ("", 12, 12, 12)
    assert result.video_s == pytest.approx(12 / 25)
    assert result.cpu_s > 0
    store = open_store("memory://results")
    assert store.names() == {"deep/a.mp4.csv"}
    rows = list(csv.DictReader(io.StringIO(store.read("deep/a.mp4.csv"))))
    assert {row["source"] for row in rows} == {task.uri}
    assert len(rows) == 12


def test_analyze_missing_input_returns_error(memory: Any, tiny_model: Path) -> None:
    analyzer = FileAnalyzer(settings("memory://results", tiny_model))
    result = analyzer.analyze(Input("memory://videos/none.mp4", "none.mp4"))
    assert "memory://videos/none.mp4: cannot be downloaded (FileNotFoundError" in result.error
    assert open_store("memory://results").names() == set()


def test_analyze_rows_do_not_depend_on_earlier_inputs(tiny_model: Path, tmp_path: Path) -> None:
    clip = str(make_video(tmp_path / "a.mp4", 9))
    analyzer = FileAnalyzer(settings(str(tmp_path / "results"), tiny_model))
    for name in ("first", "second"):
        analyzer.analyze(Input(clip, name))
    first, second = (
        (tmp_path / "results" / f"{name}.csv").read_bytes() for name in ("first", "second")
    )
    assert first == second


def test_analyze_unwritable_folder_raises(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    analyzer = FileAnalyzer(settings(str(tmp_path / "results"), tiny_model))
    with pytest.raises(BatchError, match="results: cannot be written"):
        analyzer.analyze(Input(str(make_video(tmp_path / "a.mp4", 3)), "a.mp4"))


def test_init_other_release_raises(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"expected faceaffect 99\.0 on every machine"):
        FileAnalyzer(replace(settings(str(tmp_path), tiny_model), version="99.0"))


def test_analyze_uses_audio_of_each_video(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second video has no audio and must not get that of the first."""
    pytest.importorskip("av")
    from tests.sdk.tiny_multistage_bundle import MEL, write_tiny_multistage_bundle
    from tests.training.audio.synthetic_media import write_video

    monkeypatch.setenv(MODELS_VARIABLE, str(tiny_model.parent))
    times = np.arange(20) / 25
    sine = 0.3 * np.sin(2 * np.pi * 200 * np.arange(round(0.8 * MEL.rate_hz)) / MEL.rate_hz)
    with_audio = write_video(tmp_path / "with_audio.mkv", times, sine[None], MEL.rate_hz)
    silent = write_video(tmp_path / "silent.mkv", times)
    base = settings(str(tmp_path / "results"), write_tiny_multistage_bundle(tmp_path / "stages"))
    base = replace(base, pipeline={**base.pipeline, "smooth": False})
    rows, notes = [], []
    for options in (base, replace(base, audio="none")):
        analyzer = FileAnalyzer(options)
        for path in (with_audio, silent):
            result = analyzer.analyze(Input(str(path), path.name))
            assert result.error == ""
            notes.append(" ".join(result.notes))
            text = (tmp_path / "results" / f"{path.name}.csv").read_text().replace(path.name, "")
            rows.append([row["AU1"] for row in csv.DictReader(text.splitlines())])
    assert len(rows[0]) == 20
    assert rows[0] != rows[1] == rows[2] == rows[3]
    assert ["video alone" in note for note in notes] == [False, True, False, False]
