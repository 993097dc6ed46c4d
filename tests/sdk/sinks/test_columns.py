"""Columns, and the rows of a frame."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import read_rows
from faceaffect.sinks import COLUMN_NAMES, SinkOptions, open_sink
from faceaffect.sinks.columns import AU_ON_NAMES, rows_for_frame, select_columns
from faceaffect.types import FrameInfo
from tests.sdk.sinks.synthetic_results import synthetic_result


def test_column_names_are_the_documented_ones() -> None:
    assert ",".join(COLUMN_NAMES) == (
        "source,frame,time_s,track_id,box_x1,box_y1,box_x2,box_y2,face_score,quality,"
        "yaw_deg,pitch_deg,roll_deg,AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26,"
        "AU1_on,AU2_on,AU4_on,AU6_on,AU7_on,AU10_on,AU12_on,AU15_on,AU23_on,AU24_on,AU25_on,"
        "AU26_on,neutral,anger,disgust,fear,happiness,sadness,surprise,expression,"
        "valence,arousal"
    )


def test_rows_for_frame_puts_every_value_into_its_column() -> None:
    frame, faces, affect = synthetic_result(7, 2)
    row = dict(zip(COLUMN_NAMES, list(rows_for_frame(frame, faces, affect))[1], strict=True))
    assert (row["source"], row["frame"], row["time_s"], row["track_id"]) == ("clip.mp4", 7, 0.28, 2)
    assert row["box_y2"] == pytest.approx(faces.box_xyxy[1, 3], abs=0.005)
    assert row["pitch_deg"] == pytest.approx(faces.pose_deg[1, 1], abs=0.005)
    assert row["AU26"] == pytest.approx(affect.au_probability[1, 11], abs=5e-5)
    active = [row[f"{name}_on"] for name in AU_NAMES]
    assert active == affect.au_active[1].astype(int).tolist()
    assert {type(cell) for cell in active} == {int}
    assert row["surprise"] == pytest.approx(affect.expression_probability[1, 6], abs=5e-5)
    assert row[str(row["expression"])] == max(row[name] for name in EXPRESSION_NAMES)
    assert row["arousal"] == pytest.approx(affect.arousal[1], abs=5e-5)


def test_rows_for_frame_of_frame_info_equal_those_of_frame() -> None:
    frame, faces, affect = synthetic_result(7, 2)
    info = FrameInfo(frame.source, frame.index, frame.time_s)
    rows = list(rows_for_frame(info, faces, affect))
    assert rows == list(rows_for_frame(frame, faces, affect))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_rows_of_partial_models_leave_missing_outputs_empty(tmp_path: Path, suffix: str) -> None:
    """The first row is that of a model of valence and arousal, the second one has AUs alone."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    frame, faces, affect = synthetic_result(0)
    nan = np.float32(np.nan)
    va_only = replace(
        affect,
        au_probability=affect.au_probability * nan,
        au_active=affect.au_active & False,
        expression_probability=affect.expression_probability * nan,
    )
    aus_only = replace(
        affect,
        expression_probability=affect.expression_probability * nan,
        valence=affect.valence * nan,
        arousal=affect.arousal * nan,
    )
    path = tmp_path / f"rows{suffix}"
    with open_sink(path) as sink:
        sink.begin("clip.mp4")
        sink.write(frame, faces, va_only)
        sink.write(replace(frame, index=1), faces, aus_only)
        sink.end("clip.mp4")
    first, second = _read_rows(path)
    empty = {name for name, value in first.items() if value in ("", None)}
    assert empty == {*AU_NAMES, *AU_ON_NAMES, *EXPRESSION_NAMES, "expression"}
    empty = {name for name, value in second.items() if value in ("", None)}
    assert empty == {*EXPRESSION_NAMES, "expression", "valence", "arousal"}


