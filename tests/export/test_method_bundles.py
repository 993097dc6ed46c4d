"""All eight methods from some steps of training through a bundle to rows: the SDK, frame by frame,
says what the network says offline.
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from export import export_method
from export.__main__ import main as export_main
from faceaffect import Frame, open_pipeline, open_source
from faceaffect.audio.audio_file import AudioFile
from faceaffect.backends import BackendOptions
from faceaffect.backends.onnx_multistage import open_stages
from faceaffect.bundle.bundle import CARD_FILE
from faceaffect.bundle.model_spec import ModelSpec
from faceaffect.bundle.multistage_bundle import open_staged_bundle
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
from faceaffect.multistage.face_part_mask import part_mask
from faceaffect.multistage.multistage_model import MultiStageModel
from faceaffect.multistage.stage_runner import FORGET_S
from faceaffect.system.stage_timer import StageTimer
from tests.export.method_runs import offline, train_run, write_run
from tests.training.audio.synthetic_media import write_audio
from tests.training.methods.network_cases import SMALL
from tests.training.methods.synthetic_faces import synthetic_data
from training.audio.audio_file import read_audio
from training.audio.frame_times import frame_audio_offsets
from training.audio.mel_track import MelTrack
from training.evaluation.calibration import choose_thresholds
from training.methods.predict import method_predictions
from training.methods.recipe_lookup import RECIPES, find_recipe
from training.models.mean_shape import MEAN_SHAPE_PX as TEMPLATE_FACE
from training.models.stages import MethodNet

REQUIRES = ("av",)

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("trained")]
DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"
CLOSE = 1e-5
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
Made = tuple[MethodNet, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Networks and their bundles, by the command, made when first asked for; those with options are
    not trained.
    """
    folder = tmp_path_factory.mktemp("methods")

    class Cases(dict[str, Made]):
        def __missing__(self, name: str) -> Made:
            recipe, *options = name.split(" ")
            run, bundle = folder / f"run_{len(self)}", folder / f"bundle_{len(self)}"
            net = write_run(recipe, run, *options) if options else train_run(recipe, run)
            done = CliRunner().invoke(export_main, [str(run), "--to", str(bundle)])
            assert done.exit_code == 0, done.output
            self[name] = (net, bundle)
            return self[name]

    return Cases()


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    with open_source(DEMO) as source:
        return [frame for frame, _ in zip(source, range(48), strict=False)]


