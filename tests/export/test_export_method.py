"""All eight methods from training to rows: streaming in the SDK matches offline predictions."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from export import export_method
from export.__main__ import main as export_main
from faceaffect import Frame, open_pipeline, open_source, to_bgr
from faceaffect.audio.audio_file import AudioFile
from faceaffect.backends import BackendOptions
from faceaffect.backends.onnx_multistage import open_stages
from faceaffect.bundle.bundle import CARD_FILE
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.bundle.multistage_bundle import open_multistage_bundle
from faceaffect.cli import main as cli_main
from faceaffect.geometry import (
    estimate_crop_to_frame,
    invert_transforms,
    keypoints_from_landmarks,
    rescale_transforms,
    transform_points,
)
from faceaffect.kernels import reference
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.multistage.face_part_mask import face_part_mask
from faceaffect.multistage.multistage_model import MultiStageModel
from faceaffect.multistage.stage_runner import MEMORY_TIMEOUT_S
from faceaffect.system.stage_timer import StageTimer
from tests.export.conftest import Export
from tests.export.method_runs import predict_offline, write_run
from tests.training.audio.synthetic_media import write_audio
from tests.training.methods.network_cases import SMALL
from tests.training.methods.synthetic_faces import synthetic_data
from training.audio.audio_file import read_audio
from training.audio.frame_times import frame_audio_offsets
from training.audio.mel_track import MelTrack
from training.evaluation.calibration import choose_thresholds
from training.methods.predict import method_predictions
from training.methods.recipe_lookup import RECIPES, find_recipe
from training.models.mean_shape import MEAN_SHAPE_PX

REQUIRES = ("av",)
pytestmark = [pytest.mark.train, pytest.mark.usefixtures("trained")]
DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"
TOLERANCE = 1e-5
RATE = 44100
HEADS = {
    "prior_aided_streaming": ("au", "expression", "va"),
    "multimodal_transformer": ("au", "expression"),
    "incomplete_labels": ("au", "expression"),
    "attention_graph": ("au",),
    "mean_teacher": ("au", "expression", "va"),
    "feature_pyramid": ("au", "expression", "va"),
    "pairwise_intensity": ("au",),
    "multi_database": ("expression", "va"),
}


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    with open_source(DEMO) as source:
        return [frame for frame, _ in zip(source, range(48), strict=False)]


def analyze(
    bundle: Path, frames: list[Frame], audio: AudioFile | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Landmarks [T, 68, 2] of the only face, and its scores by head [T, ...]."""
    points, scores = [], {"au": [], "expression": [], "va": []}
    with open_pipeline(bundle, smooth=False) as pipeline:
        if pipeline.uses_audio:
            pipeline.attach_audio(audio)
        for frame in frames:
            faces, affect = pipeline.analyze(frame)
            assert faces.track_id.tolist() == [1]
            points.append(faces.landmarks_xy[0])
            scores["au"].append(affect.au_probability[0])
            scores["expression"].append(affect.expression_probability[0])
            scores["va"].append([affect.valence[0], affect.arousal[0]])
    return np.array(points), {head: np.array(values) for head, values in scores.items()}


def crop_faces(frames: list[Frame], points: np.ndarray, spec: ModelSpec) -> torch.Tensor:
    """Crops by the reference implementation."""
    size, rows = spec.crop.size_px, []
    for frame, landmarks in zip(frames, points, strict=True):
        maps = rescale_transforms(
            estimate_crop_to_frame(keypoints_from_landmarks(landmarks[None])), size
        )
        crop = reference.crop_face(
            frame, maps, size_px=size, mean=spec.crop.mean, std=spec.crop.std
        )[0]
        if spec.crop.part_mask_norm is not None:
            mask = (
                face_part_mask(transform_points(invert_transforms(maps), landmarks[None])[0], size)
                / 255
            )
            crop = np.concatenate(
                [crop, ((mask - spec.crop.part_mask_norm[0]) / spec.crop.part_mask_norm[1])[None]]
            ).astype(np.float32)
        rows.append(torch.from_numpy(crop))
    return torch.stack(rows)


