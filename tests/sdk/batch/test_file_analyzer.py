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
        {"crops": True, "backend": "onnx"},
        SourceOptions(),
        "auto",
        installed_version(),
    )


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Any]:
    """A file system that only this process sees, with one video on it."""
    system = pytest.importorskip("fsspec").filesystem("memory")
    system.put_file(str(make_video(tmp_path / "a.mp4", 12)), "/archive/deep/a.mp4")
    yield system
    system.rm("/archive", recursive=True)
    if system.exists("/parts"):
        system.rm("/parts", recursive=True)


def test_a_remote_video_becomes_a_remote_part(memory: Any, tiny_model: Path) -> None:
    (task,) = find_inputs(["memory://archive"])
    told: list[int] = []
    outcome = FileAnalyzer(settings("memory://parts", tiny_model)).analyze(task, told.append)
    assert (outcome.error, outcome.frames, outcome.faces, sum(told)) == ("", 12, 12, 12)
    assert outcome.video_s == pytest.approx(12 / 25)
    assert outcome.cpu_s > 0
    store = open_store("memory://parts")
    assert store.names() == {"deep/a.mp4.csv"}
    rows = list(csv.DictReader(io.StringIO(store.read("deep/a.mp4.csv"))))
    assert {row["source"] for row in rows} == {task.uri}
    assert len(rows) == 12


def test_an_input_that_is_gone_is_an_outcome(memory: Any, tiny_model: Path) -> None:
    analyzer = FileAnalyzer(settings("memory://parts", tiny_model))
    outcome = analyzer.analyze(Input("memory://archive/none.mp4", "none.mp4"))
    assert "memory://archive/none.mp4: cannot be fetched (FileNotFoundError" in outcome.error
    assert open_store("memory://parts").names() == set()


def test_rows_do_not_depend_on_what_came_before(tiny_model: Path, tmp_path: Path) -> None:
    clip = str(make_video(tmp_path / "a.mp4", 9))
    analyzer = FileAnalyzer(settings(str(tmp_path / "parts"), tiny_model))
    for name in ("first", "second"):
        analyzer.analyze(Input(clip, name))
    first, second = (
        (tmp_path / "parts" / f"{name}.csv").read_bytes() for name in ("first", "second")
    )
    assert first == second


def test_a_folder_that_cannot_be_written_ends_the_run(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "parts").touch()
    analyzer = FileAnalyzer(settings(str(tmp_path / "parts"), tiny_model))
    with pytest.raises(BatchError, match="parts: cannot be written"):
        analyzer.analyze(Input(str(make_video(tmp_path / "a.mp4", 3)), "a.mp4"))


def test_another_release_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"every machine needs faceaffect 99\.0"):
        FileAnalyzer(replace(settings(str(tmp_path), tiny_model), version="99.0"))


def test_each_video_is_heard_with_its_own_audio(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has none: it must not hear the first one's."""
    pytest.importorskip("av")
    from tests.sdk.tiny_multistage_bundle import MEL, write_tiny_multistage_bundle
    from tests.training.audio.synthetic_media import write_video

    monkeypatch.setenv(MODELS_VARIABLE, str(tiny_model.parent))
    times = np.arange(20) / 25
    hum = 0.3 * np.sin(2 * np.pi * 200 * np.arange(round(0.8 * MEL.rate_hz)) / MEL.rate_hz)
    heard = write_video(tmp_path / "heard.mkv", times, hum[None], MEL.rate_hz)
    silent = write_video(tmp_path / "silent.mkv", times)
    given = settings(str(tmp_path / "parts"), write_tiny_multistage_bundle(tmp_path / "stages"))
    given = replace(given, pipeline={**given.pipeline, "smooth": False})
    rows, notes = [], []
    for options in (given, replace(given, audio="none")):
        analyzer = FileAnalyzer(options)
        for path in (heard, silent):
            outcome = analyzer.analyze(Input(str(path), path.name))
            assert outcome.error == ""
            notes.append(" ".join(outcome.notes))
            part = (tmp_path / "parts" / f"{path.name}.csv").read_text().replace(path.name, "")
            rows.append([row["AU1"] for row in csv.DictReader(part.splitlines())])
    assert len(rows[0]) == 20
    assert rows[0] != rows[1] == rows[2] == rows[3]
    assert ["video alone" in note for note in notes] == [False, True, False, False]
