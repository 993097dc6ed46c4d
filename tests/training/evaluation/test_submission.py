"""Submission files of each year, compared with texts written from the challenges' descriptions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.datasets.synthetic_affwild2 import HEADER_AU, HEADER_EXPR, HEADER_VA
from training.evaluation.label_table import LabelTable, unlabeled
from training.evaluation.prediction_table import PredictionTable, empty_predictions, with_classes
from training.evaluation.submission import write_multi_task, write_submission
from training.metrics import ABAW3

VIDEO, SECOND = "12-24-1920x1080_left", "video5"
AUS = ("1,0,0,0,0,0,0,0,0,0,0,1", "0,0,0,0,0,0,1,0,0,0,1,0", "0,0,0,0,0,0,0,0,0,0,0,0")
TASKS = ("AU_Set", "EXPR_Set", "VA_Set")


@pytest.fixture
def tables() -> tuple[LabelTable, PredictionTable]:
    """Two frames of one video, of which the second is not predicted, and one of another."""
    labels = LabelTable(
        videos=(VIDEO, SECOND),
        video=np.array([0, 0, 1]),
        frame=np.array([1, 2, 1]),
        crop=("a.jpg", None, "b.jpg"),
        listed=dict.fromkeys(TASKS, frozenset((VIDEO, SECOND))),
        **unlabeled(3),
    )
    predictions = empty_predictions(3, classes=8)
    for row, aus, expression, va in ((0, AUS[0], 7, (0.25, -0.5)), (2, AUS[1], 3, (-1.25, 1))):
        predictions.known[row] = True
        predictions.au_active[row] = [value == "1" for value in aus.split(",")]
        predictions.au_probability[row] = 0.5
        predictions.expression_probability[row] = np.eye(8)[expression]
        predictions.va[row] = va
    return labels, predictions


def text_of(path: Path) -> list[str]:
    assert path.read_text().endswith("\n")
    return path.read_text().splitlines()


def test_files_of_abaw3_have_eight_classes_for_each_video(
    tmp_path: Path, tables: tuple[LabelTable, PredictionTable]
) -> None:
    assert write_submission(tmp_path, *tables, "hold", rules=ABAW3) == 6
    assert text_of(tmp_path / f"EXPR_Set/{VIDEO}.txt") == [f"{HEADER_EXPR},Other", "7", "7"]
    assert text_of(tmp_path / f"AU_Set/{VIDEO}.txt") == [HEADER_AU, AUS[0], AUS[0]]
    assert text_of(tmp_path / f"VA_Set/{SECOND}.txt") == [HEADER_VA, "-1.0000,1.0000"]


def test_single_files_of_abaw6_name_the_image_of_each_row(
    tmp_path: Path, tables: tuple[LabelTable, PredictionTable]
) -> None:
    assert write_submission(tmp_path, *tables, "drop", single_file=True) == 3
    images = (f"{VIDEO}/00001.jpg", f"{VIDEO}/00002.jpg", f"{SECOND}/00001.jpg")
    assert text_of(tmp_path / "EXPR_Set/predictions.txt") == [
        f"image_location,{HEADER_EXPR},Other",
        *(f"{image},{value}" for image, value in zip(images, (7, -1, 3), strict=True)),
    ]
    assert text_of(tmp_path / "VA_Set/predictions.txt") == [
        f"image_location,{HEADER_VA}",
        f"{images[0]},0.2500,-0.5000",
        f"{images[1]},-5.0000,-5.0000",
        f"{images[2]},-1.0000,1.0000",
    ]
    assert text_of(tmp_path / "AU_Set/predictions.txt")[:2] == [
        f"image_location,{HEADER_AU}",
        f"{images[0]},{AUS[0]}",
    ]


def test_multi_task_file_has_all_tasks_of_the_frames_with_a_crop_or_of_the_list(
    tmp_path: Path, tables: tuple[LabelTable, PredictionTable]
) -> None:
    path = tmp_path / "predictions.txt"
    first = f"{VIDEO}/00001.jpg,0.2500,-0.5000,7,{AUS[0]}"
    last = f"{SECOND}/00001.jpg,-1.0000,1.0000,3,{AUS[1]}"
    header = "image,valence,arousal,expression,aus"
    assert write_multi_task(path, *tables, "hold") == 2
    assert text_of(path) == [header, first, last]
    write_multi_task(path, *tables, "hold", [(SECOND, 1), (VIDEO, 2), (VIDEO, 1)])
    held = first.replace("00001", "00002")
    assert text_of(path) == [header, last, held, first], "the order of the list"
    with pytest.raises(ValueError, match=r"1 images without a frame .* video5/00002.jpg"):
        write_multi_task(path, *tables, "hold", [(VIDEO, 1), (SECOND, 2)])
    with pytest.raises(ValueError, match=r"such as foreign/00001\.jpg"):
        write_multi_task(path, *tables, "hold", [("foreign", 1)])


def test_seven_classes_never_answer_other(
    tables: tuple[LabelTable, PredictionTable],
) -> None:
    predictions = tables[1]
    seven = with_classes(predictions, 7)
    assert seven.expression_probability.shape == (3, 7)
    assert seven.expression[2] == 3
    eight = with_classes(replace(seven, known=predictions.known), 8)
    assert (eight.expression_probability[predictions.known, 7] == 0).all()
    assert eight.expression.max() < 7
    assert eight.expression[1] == -1