def scores_by_head(outputs: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    outputs_by_head = {
        "au": ("au_logit", torch.sigmoid),
        "expression": ("expression_logit", lambda x: x.softmax(-1)),
    }
    outputs_by_head["va"] = ("va", lambda x: x.clamp(-1, 1))
    return {
        head: activation(outputs[name]).numpy()
        for head, (name, activation) in outputs_by_head.items()
        if name in outputs
    }


def assert_scores_match(
    actual: dict[str, np.ndarray], expected: dict[str, np.ndarray], heads: tuple[str, ...]
) -> None:
    for head in ("au", "expression", "va"):
        if head not in heads:
            assert np.isnan(actual[head]).all(), head
            continue
        assert expected[head].std(axis=0).max() > 10 * TOLERANCE, f"{head} hardly changes"
        assert np.abs(actual[head] - expected[head]).max() < TOLERANCE, head


@pytest.mark.parametrize("name", RECIPES)
def test_streaming_matches_offline_predictions(
    name: str, exports: dict[str, Export], frames: list[Frame]
) -> None:
    net, bundle = exports[name]
    spec = ModelSpec.load(bundle)
    assert spec.heads == HEADS[name]
    if not any(stage.states for stage in spec.stages):
        frames = frames[::6]
    points, actual = analyze(bundle, frames)
    assert_scores_match(
        actual,
        scores_by_head(predict_offline(net, crop_faces(frames, points, spec), [])),
        spec.heads,
    )


def test_stage_with_frame_stride_holds_outputs(
    exports: dict[str, Export], frames: list[Frame]
) -> None:
    net, bundle = exports["mean_teacher net.clip=3d net.base=8"]
    spec = ModelSpec.load(bundle)
    stride = spec.stages[-1].frame_stride
    assert stride == 6
    points, actual = analyze(bundle, frames)
    expected = scores_by_head(predict_offline(net, crop_faces(frames, points, spec), []))
    held = np.arange(len(frames)) // stride * stride
    assert_scores_match(
        actual, {head: values[held] for head, values in expected.items()}, spec.heads
    )


def test_network_with_input_fps_skips_frames(frames: list[Frame], tmp_path: Path) -> None:
    net = write_run("multi_database", tmp_path / "run")
    done = CliRunner().invoke(
        export_main, [str(tmp_path / "run"), "--to", str(tmp_path / "bundle"), "--fps", "5"]
    )
    assert done.exit_code == 0, done.output
    spec = ModelSpec.load(tmp_path / "bundle")
    assert "at most 5 frames per second" in (tmp_path / "bundle" / CARD_FILE).read_text()
    points, actual = analyze(tmp_path / "bundle", frames)
    expected = scores_by_head(
        predict_offline(net, crop_faces(frames[::6], points[::6], spec), [])
    )  # the demo has 30 fps
    held = np.arange(len(frames)) // 6
    assert_scores_match(
        actual, {head: values[held] for head, values in expected.items()}, spec.heads
    )


def test_network_without_memory_ignores_input_fps(
    tmp_path: Path,
) -> None:
    write_run("incomplete_labels", tmp_path / "run")
    done = CliRunner().invoke(
        export_main, [str(tmp_path / "run"), "--to", str(tmp_path / "bundle"), "--fps", "3"]
    )
    assert done.exit_code == 0, done.output
    assert ModelSpec.load(tmp_path / "bundle").input_fps is None
    assert "frames per second" not in (tmp_path / "bundle" / CARD_FILE).read_text()


def test_thresholds_are_chosen_at_input_fps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, data = (
        write_run("mean_teacher", tmp_path / "run"),
        synthetic_data(validation={"one": 60, "two": 45}, size_px=32),
    )
    recipe = find_recipe("mean_teacher", "compact", SMALL["mean_teacher"])
    table = data.validation
    slow, full_rate = (
        method_predictions(net, recipe, table, data, input_fps=fps).au for fps in (5, None)
    )
    expected, other = (
        choose_thresholds(each, table.au > 0, table.au_mask) for each in (slow, full_rate)
    )
    assert np.abs(np.subtract(expected, other)).max() > 1e-3
    monkeypatch.setattr(
        export_method, "open_recipe_data", lambda *_, timing: data if timing else None
    )
    order = [
        str(tmp_path / "run"),
        "--to",
        str(tmp_path / "bundle"),
        "--fps",
        "5",
        "--validation",
        str(tmp_path),
    ]
    done = CliRunner().invoke(export_main, order)
    assert done.exit_code == 0, done.output
    assert ModelSpec.load(tmp_path / "bundle").au_thresholds == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["multimodal_transformer", "mean_teacher"])