def analyzed(
    bundle: Path, frames: list[Frame], audio: AudioFile | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Landmarks [T, 68, 2] of the only face, and its scores by head [T, ...]."""
    points, found = [], {"au": [], "expression": [], "va": []}
    with open_pipeline(bundle, smooth=False) as pipeline:
        if pipeline.uses_audio:
            pipeline.listen(audio)
        for frame in frames:
            faces, affect = pipeline.analyze(frame)
            assert faces.track_id.tolist() == [1]
            points.append(faces.landmarks_xy[0])
            found["au"].append(affect.au_probability[0])
            found["expression"].append(affect.expression_probability[0])
            found["va"].append([affect.valence[0], affect.arousal[0]])
    return np.array(points), {head: np.array(values) for head, values in found.items()}


def cut(frames: list[Frame], points: np.ndarray, spec: ModelSpec) -> torch.Tensor:
    """Crops by the readable definition of cropping, one after the other."""
    size, rows = spec.crop.size_px, []
    for frame, landmarks in zip(frames, points, strict=True):
        maps = rescale_transforms(
            estimate_crop_to_frame(keypoints_from_landmarks(landmarks[None])), size
        )
        crop = reference.crop_face(
            frame, maps, size_px=size, mean=spec.crop.mean, std=spec.crop.std
        )[0]
        if spec.crop.parts is not None:
            mask = (
                part_mask(transform_points(invert_transforms(maps), landmarks[None])[0], size) / 255
            )
            crop = np.concatenate(
                [crop, ((mask - spec.crop.parts[0]) / spec.crop.parts[1])[None]]
            ).astype(np.float32)
        rows.append(torch.from_numpy(crop))
    return torch.stack(rows)


def scores(outputs: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    read = {
        "au": ("au_logit", torch.sigmoid),
        "expression": ("expression_logit", lambda x: x.softmax(-1)),
    }
    read["va"] = ("va", lambda x: x.clamp(-1, 1))
    return {
        head: how(outputs[name]).numpy() for head, (name, how) in read.items() if name in outputs
    }


def assert_same(
    found: dict[str, np.ndarray], wanted: dict[str, np.ndarray], heads: tuple[str, ...]
) -> None:
    for head in ("au", "expression", "va"):
        if head not in heads:
            assert np.isnan(found[head]).all(), head
            continue
        assert wanted[head].std(axis=0).max() > 10 * CLOSE, (
            f"{head} hardly changes: that proves nothing"
        )
        assert np.abs(found[head] - wanted[head]).max() < CLOSE, head


@pytest.mark.parametrize("name", RECIPES)
def test_frame_by_frame_is_the_whole_sequence(
    name: str, made: dict[str, Made], frames: list[Frame]
) -> None:
    net, bundle = made[name]
    spec = ModelSpec.load(bundle)
    assert spec.heads == HEADS[name]
    if not any(stage.states for stage in spec.stages):
        frames = frames[::6]
    points, found = analyzed(bundle, frames)
    assert_same(found, scores(offline(net, cut(frames, points, spec), [])), spec.heads)


def test_a_paced_clip_holds_its_outputs_in_between(
    made: dict[str, Made], frames: list[Frame]
) -> None:
    net, bundle = made["mean_teacher net.clip=3d net.base=8"]
    spec = ModelSpec.load(bundle)
    every = spec.stages[-1].every
    assert every == 6
    points, found = analyzed(bundle, frames)
    wanted = scores(offline(net, cut(frames, points, spec), []))
    held = np.arange(len(frames)) // every * every
    assert_same(found, {head: values[held] for head, values in wanted.items()}, spec.heads)


def test_a_network_of_slow_videos_keeps_their_pace(frames: list[Frame], tmp_path: Path) -> None:
    net = write_run("multi_database", tmp_path / "run")
    done = CliRunner().invoke(
        export_main, [str(tmp_path / "run"), "--to", str(tmp_path / "bundle"), "--fps", "5"]
    )
    assert done.exit_code == 0, done.output
    spec = ModelSpec.load(tmp_path / "bundle")
    assert "at most 5 frames a second" in (tmp_path / "bundle" / CARD_FILE).read_text()
    points, found = analyzed(tmp_path / "bundle", frames)
    wanted = scores(
        offline(net, cut(frames[::6], points[::6], spec), [])
    )  # the demo has 30 frames a second
    held = np.arange(len(frames)) // 6
    assert_same(found, {head: values[held] for head, values in wanted.items()}, spec.heads)


def test_a_network_without_memory_is_read_on_every_frame_whatever_it_was_trained_on(
    tmp_path: Path,
) -> None:
    write_run("incomplete_labels", tmp_path / "run")
    done = CliRunner().invoke(
        export_main, [str(tmp_path / "run"), "--to", str(tmp_path / "bundle"), "--fps", "3"]
    )
    assert done.exit_code == 0, done.output
    assert ModelSpec.load(tmp_path / "bundle").input_fps is None
    assert "frames a second" not in (tmp_path / "bundle" / CARD_FILE).read_text()


def test_thresholds_are_chosen_at_the_pace_of_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, data = (
        write_run("mean_teacher", tmp_path / "run"),
        synthetic_data(validation={"one": 60, "two": 45}, size_px=32),
    )
    recipe = find_recipe("mean_teacher", "compact", SMALL["mean_teacher"])
    table = data.validation
    slow, every = (
        method_predictions(net, recipe, table, data, input_fps=pace).au for pace in (5, None)
    )
    wanted, other = (choose_thresholds(each, table.au > 0, table.au_mask) for each in (slow, every))
    assert np.abs(np.subtract(wanted, other)).max() > 1e-3
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
    assert ModelSpec.load(tmp_path / "bundle").au_thresholds == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("name", ["multimodal_transformer", "mean_teacher"])
def test_audio_is_heard_in_time_with_the_frames(
    name: str, made: dict[str, Made], frames: list[Frame], tmp_path: Path
) -> None:
    net, bundle = made[name]
    spec, random = ModelSpec.load(bundle), np.random.default_rng(1)
    # Bursts: what is heard at a frame tells when it was heard. The last 0.4 s of the frames have no
    # audio any more.
    loud = np.repeat(random.uniform(0, 1, 24) ** 3, RATE // 20)
    samples = (loud * random.standard_normal(len(loud)) * 0.2).astype(np.float32).clip(-1, 1)
    path = write_audio(tmp_path / "a.wav", samples[None], RATE)
    audio = AudioFile(path, RATE)
    points, found = analyzed(bundle, frames, audio)
    track = MelTrack.of(read_audio(path, RATE))
    crops, times = cut(frames, points, spec), [frame.time_s for frame in frames]
    wanted = scores(offline(net, crops, times, track))
    assert_same(found, wanted, spec.heads)
    late = scores(offline(net, crops, [t - 0.1 for t in times], track))["au"]
    assert np.abs(late - wanted["au"]).max() > 10 * CLOSE, (
        "audio of 100 ms before would have passed as well"
    )
    audio.close()
    assert audio.notes == []


@pytest.mark.shared
@pytest.mark.parametrize("name", ["multimodal_transformer", "mean_teacher"])
def test_the_audio_of_a_real_clip(name: str, made: dict[str, Made], shared: Path) -> None:
    """Times come from the container on the training side, from OpenCV's frames and PyAV's audio in
    the SDK.
    """
    net, bundle = made[name]
    clip = shared / "data/videos/grid_bbaf2n.mpg"
    with open_source(clip) as source:
        frames = list(source)
    points, found = analyzed(bundle, frames, AudioFile(clip, RATE))
    track, spec = MelTrack.of(read_audio(clip, RATE)), ModelSpec.load(bundle)
    offsets = frame_audio_offsets(clip).tolist()
    assert len(offsets) == len(frames)
    assert_same(found, scores(offline(net, cut(frames, points, spec), offsets, track)), spec.heads)


@pytest.mark.parametrize(
    "name", ["multimodal_transformer", "mean_teacher", "pairwise_intensity", "multi_database"]
)
def test_memory_of_one_face_is_nothing_to_another(
    name: str, made: dict[str, Made], frames: list[Frame]
) -> None:
    """Two faces of one image, the second there for a while only, are read as each alone; so is one
    that was away.
    """
    _, bundle = made[name]
    spec = ModelSpec.load(bundle)
    reader = MultiStageModel(
        spec, open_stages(open_staged_bundle(bundle), BackendOptions()), StageTimer()
    )
    shape = np.stack([TEMPLATE_FACE * 2 + (180, 60), TEMPLATE_FACE * 1.5 + (260, 120)]).astype(
        np.float32
    )
    few = frames[:16]

    def read(rows: list[int], track_id: list[int], frame: Frame) -> np.ndarray:
        found = reader.read(frame, shape[rows], np.array(track_id, np.int64))
        return np.concatenate([np.nan_to_num(value) for value in found.values()], axis=1)

    alone = []
    for row in (0, 1):
        reader.reset()
        alone.append(np.array([read([row], [9], frame)[0] for frame in few]))
    assert np.abs(alone[0] - alone[1]).max() > 1e-3
    reader.reset()
    for step, frame in enumerate(few):
        is_there = 3 <= step < 12
        found = read([1, 0] if is_there else [0], [5, 7] if is_there else [7], frame)
        assert np.abs(found[-1] - alone[0][step]).max() < 1e-5
        if step == 3:
            first = read([1], [6], frame)[0]  # a third, new like the second
            assert np.abs(found[0] - first).max() < 1e-5
    later = replace(few[0], time_s=few[-1].time_s + FORGET_S + 0.1)
    read([0], [7], later)
    assert np.abs(read([0], [5], later)[0] - read([0], [8], later)[0]).max() == 0, (
        "the second face was remembered"
    )


@pytest.mark.parametrize("name", RECIPES)
def test_analyze_writes_the_columns_of_the_heads(
    name: str, made: dict[str, Made], tmp_path: Path
) -> None:
    bundle = made[name][1]
    clip = short_clip(tmp_path / "clip.mp4", 12)
    out, seen = tmp_path / "rows.csv", tmp_path / "seen.mp4"
    order = [
        "analyze",
        "--model",
        str(bundle),
        str(clip),
        "--out",
        str(out),
        "--overlay",
        str(seen),
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
    assert seen.stat().st_size > 1000
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
        images = [frame.pixels for frame, _ in zip(source, range(count), strict=False)]
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (width, height)
    )
    for image in images:
        writer.write(image)
    writer.release()
    return path


def test_the_card_says_what_it_is(made: dict[str, Made]) -> None:
    card = (made["multi_database"][1] / CARD_FILE).read_text()
    assert "# multi_database (M8)" in card
    assert (
        "Seven expressions, valence and arousal. Not twelve action units: those columns stay empty."
        in card
    )
    assert "| model `default` |" in card
    assert "| stage `temporal` |" in card
    assert "trained for 3 steps" in card
    assert "The run does not say. Whoever passes these weights on" in card
    assert "Must not be used for" in card


def test_thresholds_terms_and_crops_are_taken_over(tmp_path: Path) -> None:
    write_run("incomplete_labels", tmp_path / "run")  # not trained, which its card says
    chosen = {name: round(0.3 + 0.01 * k, 2) for k, name in enumerate(AU_NAMES)}
    (tmp_path / "t.json").write_text(json.dumps(chosen))
    order = [
        str(tmp_path / "run"),
        "--to",
        str(tmp_path / "bundle"),
        "--thresholds",
        str(tmp_path / "t.json"),
    ]
    done = CliRunner().invoke(
        export_main,
        [*order, "--trained-on", "affwild2", "--trained-on", "my own", "--official-crops"],
    )
    assert done.exit_code == 0, done.output
    spec = ModelSpec.load(tmp_path / "bundle")
    assert spec.au_thresholds == tuple(chosen.values())
    assert spec.crop.offset_y_px == 10
    card = (tmp_path / "bundle" / CARD_FILE).read_text()
    assert "AU26 0.41" in card
    assert "non-commercial research" in card
    assert "- my own" in card


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--averaged"], "ema.safetensors is not there"),
        (["--thresholds", "bad"], "12 numbers"),
    ],
)
def test_options_that_cannot_be_used(options: list[str], said: str, tmp_path: Path) -> None:
    write_run("incomplete_labels", tmp_path / "run")
    (tmp_path / "bad.json").write_text("[0.5, 2]")
    given = [option.replace("bad", str(tmp_path / "bad.json")) for option in options]
    done = CliRunner().invoke(
        export_main, [str(tmp_path / "run"), "--to", str(tmp_path / "bundle"), *given]
    )
    assert done.exit_code == 1
    assert said in done.output
    assert not (tmp_path / "bundle" / "spec.json").exists()


@pytest.mark.parametrize(
    "option", ["multi_database net.recurrence=both", "multimodal_transformer net.causal=false"]
)
def test_what_looks_ahead_gets_no_bundle(option: str, tmp_path: Path) -> None:
    name, changed = option.split(" ")
    write_run(name, tmp_path / "run", changed)
    done = CliRunner().invoke(
        export_main, [str(tmp_path / "run"), "--to", str(tmp_path / "bundle")]
    )
    assert done.exit_code == 1
    assert "on video" in done.output


def test_a_damaged_run_is_no_traceback(tmp_path: Path) -> None:
    write_run("incomplete_labels", tmp_path / "run")
    (tmp_path / "run" / "weights.safetensors").write_bytes(b"broken")
    done = CliRunner().invoke(
        export_main, [str(tmp_path / "run"), "--to", str(tmp_path / "bundle")]
    )
    assert done.exit_code == 1
    assert "weights.safetensors cannot be used" in done.output
