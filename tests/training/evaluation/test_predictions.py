"""Predictions of crops, substitutes for missing ones, and prediction files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.pipeline import open_pipeline
from faceaffect.sinks.row_formats import CsvFormat
from faceaffect.sinks.sink import SinkOptions
from faceaffect.sinks.text_sink import TextSink
from faceaffect.types import Affect, Faces, Frame
from tests.sdk.tiny_bundle import write_tiny_bundle
from tests.training.evaluation.synthetic_data import brightness, write_affwild2
from training.datasets.affwild2_annotations import read_task_file
from training.evaluation.affwild2_labels import load_labels
from training.evaluation.label_table import LabelTable, unlabeled
from training.evaluation.predict_crops import NOMINAL_FPS, predict_crops
from training.evaluation.prediction_file import PredictionError, read_predictions, write_predictions
from training.evaluation.prediction_table import (
    PredictionTable,
    drop_non_finite,
    empty_predictions,
    hold_last,
)
from training.evaluation.submission import write_submission


def table_of(videos: dict[str, int]) -> LabelTable:
    """Label table without labels."""
    counts = list(videos.values())
    return LabelTable(
        videos=tuple(videos),
        video=np.repeat(np.arange(len(counts)), counts),
        frame=np.concatenate([np.arange(1, n + 1) for n in counts]),
        crop=(None,) * sum(counts),
        listed={
            "AU_Set": frozenset(videos),
            "EXPR_Set": frozenset(videos),
            "VA_Set": frozenset(videos),
        },
        **unlabeled(sum(counts)),
    )


def synthetic_predictions(labels: LabelTable, known: np.ndarray) -> PredictionTable:
    random = np.random.default_rng(0)
    predictions = empty_predictions(len(labels))
    n = int(known.sum())
    predictions.known[known] = True
    predictions.au_probability[known] = random.random((n, 12))
    predictions.au_active[known] = random.random((n, 12)) < 0.5
    predictions.expression_probability[known] = random.dirichlet(np.ones(7), n)
    predictions.va[known] = random.uniform(-1.1, 1.1, (n, 2))
    return predictions


def assert_equal(one: PredictionTable, other: PredictionTable, atol: float = 0) -> None:
    for name in ("known", "au_active"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name in ("au_probability", "expression_probability", "va"):
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), atol=atol, rtol=0, err_msg=name
        )


@pytest.fixture
def two() -> tuple[LabelTable, PredictionTable]:
    labels = table_of({"a": 6, "b": 4, "c": 3})
    return labels, synthetic_predictions(
        labels, np.array([0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0], bool)
    )


@pytest.mark.parametrize("workers", [1, 3])
def test_predict_crops_matches_pipeline(tmp_path: Path, workers: int) -> None:
    labels = load_labels(write_affwild2(tmp_path / "data"))
    bundle = write_tiny_bundle(tmp_path / "bundle")
    predictions, notes = predict_crops(bundle, labels, workers)
    with open_pipeline(bundle, aligned_crops=True, is_video=True) as pipeline:
        for row in range(len(labels)):
            if row == 0 or labels.video[row] != labels.video[row - 1]:
                pipeline.reset()
            image = None if labels.crop[row] is None else cv2.imread(labels.crop[row])
            assert predictions.known[row] == (image is not None)
            if image is not None:
                assert (
                    abs(float(image.mean()) - brightness(int(labels.frame[row]))) < 2
                )  # the right image
                index = int(labels.frame[row]) - 1
                _, affect = pipeline.analyze(Frame(image, time_s=index / NOMINAL_FPS, index=index))
                np.testing.assert_allclose(
                    predictions.au_probability[row], affect.au_probability[0], atol=1e-6
                )
                np.testing.assert_allclose(
                    predictions.va[row], [affect.valence[0], affect.arousal[0]], atol=1e-6
                )
                assert predictions.expression[row] == affect.expression_probability[0].argmax()
    assert predictions.known.sum() == 7
    assert len(np.unique(predictions.va[predictions.known, 0])) >= 5  # five levels of brightness
    assert len(notes) == 1
    assert "12-30-9x9/00003.jpg" in notes[0]


class CountingPipeline:
    """Pipeline whose valence is the number of frames since the last reset, and whose arousal is
    the index of the frame.
    """

    uses_audio = False

    def __init__(self, bundle: Path, aligned_crops: bool, is_video: bool = False) -> None:
        self.frame_count = 0

    def reset(self) -> None:
        self.frame_count = 0

    def analyze(self, frame: Frame) -> tuple[Faces, Affect]:
        self.frame_count += 1
        scores = (
            np.zeros((1, 12), np.float32),
            np.zeros((1, 12), bool),
            np.zeros((1, 7), np.float32),
        )
        return Faces(), Affect(*scores, np.float32([self.frame_count]), np.float32([frame.index]))

    def close(self) -> None:
        self.reset()


def test_predict_crops_resets_pipeline_per_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluation.predict_crops.open_pipeline", CountingPipeline)
    labels = load_labels(write_affwild2(tmp_path))
    predictions, _ = predict_crops(tmp_path, labels, workers=1)
    for name, expected in (("one", [(1, 1), (2, 2), (3, 4)]), ("unseen", [(1, 0)])):
        part = labels.rows_of(labels.videos.index(name))
        assert predictions.va[part][predictions.known[part]].tolist() == [
            list(pair) for pair in expected
        ]


def test_hold_last_matches_reference_loop(two: tuple[LabelTable, PredictionTable]) -> None:
    labels, predictions = two
    held = hold_last(predictions, labels)
    last = None
    for row in range(len(labels)):
        if labels.frame[row] == 1:
            last = None
        last = row if predictions.known[row] else last
        if last is None:
            assert not held.au_probability[row].any()
            assert not held.au_active[row].any()
            assert held.expression_probability[row].tolist() == [1, 0, 0, 0, 0, 0, 0]
            assert held.va[row].tolist() == [0, 0]
        else:
            np.testing.assert_array_equal(
                held.au_probability[row], predictions.au_probability[last]
            )
            np.testing.assert_array_equal(held.va[row], predictions.va[last])
            assert held.expression[row] == predictions.expression[last]
    assert held.known.all()


def test_drop_non_finite_marks_rows_unknown(two: tuple[LabelTable, PredictionTable]) -> None:
    _, predictions = two
    predictions.va[3, 1] = np.inf
    predictions.au_probability[4, 2] = np.nan
    finite, dropped = drop_non_finite(predictions)
    assert dropped == 2
    assert np.flatnonzero(finite.known).tolist() == [1, 8]


def test_write_submission_is_readable_as_labels(
    tmp_path: Path, two: tuple[LabelTable, PredictionTable]
) -> None:
    labels, predictions = two
    labels = replace(labels, listed={**labels.listed, "VA_Set": frozenset({"b"})})
    assert write_submission(tmp_path / "hold", labels, predictions, "hold") == 7
    held = hold_last(predictions, labels)
    for name in labels.videos:
        part = labels.rows_of(labels.videos.index(name))
        au = read_task_file(tmp_path / "hold" / "AU_Set" / f"{name}.txt", "AU").values
        np.testing.assert_array_equal(au, held.au_active[part])
        expression = read_task_file(tmp_path / "hold" / "EXPR_Set" / f"{name}.txt", "EXPR").values
        np.testing.assert_array_equal(expression[:, 0], held.expression[part])
    va = read_task_file(tmp_path / "hold" / "VA_Set" / "b.txt", "VA").values
    np.testing.assert_allclose(va, held.va[6:10].clip(-1, 1), atol=6e-5)
    assert [path.name for path in (tmp_path / "hold" / "VA_Set").iterdir()] == ["b.txt"]


def test_write_submission_with_drop_marks_missing_frames(
    tmp_path: Path, two: tuple[LabelTable, PredictionTable]
) -> None:
    labels, predictions = two
    predictions.va[1] = -0.00001, 1.5
    write_submission(tmp_path, labels, predictions, "drop")
    lines = (tmp_path / "VA_Set" / "a.txt").read_text().splitlines()
    assert lines[:3] == ["valence,arousal", "-5.0000,-5.0000", "0.0000,1.0000"]
    assert (tmp_path / "AU_Set" / "c.txt").read_text() == ",".join(AU_NAMES) + "\n" + 3 * (
        ",".join(["-1"] * 12) + "\n"
    )
    assert (
        tmp_path / "EXPR_Set" / "c.txt"
    ).read_text() == "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise\n-1\n-1\n-1\n"


def test_write_predictions_round_trips(
    tmp_path: Path, two: tuple[LabelTable, PredictionTable]
) -> None:
    labels, predictions = two
    path = tmp_path / "predictions.csv"
    write_predictions(path, labels, predictions)
    again, notes = read_predictions(path, labels, None)
    assert_equal(again, predictions, atol=1e-6)
    assert notes == []
    shorter = table_of({"a": 4, "c": 3})
    _, notes = read_predictions(path, shorter, None)
    assert notes == [
        "1 videos of the predictions have no labels: b",
        "1 rows are outside the frames of their video",
    ]


def test_read_predictions_without_decisions_applies_thresholds(
    tmp_path: Path, two: tuple[LabelTable, PredictionTable]
) -> None:
    labels, predictions = two
    path = tmp_path / "predictions.csv"
    write_predictions(path, labels, predictions)
    lines = [line.split(",") for line in path.read_text().splitlines()]
    kept = [k for k, name in enumerate(lines[0]) if not name.endswith("_on")]
    path.write_text("\n".join(",".join(line[k] for k in kept) for line in lines))
    decided, _ = read_predictions(path, labels, (0.3,) * 12)
    np.testing.assert_array_equal(
        decided.au_active[decided.known], predictions.au_probability[predictions.known] >= 0.3
    )
    with pytest.raises(PredictionError, match=r"columns AU1_on \.\. AU26_on, or a bundle"):
        read_predictions(path, labels, None)


def analyzed(
    path: Path, faces_of: dict[str, dict[int, list[tuple[int, float, float]]]]
) -> np.ndarray:
    """Write an SDK file of (track, left edge, width) by source and index; returns the valences."""
    count = 0
    with TextSink(path, CsvFormat(), SinkOptions()) as sink:
        for source, frames in faces_of.items():
            sink.begin(source)
            for index, faces in frames.items():
                n = len(faces)
                track, left, width = (np.array(column) for column in zip(*faces, strict=True))
                box = np.stack([left, np.zeros(n), left + width, width], axis=1).astype(np.float32)
                au = np.tile(np.float32(np.arange(12) / 20), (n, 1))
                expression = np.tile(np.eye(7, dtype=np.float32)[4], (n, 1))
                valence = np.float32(np.arange(count, count + n) / 100)
                ones = np.ones(n, np.float32)
                sink.write(
                    Frame(np.zeros((4, 4, 3), np.uint8), index=index, source=source),
                    Faces(
                        box,
                        np.zeros((n, 68, 2), np.float32),
                        track.astype(np.int64),
                        ones,
                        ones,
                        np.zeros((n, 3)),
                    ),
                    Affect(au, au > 0.5, expression, valence, -valence),
                )
                count += n
            sink.end(source)
    return np.arange(count) / 100


def test_read_predictions_of_sdk_file_matches_video_and_index(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    analyzed(
        path,
        {
            "/x/a.mp4": {0: [(1, 0, 10)], 2: [(1, 0, 10), (2, 50, 40)]},
            "crops/b/00003.jpg": {0: [(1, 0, 9)]},
        },
    )
    labels = table_of({"a": 3, "b": 3})
    predictions, notes = read_predictions(path, labels, None)
    assert notes == []
    assert predictions.known.tolist() == [True, False, True, False, False, True]
    np.testing.assert_allclose(
        predictions.va[predictions.known, 0], [0, 0.02, 0.03]
    )  # the larger face of a.mp4's third
    assert [AU_NAMES[k] for k in np.flatnonzero(predictions.au_active[0])] == ["AU26"]
    assert EXPRESSION_NAMES[predictions.expression[0]] == "happiness"


def test_read_predictions_assigns_sides_from_frames_with_two_people(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    frames = {
        0: [(7, 5, 10)],  # alone: track 7, later on the right
        1: [(7, 90, 10), (8, 10, 10), (9, 50, 10)],
        2: [(8, 12, 10), (7, 88, 10)],
        3: [(8, 80, 10)],  # alone, on the other side of the image
        4: [(3, 0, 10)],  # a third person, always alone
    }
    analyzed(path, {"v.avi": frames, "w.avi": frames})
    labels = table_of({"v_left": 5, "v_right": 5, "w": 5, "w_right": 5})
    predictions, _ = read_predictions(path, labels, None)
    nan = np.nan
    valence = 100 * predictions.va[:, 0].reshape(4, 5)
    left, right = [nan, 2, 4, 6, nan], [0, 1, 5, nan, nan]
    np.testing.assert_allclose(
        valence, [left, right, np.array(left) + 8, np.array(right) + 8], atol=1e-4
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("AU6,", "AU5,", 1), "expected the columns AU6"),
        (lambda text: text.replace("video,", "film,", 1), r"video \(or source\)"),
        (
            lambda text: text + text.splitlines()[1] + "\n",
            "1 frames have several rows, first video a, frame 2",
        ),
        (lambda text: text.replace('"a",2,', '"a",two,'), "expected numbers in column frame"),
        (lambda text: text.replace('"a",2,', '"a",2.5,'), "expected integers"),
        (lambda text: text + "a,1\n", "failed to read"),
        (lambda text: "", "failed to read"),
    ],
)
def test_read_predictions_of_invalid_file_names_error(tmp_path, two, change, message) -> None:
    labels, predictions = two
    path = tmp_path / "predictions.csv"
    write_predictions(path, labels, predictions)
    path.write_text(change(path.read_text()))
    with pytest.raises(PredictionError, match=message):
        read_predictions(path, labels, None)


def test_read_predictions_of_odd_decisions_raises(
    tmp_path: Path, two: tuple[LabelTable, PredictionTable]
) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(path, *two)
    names = path.read_text().splitlines()
    row = names[1].split(",")
    row[names[0].split(",").index("AU6_on")] = "2"
    path.write_text("\n".join([names[0], ",".join(row)]))
    with pytest.raises(PredictionError, match=r"to be 0 or 1, got \[2\.0\]"):
        read_predictions(path, two[0], None)


def test_read_predictions_of_parquet_equal_those_of_csv(
    tmp_path: Path, two: tuple[LabelTable, PredictionTable]
) -> None:
    from pyarrow import csv, parquet

    labels, predictions = two
    path = tmp_path / "predictions.csv"
    write_predictions(path, labels, predictions)
    parquet.write_table(csv.read_csv(path), tmp_path / "predictions.parquet")
    expected, _ = read_predictions(path, labels, None)
    got, _ = read_predictions(tmp_path / "predictions.parquet", labels, None)
    np.testing.assert_array_equal(got.au_active, predictions.au_active & predictions.known[:, None])
    np.testing.assert_array_equal(got.va[got.known], expected.va[expected.known])


def test_write_submission_in_single_file_names_frames_of_all_videos(
    tmp_path: Path, two: tuple[LabelTable, PredictionTable]
) -> None:
    labels, predictions = two
    write_submission(tmp_path / "each", labels, predictions, "hold")
    count = write_submission(tmp_path / "one", labels, predictions, "hold", single_file=True)
    tasks = [task for task in labels.listed if labels.listed[task]]
    assert count == len(tasks)
    for task in tasks:
        header, *rows = (tmp_path / "one" / task / "predictions.txt").read_text().splitlines()
        assert header.startswith("image_location,")
        expected = []
        for path in sorted((tmp_path / "each" / task).glob("*.txt"), key=lambda p: p.stem):
            texts = path.read_text().splitlines()[1:]
            expected += [f"{path.stem}/{k:05d}.jpg,{text}" for k, text in enumerate(texts, start=1)]
        assert sorted(rows) == sorted(expected)
        if task == "EXPR_Set":
            assert header.endswith("Surprise,Other")