def test_audio_is_synchronous_with_frames(
    name: str, exports: dict[str, Export], frames: list[Frame], tmp_path: Path
) -> None:
    net, bundle = exports[name]
    spec, random = ModelSpec.load(bundle), np.random.default_rng(1)
    # Bursts, so that a delay of the audio changes the outputs. The last 0.4 s have no audio.
    loud = np.repeat(random.uniform(0, 1, 24) ** 3, RATE // 20)
    samples = (loud * random.standard_normal(len(loud)) * 0.2).astype(np.float32).clip(-1, 1)
    path = write_audio(tmp_path / "a.wav", samples[None], RATE)
    audio = AudioFile(path, RATE)
    points, actual = analyze(bundle, frames, audio)
    track = MelTrack.from_audio(read_audio(path, RATE))
    crops, times = crop_faces(frames, points, spec), [frame.time_s for frame in frames]
    expected = scores_by_head(predict_offline(net, crops, times, track))
    assert_scores_match(actual, expected, spec.heads)
    late = scores_by_head(predict_offline(net, crops, [t - 0.1 for t in times], track))["au"]
    assert np.abs(late - expected["au"]).max() > 10 * TOLERANCE, (
        "a delay of 100 ms would have passed as well"
    )
    audio.close()
    assert audio.notes == []


@pytest.mark.shared
@pytest.mark.parametrize("name", ["multimodal_transformer", "mean_teacher"])
def test_audio_of_real_clip_matches_offline_predictions(
    name: str, exports: dict[str, Export], shared: Path
) -> None:
    """Training takes times from the container, the SDK from OpenCV's frames and PyAV's audio."""
    net, bundle = exports[name]
    clip = shared / "data/videos/grid_bbaf2n.mpg"
    with open_source(clip) as source:
        frames = list(source)
    points, actual = analyze(bundle, frames, AudioFile(clip, RATE))
    track, spec = MelTrack.from_audio(read_audio(clip, RATE)), ModelSpec.load(bundle)
    offsets = frame_audio_offsets(clip).tolist()
    assert len(offsets) == len(frames)
    assert_scores_match(
        actual,
        scores_by_head(predict_offline(net, crop_faces(frames, points, spec), offsets, track)),
        spec.heads,
    )


@pytest.mark.parametrize(
    "name", ["multimodal_transformer", "mean_teacher", "pairwise_intensity", "multi_database"]
)
def test_states_of_faces_are_independent(
    name: str, exports: dict[str, Export], frames: list[Frame]
) -> None:
    """Two faces in one image, one of them temporarily, get the same outputs as each alone."""
    _, bundle = exports[name]
    spec = ModelSpec.load(bundle)
    model = MultiStageModel(
        spec, open_stages(open_multistage_bundle(bundle), BackendOptions()), StageTimer()
    )
    shape = np.stack([MEAN_SHAPE_PX * 2 + (180, 60), MEAN_SHAPE_PX * 1.5 + (260, 120)]).astype(
        np.float32
    )
    few = frames[:16]

    def run(rows: list[int], track_id: list[int], frame: Frame) -> np.ndarray:
        outputs = model.run(frame, shape[rows], np.array(track_id, np.int64))
        return np.concatenate([np.nan_to_num(value) for value in outputs.values()], axis=1)

    alone = []
    for row in (0, 1):
        model.reset()
        alone.append(np.array([run([row], [9], frame)[0] for frame in few]))
    assert np.abs(alone[0] - alone[1]).max() > 1e-3
    model.reset()
    for step, frame in enumerate(few):
        is_there = 3 <= step < 12
        scores = run([1, 0] if is_there else [0], [5, 7] if is_there else [7], frame)
        assert np.abs(scores[-1] - alone[0][step]).max() < 1e-5
        if step == 3:
            first = run([1], [6], frame)[0]  # a third face, new like the second
            assert np.abs(scores[0] - first).max() < 1e-5
    later = replace(few[0], time_s=few[-1].time_s + MEMORY_TIMEOUT_S + 0.1)
    run([0], [7], later)
    assert np.abs(run([0], [5], later)[0] - run([0], [8], later)[0]).max() == 0, (
        "the state of the second face was kept"
    )


@pytest.mark.parametrize("name", RECIPES)
def test_analyze_command_writes_columns_of_heads(
    name: str, exports: dict[str, Export], tmp_path: Path
) -> None:
    bundle = exports[name][1]
    clip = short_clip(tmp_path / "clip.mp4", 12)
    out = tmp_path / "rows.csv"
    overlay = tmp_path / "overlay.mp4"
    order = [
        "analyze",
        "--model",
        str(bundle),
        str(clip),
        "--out",
        str(out),
        "--overlay",
        str(overlay),
    ]
    done = CliRunner().invoke(_command(), order)
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert [int(row["frame"]) for row in rows] == list(range(12))
    columns = {"au": AU_NAMES, "expression": EXPRESSION_NAMES, "va": ("valence", "arousal")}
    for head, names in columns.items():
        cells = [row[name] for row in rows for name in names]
        assert (
            all(math.isfinite(float(cell)) for cell in cells)
            if head in HEADS[name]
            else set(cells) == {""}
        )
    assert all(
        (row["expression"] in EXPRESSION_NAMES) == ("expression" in HEADS[name]) for row in rows
    )
    assert overlay.stat().st_size > 1000
    alone = f"clip.mp4: no audio track: {name} runs on video alone"
    assert (alone in done.output) == (name in ("multimodal_transformer", "mean_teacher"))
    for line, head in (
        ("mean valence", "va"),
        ("most frequent AUs", "au"),
        ("expressions  ", "expression"),
    ):
        assert (line in done.output) == (head in HEADS[name])


def _command():
    """The command line for a runner that catches its exit code and both streams."""
    import click

    @click.command(context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def run(arguments: tuple[str, ...]) -> None:
        cli_main(list(arguments))

    return run


def short_clip(path: Path, count: int) -> Path:
    import cv2

    with open_source(DEMO) as source:
        images = [to_bgr(frame) for frame, _ in zip(source, range(count), strict=False)]
    size = images[0].shape[1::-1]
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, 30.0, size)
    for image in images:
        writer.write(image)
    writer.release()
    return path


def test_method_card_describes_model(exports: dict[str, Export]) -> None:
    card = (exports["multi_database"][1] / CARD_FILE).read_text()
    assert "# multi_database (M8)" in card
    assert (
        "Seven expressions, valence and arousal. "
        "Not predicted (empty columns): twelve action units." in card
    )
    assert "| model `default` |" in card
    assert "| stage `temporal` |" in card
    assert "trained for 3 steps" in card
    assert "Not recorded. Anyone who distributes these weights" in card
    assert "Must not be used for" in card
