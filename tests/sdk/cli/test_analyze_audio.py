"""Tests of `analyze` with a model that uses audio."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from faceaffect.bundle.bundle import MODELS_VARIABLE
from faceaffect.cli import main
from tests.sdk.tiny_bundle import write_tiny_bundle
from tests.sdk.tiny_multistage_bundle import MEL, write_tiny_multistage_bundle
from tests.training.audio.synthetic_media import write_audio, write_video

REQUIRES = ("av",)

TIMES = np.arange(20) / 25
RATE = MEL.rate_hz


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    write_tiny_bundle(tmp_path / "tiny")
    write_tiny_multistage_bundle(tmp_path / "stages")
    return tmp_path


def sine(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE)) / RATE))[None]


def analyze(
    folder: Path, source: Path, *options: str, model: str = "stages"
) -> tuple[int, list[dict[str, str]]]:
    out = folder / "rows.csv"
    with pytest.raises(SystemExit) as exit_info:
        main(
            [
                "analyze",
                str(source),
                "--model",
                model,
                "--aligned-crops",
                "--no-smoothing",
                "--out",
                str(out),
                "--overwrite",
                *options,
            ]
        )
    rows = list(csv.DictReader(out.open())) if out.is_file() else []
    return int(exit_info.value.code or 0), rows


def scores(rows: list[dict[str, str]]) -> list[float]:
    return [float(row["AU1"]) for row in rows]


def test_analyze_default_uses_audio_track_of_video(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_video(folder / "a.mkv", TIMES, sine(0.8), RATE)
    code, rows = analyze(folder, clip)
    assert code == 0
    assert "video alone" not in capsys.readouterr().err
    code, silent = analyze(folder, clip, "--audio", "none")
    assert code == 0
    changed = np.abs(np.subtract(scores(rows), scores(silent))) > 1e-3
    assert changed.tolist() == [time_s > 0.099 for time_s in TIMES]
    assert "video alone" not in capsys.readouterr().err, "--audio none silences the note"


def test_analyze_without_audio_track_prints_note(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_video(folder / "a.mkv", TIMES)
    code, rows = analyze(folder, clip)
    assert (code, len(rows)) == (0, 20)
    notes = [line for line in capsys.readouterr().err.splitlines() if "video alone" in line]
    assert notes == [f"note: {clip}: no audio track: tiny stages runs on video alone"]


def test_analyze_audio_file_replaces_audio_track(folder: Path) -> None:
    clip, audio = (
        write_video(folder / "a.mkv", TIMES),
        write_audio(folder / "a.wav", sine(0.8), RATE),
    )
    with_track = write_video(folder / "b.mkv", TIMES, sine(0.8), RATE)
    assert scores(analyze(folder, clip, "--audio", str(audio))[1]) == pytest.approx(
        scores(analyze(folder, with_track)[1]), abs=1e-3
    )


def test_analyze_requested_audio_missing_fails(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_video(folder / "a.mkv", TIMES)
    assert analyze(folder, clip, "--audio", str(folder / "nothing.wav"))[0] == 1
    assert "nothing.wav: no such file" in capsys.readouterr().err
    assert analyze(folder, clip, "--audio", "mic")[0] == 1
    assert "goes with a camera" in capsys.readouterr().err
    assert analyze(folder, clip, "--audio", "mic", model="tiny")[0] == 2
    assert "model tiny does not use audio" in capsys.readouterr().err


def test_analyze_audio_that_ends_or_is_corrupt_keeps_all_rows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = np.arange(40) / 25
    short = write_video(folder / "a.mkv", times, sine(0.4), RATE)
    code, rows = analyze(folder, short)
    assert (code, len(rows)) == (0, 40)
    assert "the audio ends at 0.4 s; silence from there on" in capsys.readouterr().err.replace(
        "\n", ""
    )
    clip, broken = write_video(folder / "b.mkv", times), folder / "b.flac"
    noise = (np.random.default_rng(0).standard_normal((1, 44100)) * 0.1).clip(-1, 1)
    content = bytearray(write_audio(broken, noise, 44100, codec="flac").read_bytes())
    content[len(content) // 2 :] = b"\xff" * 4000
    broken.write_bytes(content)
    code, rows = analyze(folder, clip, "--audio", str(broken))
    assert (code, len(rows)) == (0, 40)
    assert "silence from there on" in capsys.readouterr().err.replace("\n", "")


def test_pipeline_resumed_gets_same_audio_as_full_run(folder: Path) -> None:
    """Once the model has forgotten the start, rows equal those of an uninterrupted run."""
    from faceaffect.audio.open_audio import open_audio
    from faceaffect.pipeline import open_pipeline
    from faceaffect.sources import SourceOptions, open_source

    clip = write_video(
        folder / "a.mkv", np.arange(60) / 25, sine(2.4) * np.linspace(0, 1, round(2.4 * RATE)), RATE
    )
    runs = []
    for start in (0, 20):
        with (
            open_pipeline("stages", aligned_crops=True, smooth=False) as pipeline,
            open_source(clip, SourceOptions(start)) as source,
        ):
            pipeline.attach_audio(open_audio("auto", source, pipeline.audio_sample_rate_hz))
            runs.append(
                {
                    frame.index: float(pipeline.analyze(frame)[1].au_probability[0, 0])
                    for frame in source
                }
            )
    later = range(32, 60)  # after twelve frames the state before the resume has decayed
    assert [runs[1][index] for index in later] == pytest.approx(
        [runs[0][index] for index in later], abs=1e-3
    )
    assert np.std([runs[0][index] for index in later]) > 0.01


def test_analyze_two_videos_use_their_own_audio(folder: Path) -> None:
    loud, mute = (
        write_video(folder / "a.mkv", TIMES, sine(0.8), RATE),
        write_video(folder / "b.mkv", TIMES),
    )
    alone = scores(analyze(folder, mute)[1])
    both = [row for row in analyze(folder, loud, str(mute))[1] if row["source"] == str(mute)]
    assert scores(both) == alone


def test_models_and_build_engine_handle_multistage_bundle(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["models"])
    assert not exit_info.value.code
    assert "tiny stages" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit_info:
        main(["models", "show", "stages"])
    assert exit_info.value.code == 1
    assert "has no model card" in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit_info:
        main(["build-engine", "--model", "stages"])
    assert exit_info.value.code != 0
    assert "got the stages" in capsys.readouterr().err
