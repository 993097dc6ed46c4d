"""Multi-stage models: invalid bundles are refused with the reason; outputs match the stages."""

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
from faceaffect.bundle.bundle import MODELS_VARIABLE, open_bundle
from faceaffect.bundle.model_spec import SPEC_FILE, BundleError, ModelSpec
from faceaffect.bundle.multistage_bundle import open_multistage_bundle
from faceaffect.kernels.activations import sigmoid
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.types import Frame
from tests.sdk.tiny_bundle import write_tiny_bundle
from tests.sdk.tiny_multistage_bundle import (
    MEL,
    multistage_spec,
    seal_stages,
    write_tiny_multistage_bundle,
)

VISIBLE = 29 / 32
"""Fraction of crop rows that show the image when its face is where Aff-Wild2 has it: the template
has the face higher, so the last rows are black.
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    write_tiny_bundle(tmp_path / "tiny")
    return write_tiny_multistage_bundle(tmp_path / "stages")


def edit_spec(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    raw = json.loads((folder / SPEC_FILE).read_text())
    change(raw)
    (folder / SPEC_FILE).write_text(json.dumps(raw))


def gray_frame(value: int, index: int = 0) -> Frame:
    return Frame(np.full((112, 112, 3), value, np.uint8), time_s=index / 25, index=index)


def open_crops_pipeline(folder: Path, **options: Any) -> Pipeline:
    return open_pipeline(folder, aligned_crops=True, **options)


def test_multistage_spec_save_and_load_round_trip(tmp_path: Path) -> None:
    multistage_spec().save(tmp_path)
    assert ModelSpec.load(tmp_path) == multistage_spec()


def test_model_spec_of_version_1_is_single_network_with_all_heads(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path)

    def to_version_1(raw: dict[str, Any]) -> None:
        raw["version"] = 1
        for name in ("heads", "stages", "audio", "tracker"):
            del raw[name]
        for name in ("part_mask_norm", "offset_y_px"):
            del raw["crop"][name]

    edit_spec(tmp_path, to_version_1)
    spec = open_bundle(tmp_path).spec
    assert spec.heads == ("au", "expression", "va")
    assert spec.stages == ()


def test_pipeline_outputs_match_stages(folder: Path) -> None:
    with open_crops_pipeline(folder) as pipeline:
        pipeline.attach_audio(None)
        total = 0.0
        for index, value in enumerate((100, 200, 150)):
            _, affect = pipeline.analyze(gray_frame(value, index))
            total = total / 2 + VISIBLE * value / 255
            assert affect.au_probability[0] == pytest.approx(
                np.full(12, sigmoid(np.float32(total))), abs=1e-4
            )
            assert affect.valence == pytest.approx(min(total, 1), abs=1e-4)
            assert np.isnan(affect.expression_probability).all()
            assert affect.top_expression() == [""]
            assert affect.au_active.all() == bool(sigmoid(np.float32(total)) >= 0.6)
        pipeline.reset()
        assert pipeline.analyze(gray_frame(100))[1].valence == pytest.approx(
            VISIBLE * 100 / 255, abs=1e-4
        )


def test_stage_with_frame_stride_holds_outputs(folder: Path) -> None:
    write_tiny_multistage_bundle(folder, frame_stride=3)
    values = [100, 200, 150, 120, 90, 60, 30]
    with open_crops_pipeline(folder) as pipeline:
        pipeline.attach_audio(None)
        valence = [
            float(pipeline.analyze(gray_frame(v, i))[1].valence[0]) for i, v in enumerate(values)
        ]
    first, second = VISIBLE * 100 / 255, VISIBLE * (50 + 120) / 255
    assert valence == pytest.approx(
        [first] * 3 + [second] * 3 + [second / 2 + VISIBLE * 30 / 255], abs=1e-4
    )


class ConstantAudio:
    """Audio source of constant amplitude."""

    name, notes = "constant", list[str]()

    def __init__(self, rate_hz: int = MEL.rate_hz) -> None:
        self.rate_hz, self._given = rate_hz, 0

    def read_until(self, time_s: float) -> np.ndarray:
        count = max(0, round(time_s * self.rate_hz) - self._given)
        self._given += count
        return np.full(count, 0.5, np.float32)

    def close(self) -> None: ...


def test_audio_affects_frames_from_first_full_chunk(folder: Path) -> None:
    with open_crops_pipeline(folder) as pipeline:
        assert pipeline.uses_audio
        assert pipeline.audio_sample_rate_hz == 1600
        runs = []
        for audio in (None, ConstantAudio()):
            pipeline.reset()
            pipeline.attach_audio(audio)
            runs.append(
                [float(pipeline.analyze(gray_frame(20, i))[1].arousal[0]) for i in range(6)]
            )
    changed = np.abs(np.subtract(*runs)) > 1e-3
    assert changed.tolist() == [
        False,
        False,
        False,
        True,
        True,
        True,
    ]  # 0.12 s is the first frame after 0.1 s


def test_audio_with_another_sample_rate_raises(folder: Path) -> None:
    with (
        open_crops_pipeline(folder) as pipeline,
        pytest.raises(AudioError, match="expected audio of 1600 Hz, got 8000"),
    ):
        pipeline.attach_audio(ConstantAudio(8000))


def test_pipeline_without_audio_model_refuses_audio(tmp_path: Path) -> None:
    with (
        open_crops_pipeline(write_tiny_bundle(tmp_path / "tiny")) as pipeline,
        pytest.raises(ValueError, match="uses no audio"),
    ):
        pipeline.attach_audio(None)


def test_pipeline_without_attached_audio_warns_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "faceaffect"), open_crops_pipeline(folder) as pipeline:
        for index in range(3):
            pipeline.analyze(gray_frame(100, index))
            pipeline.reset()
    assert [record.message for record in caplog.records if "video alone" in record.message] == [
        "faceaffect: tiny stages uses audio and has none (Pipeline.attach_audio): "
        "it runs on video alone"
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw["stages"].reverse(), "in this order"),
        (
            lambda raw: raw["stages"].pop(1),
            r"stage temporal: expected input light \[1\], got none",
        ),
        (
            lambda raw: raw["stages"][1]["outputs"].update(light=[2]),
            r"stage temporal: expected input light \[1\], got \[2\]",
        ),
        (
            lambda raw: raw["crop"].update(size_px=64),
            r"stage frame: expected input crops \[3, 32, 32\], got \[3, 64, 64\]",
        ),
        (lambda raw: raw["crop"].update(part_mask_norm=[0.5, 0.2]), r"got \[4, 32, 32\]"),
        (
            lambda raw: raw["crop"].update(part_mask_norm=[0.5, 0]),
            "part_mask_norm of a finite mean and std > 0",
        ),
        (lambda raw: raw["crop"].update(offset_y_px=1e9), "offset_y_px"),
        (
            lambda raw: raw.update(heads=["au", "expression", "va"]),
            r"head expression: expected output expression_logit \[7\]",
        ),
        (lambda raw: raw.update(heads=["va", "au"]), "in this order"),
        (lambda raw: raw.update(heads=[]), "heads: expected some of"),
        (lambda raw: raw.update(tracker=""), "tracker: expected the name of the model"),
        (lambda raw: raw.update(audio=None), "stage audio: expected audio with framing"),
        (lambda raw: raw["audio"].update(framing="song"), "got 'song'"),
        (lambda raw: raw["audio"]["mel"].update(bands=7), "of 7 bands"),
        (
            lambda raw: raw["audio"]["mel"].update(hop_s=0.0101),
            "expected a hop of an integer number",
        ),
        (lambda raw: raw["audio"].pop("mel"), r"audio: missing fields \['mel'\]"),
        (
            lambda raw: raw["stages"][2].update(frame_stride=0),
            "frame_stride: expected an integer >= 1",
        ),
        (
            lambda raw: raw["stages"][2].update(frame_stride=1.5),
            r"stages\[2\]\.frame_stride: expected an integer",
        ),
        (
            lambda raw: raw["stages"][2]["states"].update(sum=[-1]),
            r"states\.sum\[0\]: expected an integer >= 1",
        ),
        (
            lambda raw: raw["stages"][2]["states"].update(sum=[1 << 40]),
            r"states\.sum: expected a shape of at most",
        ),
        (lambda raw: raw["stages"][2].update(color="red"), "unknown fields"),
        (
            lambda raw: raw["files"].pop("frame.onnx"),
            r"files: expected an entry for each stage, missing \['frame.onnx'\]",
        ),
        (lambda raw: raw.update(stages="frame"), "stages: expected an array"),
        (lambda raw: raw.update(input_fps=0), "input_fps: expected a number in"),
        (lambda raw: raw.update(input_fps="fast"), "input_fps: expected a number, got 'fast'"),
        (lambda raw: raw.update(stages=[]), "without stages a model has all heads"),
        (lambda raw: raw.update(version=4), "version: expected at most 3.*, got 4"),
    ],
)
def test_open_pipeline_with_invalid_spec_raises(
    folder: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit_spec(folder, change)
    with pytest.raises(BundleError, match=message):
        open_pipeline(folder, aligned_crops=True)


@pytest.mark.parametrize("name", ["audio.onnx", "frame.onnx", "temporal.onnx"])
def test_open_pipeline_with_damaged_stage_file_raises(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + b"\x01")
    with pytest.raises(BundleError, match=rf"{name}: expected SHA-256"):
        open_crops_pipeline(folder)
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"needs {name}, which cannot be read"):
        open_crops_pipeline(folder)
    (folder / name).write_bytes(content[:20])
    seal_stages(folder)
    with pytest.raises(BundleError, match=f"{name}: expected ONNX, got a file that is cut off"):
        open_crops_pipeline(folder)


def test_open_pipeline_with_file_unlike_spec_raises(folder: Path) -> None:
    edit_spec(folder, lambda raw: raw["stages"][2]["states"].update(sum=[5]))
    with pytest.raises(
        BundleError,
        match=r"temporal.onnx: inputs: expected .*'sum': \['N', 5\].*got .*'sum': \('N', 1\)",
    ):
        open_crops_pipeline(folder)


def test_open_stages_with_swapped_file_raises(folder: Path) -> None:
    (folder / "frame.onnx").write_bytes((folder / "temporal.onnx").read_bytes())
    seal_stages(folder)
    with pytest.raises(BundleError, match=r"frame.onnx: inputs: expected float32 \{'crops'"):
        open_stages(open_multistage_bundle(folder), BackendOptions())


def test_tracker_bundle_is_found_by_name_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_spec(folder, lambda raw: raw.update(tracker="nobody"))
    with pytest.raises(
        BundleError, match=r"expected the model 'nobody' for face tracking, got \[.*'tiny'\]"
    ):
        open_crops_pipeline(folder)
    edit_spec(folder, lambda raw: raw.update(tracker=str(folder.parent / "tiny")))
    with pytest.raises(BundleError, match="for face tracking"):
        open_crops_pipeline(folder)
    edit_spec(folder, lambda raw: raw.update(tracker="stages"))
    with pytest.raises(BundleError, match="got the stages"):
        open_crops_pipeline(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "tensorrt"}, "which run on the CPU"),
        ({"device": "cuda:0"}, "runs on device 'cpu' only"),
        ({"precision": "fp16"}, "run in fp32 only"),
        ({"neutral_baseline": True}, "has no au_neutral_logits"),
    ],
)
def test_multistage_model_with_unsupported_option_raises(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((BackendError, BundleError), match=message):
        open_pipeline(folder, **options)


def test_open_bundle_of_multistage_model_raises(folder: Path) -> None:
    with pytest.raises(BundleError, match=r"got the stages \['audio', 'frame', 'temporal'\]"):
        open_bundle(folder)


def test_pipeline_describe_names_model_and_stages(folder: Path) -> None:
    with open_crops_pipeline(folder) as pipeline:
        assert pipeline.describe()["model"] == "tiny stages + audio + frame + temporal"
    assert asdict(multistage_spec())["stages"][2]["states"] == {"sum": (1,)}