def _read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path).to_pylist()  # type: ignore[no-any-return]
    return list(csv.DictReader(path.open(encoding="utf-8")))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_rows_of_source_that_is_not_utf8_are_written_escaped(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    with open_sink(path) as sink:
        sink.begin("bad\udcff.mp4")
        sink.write(*synthetic_result(1, source="bad\udcff.mp4"))
        sink.end("bad\udcff.mp4")
    assert path.read_text(encoding="utf-8").count("bad\\") == 1


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_landmark_columns_are_added_in_every_format(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    frame, faces, affect = synthetic_result(3, 2)
    path = tmp_path / f"rows{suffix}"
    with open_sink(path, SinkOptions(columns=("landmarks",))) as sink:
        sink.begin("clip.mp4")
        sink.write(frame, faces, affect)
        sink.end("clip.mp4")
    for row, points in zip(_read_rows(path), faces.landmarks_xy, strict=True):
        assert tuple(row)[: len(COLUMN_NAMES)] == COLUMN_NAMES
        assert float(row["x_67"]) == pytest.approx(points[67, 0], abs=0.0051)
        assert float(row["y_0"]) == pytest.approx(points[0, 1], abs=0.0051)
        assert len(row) == len(COLUMN_NAMES) + 136


def test_eye_columns_follow_landmarks_and_are_empty_without_them() -> None:
    frame, faces, affect = synthetic_result(3, 2)
    landmarks = faces.landmarks_xy.copy()
    # Corners 20 px apart; lids 5 px apart on the right eye, 2 px on the left one.
    for start, gap in ((36, 5.0), (42, 2.0)):
        eye = np.array([[0, 0], [6, 0], [14, 0], [20, 0], [14, gap], [6, gap]])
        landmarks[0, start : start + 6] = eye + 50
    landmarks[1] = np.nan
    faces = replace(faces, landmarks_xy=landmarks)
    both = select_columns(("eyes", "landmarks"))
    names = [column.name for column in both]
    first, second = (
        dict(zip(names, row, strict=True)) for row in rows_for_frame(frame, faces, affect, both)
    )
    assert names[-4:] == ["eye_openness_right", "eye_openness_left", "AU45", "AU45_on"]
    assert first["AU45"] == pytest.approx(1 / (1 + math.exp((0.175 - 0.119) / 0.0365)), abs=1e-4)
    assert (first["AU45_on"], second["AU45"], second["AU45_on"]) == (0, None, None)
    assert (first["eye_openness_right"], first["eye_openness_left"]) == (0.25, 0.1)
    assert first["y_41"] == 55
    assert second["eye_openness_right"] is None
    eyes = select_columns(("eyes",))
    assert len(eyes) == len(COLUMN_NAMES) + 4
    assert next(rows_for_frame(frame, faces, affect, eyes))[-4:-2] == (0.25, 0.1)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_frame_has_a_row_on_request(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"rows{suffix}"
    with open_sink(path, SinkOptions(every_frame=True)) as sink:
        sink.begin("clip.mp4")
        for index, count in enumerate((0, 2, 0, 1)):
            sink.write(*synthetic_result(index, count))
        sink.end("clip.mp4")
    rows = _read_rows(path)
    assert [int(row["frame"]) for row in rows] == [0, 1, 1, 2, 3]
    filled = {name for name, cell in rows[0].items() if cell not in ("", None)}
    assert filled == {"source", "frame", "time_s"}
    (chunk,) = read_rows(path, [])
    assert chunk.frame.tolist() == [1, 1, 3], "readers of faces skip them"


def test_unknown_column_group_names_the_known_ones() -> None:
    assert select_columns(("all",)) == select_columns(("intensity", "eyes", "landmarks", "default"))
    with pytest.raises(ValueError, match="default, landmarks, eyes, intensity or all, got gaze"):
        select_columns(("default", "gaze"))


def test_intensity_columns_are_those_of_affect_and_empty_without_them() -> None:
    frame, faces, affect = synthetic_result(3, 2)
    intensity = np.linspace(0, 5, 24, dtype=np.float32).reshape(2, 12)
    columns = select_columns(("intensity",))
    rows = list(rows_for_frame(frame, faces, replace(affect, au_intensity=intensity), columns))
    assert [column.name for column in columns[-12:]] == [f"{name}_intensity" for name in AU_NAMES]
    np.testing.assert_allclose([row[-12:] for row in rows], intensity, atol=6e-4)
    assert next(rows_for_frame(frame, faces, affect, columns))[-12:] == (None,) * 12
