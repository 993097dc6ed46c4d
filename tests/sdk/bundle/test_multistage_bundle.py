"""Models of stages: only what fits together is opened, every refusal says what does not, and rows
follow from the files.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceaffect.audio.audio_source import AudioError
from faceaffect.backends import BackendError, BackendOptions
from faceaffect.backends.onnx_multistage import open_stages
from faceaffect.bundle.bundle import FOLDERS_VARIABLE, open_bundle
from faceaffect.bundle.model_spec import SPEC_FILE, BundleError, ModelSpec
from faceaffect.bundle.multistage_bundle import open_staged_bundle
from faceaffect.outputs.decode import sigmoid
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.types import Frame
from tests.sdk.tiny_bundle import write_tiny_bundle
from tests.sdk.tiny_multistage_bundle import MEL, seal_stages, staged_spec, write_tiny_staged_bundle

INSIDE = 29 / 32
"""Rows of a crop whose image has the face as Aff-Wild2 has it: our template has it higher, the last
are black.
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    write_tiny_bundle(tmp_path / "tiny")
    return write_tiny_staged_bundle(tmp_path / "stages")


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    raw = json.loads((folder / SPEC_FILE).read_text())
    change(raw)
    (folder / SPEC_FILE).write_text(json.dumps(raw))


def gray(value: int, index: int = 0) -> Frame:
    return Frame(np.full((112, 112, 3), value, np.uint8), time_s=index / 25, index=index)


def opened(folder: Path, **options: Any) -> Pipeline:
    return open_pipeline(folder, crops=True, **options)


def test_what_was_saved_is_loaded_again(tmp_path: Path) -> None:
    staged_spec().save(tmp_path)
    assert ModelSpec.load(tmp_path) == staged_spec()


def test_a_spec_of_version_1_is_one_network_with_all_heads(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path)

    def to_first(raw: dict[str, Any]) -> None:
        raw["version"] = 1
        for name in ("heads", "stages", "audio", "tracker"):
            del raw[name]
        for name in ("part_mask_norm", "offset_y_px"):
            del raw["crop"][name]

    edit(tmp_path, to_first)
    spec = open_bundle(tmp_path).spec
    assert spec.heads == ("au", "expression", "va")
    assert spec.stages == ()


def test_rows_follow_from_the_stages(folder: Path) -> None:
    with opened(folder) as pipeline:
        pipeline.listen(None)
        total = 0.0
        for index, value in enumerate((100, 200, 150)):
            _, affect = pipeline.analyze(gray(value, index))
            total = total / 2 + INSIDE * value / 255
            assert affect.au_probability[0] == pytest.approx(
                np.full(12, sigmoid(np.float32(total))), abs=1e-4
            )
            assert affect.valence == pytest.approx(min(total, 1), abs=1e-4)
            assert np.isnan(affect.expression_probability).all()
            assert affect.top_expression() == [""]
            assert affect.au_active.all() == bool(sigmoid(np.float32(total)) >= 0.6)
        pipeline.reset()
        assert pipeline.analyze(gray(100))[1].valence == pytest.approx(INSIDE * 100 / 255, abs=1e-4)


def test_a_stage_that_runs_now_and_then_holds_its_outputs(folder: Path) -> None:
    write_tiny_staged_bundle(folder, frame_stride=3)
    values = [100, 200, 150, 120, 90, 60, 30]
    with opened(folder) as pipeline:
        pipeline.listen(None)
        valence = [float(pipeline.analyze(gray(v, i))[1].valence[0]) for i, v in enumerate(values)]
    first, second = INSIDE * 100 / 255, INSIDE * (50 + 120) / 255
    assert valence == pytest.approx(
        [first] * 3 + [second] * 3 + [second / 2 + INSIDE * 30 / 255], abs=1e-4
    )


class Hum:
    """Audio of one loudness from the start on."""

    name, notes = "hum", list[str]()

    def __init__(self, rate_hz: int = MEL.rate_hz) -> None:
        self.rate_hz, self._given = rate_hz, 0

    def read_until(self, time_s: float) -> np.ndarray:
        count = max(0, round(time_s * self.rate_hz) - self._given)
        self._given += count
        return np.full(count, 0.5, np.float32)

    def close(self) -> None: ...


def test_audio_counts_from_the_first_whole_step_on(folder: Path) -> None:
    with opened(folder) as pipeline:
        assert pipeline.uses_audio
        assert pipeline.audio_sample_rate_hz == 1600
        runs = []
        for audio in (None, Hum()):
            pipeline.reset()
            pipeline.listen(audio)
            runs.append([float(pipeline.analyze(gray(20, i))[1].arousal[0]) for i in range(6)])
    changed = np.abs(np.subtract(*runs)) > 1e-3
    assert changed.tolist() == [
        False,
        False,
        False,
        True,
        True,
        True,
    ]  # 0.12 s is the first frame after 0.1 s


def test_audio_of_another_rate_is_refused(folder: Path) -> None:
    with (
        opened(folder) as pipeline,
        pytest.raises(AudioError, match="audio of 1600 Hz is wanted, this has 8000"),
    ):
        pipeline.listen(Hum(8000))


def test_a_model_that_hears_nothing_takes_no_audio(tmp_path: Path) -> None:
    with (
        opened(write_tiny_bundle(tmp_path / "tiny")) as pipeline,
        pytest.raises(ValueError, match="hears no audio"),
    ):
        pipeline.listen(None)


