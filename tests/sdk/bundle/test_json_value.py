"""Typed JSON reading: values, paths in errors, and rejected types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from faceaffect.bundle.json_value import JsonValue


def test_json_value_returns_typed_members() -> None:
    fields = JsonValue({"name": "x", "sizes": [1, 2.5], "limit": None}).fields(
        ["name", "sizes"], ["limit", "count"]
    )
    assert fields["name"].text() == "x"
    assert fields["sizes"].numbers(2) == (1.0, 2.5)
    assert fields.get("limit").optional(JsonValue.number) is None
    assert fields.get("count", 3).integer(minimum=1) == 3


@pytest.mark.parametrize(
    ("value", "read", "message"),
    [
        ({"a": [1, "x"]}, lambda v: v.members()["a"].numbers(), r"a\[1\]: expected a number"),
        ({"a": {"b": 0}}, lambda v: v.members()["a"].members()["b"].text(), r"a\.b: expected a st"),
        ([True], lambda v: next(v.items()).integer(), r"\[0\]: expected an integer, got True"),
        ([False], lambda v: next(v.items()).number(), r"\[0\]: expected a number, got False"),
        (0, lambda v: v.integer(minimum=1), "JSON root: expected an integer >= 1, got 0"),
        ([1], lambda v: v.numbers(3), r"expected 3 numbers, got \[1\]"),
        ("x" * 99, lambda v: v.items(), r"expected an array, got 'x+\.\.\."),
        ({"b": 1}, lambda v: v.fields(["a"]), r"missing fields \['a'\], unknown fields \['b'\]"),
    ],
)
def test_json_value_of_another_type_raises_with_path(
    value: Any, read: Callable[[JsonValue], Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(JsonValue(value))
