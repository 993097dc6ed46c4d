"""CSV and JSON Lines."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from faceaffect.sinks import COLUMN_NAMES
from faceaffect.sinks.columns import rows_for_frame
from faceaffect.sinks.row_formats import CsvFormat, JsonlFormat
from faceaffect.types import FrameInfo
from tests.sdk.sinks.synthetic_results import synthetic_result


def test_row_formats_store_equal_values_with_special_characters_and_nan() -> None:
    _, faces, affect = synthetic_result(3)
    name = 'a "b", c\nü.mp4'
    faces.quality[0], affect.valence[0] = np.nan, -0.00001
    (row,) = rows_for_frame(FrameInfo(name, 3), faces, affect)
    named = json.loads(JsonlFormat().line(row))
    (read,) = csv.DictReader(io.StringIO(CsvFormat().header() + CsvFormat().line(row), newline=""))
    assert list(named) == list(read) == list(COLUMN_NAMES)
    assert (named["quality"], read["quality"]) == (None, "")
    assert (named["valence"], read["valence"]) == (0.0, "0.0")
    assert named["source"] == read["source"] == 'a "b", c\\nü.mp4'
    assert all(str(named[name]) == read[name] for name in COLUMN_NAMES if name != "quality")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("a b", "a b"),
        ("a,b", '"a,b"'),
        ('a"b', '"a""b"'),
        ("a\rb", '"a\rb"'),
        ("a\nb", '"a\nb"'),
        ("", ""),
        (None, ""),
        (-3, "-3"),
        (0.1, "0.1"),
        (1e-4, "0.0001"),
    ],
)
def test_csv_format_quotes_cells_as_rfc_4180(cell: str | int | float | None, text: str) -> None:
    assert CsvFormat().line((cell, "end")) == f"{text},end\n"