def test_who_forgets_the_audio_is_told_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "faceaffect"), opened(folder) as pipeline:
        for index in range(3):
            pipeline.analyze(gray(100, index))
            pipeline.reset()
    assert [record.message for record in caplog.records if "video alone" in record.message] == [
        "faceaffect: tiny stages hears audio and was given none (Pipeline.listen): it runs on video alone"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw["stages"].reverse(), "in this order"),
        (
            lambda raw: raw["stages"].pop(1),
            r"stage temporal wants light \[1\], what comes is nothing",
        ),
        (
            lambda raw: raw["stages"][1]["outputs"].update(light=[2]),
            r"stage temporal wants light \[1\], what comes is \[2\]",
        ),
        (
            lambda raw: raw["crop"].update(size_px=64),
            r"stage frame wants crops \[3, 32, 32\], what comes is \[3, 64, 64\]",
        ),
        (lambda raw: raw["crop"].update(part_mask_norm=[0.5, 0.2]), r"what comes is \[4, 32, 32\]"),
        (lambda raw: raw["crop"].update(part_mask_norm=[0.5, 0]), "std > 0"),
        (lambda raw: raw["crop"].update(offset_y_px=1e9), "offset_y_px"),
        (
            lambda raw: raw.update(heads=["au", "expression", "va"]),
            r"head expression is read from expression_logit \[7\]",
        ),
        (lambda raw: raw.update(heads=["va", "au"]), "in this order"),
        (lambda raw: raw.update(heads=[]), "heads must be some of"),
        (lambda raw: raw.update(tracker=""), "must name the model that follows faces"),
        (lambda raw: raw.update(audio=None), "a stage audio needs audio"),
        (lambda raw: raw["audio"].update(framing="song"), "got 'song'"),
        (lambda raw: raw["audio"]["mel"].update(bands=7), "of 7 bands"),
        (lambda raw: raw["audio"]["mel"].update(hop_s=0.0101), "wrong form"),
        (lambda raw: raw["audio"].pop("mel"), "wrong form"),
        (lambda raw: raw["stages"][2].update(frame_stride=0), "wrong form"),
        (lambda raw: raw["stages"][2].update(frame_stride=1.5), "wrong form"),
        (lambda raw: raw["stages"][2]["states"].update(sum=[-1]), "wrong form"),
        (lambda raw: raw["stages"][2]["states"].update(sum=[1 << 40]), "wrong form"),
        (lambda raw: raw["stages"][2].update(color="red"), "unknown fields"),
        (lambda raw: raw["files"].pop("frame.onnx"), r"files must name \['frame.onnx'\]"),
        (lambda raw: raw.update(stages="frame"), "wrong form"),
        (lambda raw: raw.update(input_fps=0), "input_fps must be"),
        (lambda raw: raw.update(input_fps="fast"), "wrong form"),
        (lambda raw: raw.update(stages=[]), "without stages a model has all heads"),
        (lambda raw: raw.update(version=3), "version must be 1 to 2, got 3"),
    ],
)
def test_a_damaged_spec_says_what_is_wrong(
    folder: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    edit(folder, change)
    with pytest.raises(BundleError, match=said):
        open_pipeline(folder, crops=True)


@pytest.mark.parametrize("name", ["audio.onnx", "frame.onnx", "temporal.onnx"])
def test_files_are_checked(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + b"\x01")
    with pytest.raises(BundleError, match=rf"{name}: SHA-256 must be"):
        opened(folder)
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"needs {name}, which cannot be read"):
        opened(folder)
    (folder / name).write_bytes(content[:20])
    seal_stages(folder)
    with pytest.raises(BundleError, match=f"{name}: ONNX Runtime cannot load it"):
        opened(folder)


def test_files_must_be_what_the_spec_says(folder: Path) -> None:
    edit(folder, lambda raw: raw["stages"][2]["states"].update(sum=[5]))
    with pytest.raises(
        BundleError,
        match=r"temporal.onnx: inputs must be float32 .*'sum': \['N', 5\].*got .*'sum': \('N', 1\)",
    ):
        opened(folder)


def test_another_stage_under_its_name(folder: Path) -> None:
    (folder / "frame.onnx").write_bytes((folder / "temporal.onnx").read_bytes())
    seal_stages(folder)
    with pytest.raises(BundleError, match=r"frame.onnx: inputs must be float32 \{'crops'"):
        open_stages(open_staged_bundle(folder), BackendOptions())


def test_the_model_that_follows_must_be_there_and_is_never_a_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(folder, lambda raw: raw.update(tracker="nobody"))
    with pytest.raises(
        BundleError, match=r"needs the model 'nobody' to follow faces, there are \[.*'tiny'\]"
    ):
        opened(folder)
    edit(folder, lambda raw: raw.update(tracker=str(folder.parent / "tiny")))
    with pytest.raises(BundleError, match="to follow faces"):
        opened(folder)
    edit(folder, lambda raw: raw.update(tracker="stages"))
    with pytest.raises(BundleError, match="made of the stages"):
        opened(folder)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backend": "tensorrt"}, "which run on the CPU"),
        ({"device": "cuda:0"}, "runs on device 'cpu' only"),
        ({"precision": "fp16"}, "run in fp32 only"),
        ({"baseline": True}, "has no au_neutral_logits"),
    ],
)
def test_what_stages_cannot_do(folder: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises((BackendError, BundleError), match=said):
        open_pipeline(folder, **options)


def test_one_network_is_wanted_elsewhere(folder: Path) -> None:
    with pytest.raises(BundleError, match=r"made of the stages \['audio', 'frame', 'temporal'\]"):
        open_bundle(folder)


def test_reports_name_model_and_stages(folder: Path) -> None:
    with opened(folder) as pipeline:
        assert pipeline.describe()["model"] == "tiny stages + audio + frame + temporal"
    assert asdict(staged_spec())["stages"][2]["states"] == {"sum": (1,)}
