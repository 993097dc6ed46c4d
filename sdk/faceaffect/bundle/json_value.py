"""Typed reading of parsed JSON; errors name the field, the expected type and the value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, TypeVar

_MAX_SHOWN: Final = 60
_T = TypeVar("_T")


class JsonValue:
    """A parsed JSON value and its path from the root; every conversion raises ValueError."""

    def __init__(self, value: Any, path: str = "") -> None:
        self._value = value
        self.path = path

    def expected(self, what: str) -> ValueError:
        """Build the error for a value that is not `what`."""
        shown = repr(self._value)
        shown = shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."
        return ValueError(f"{self.path or 'JSON root'}: expected {what}, got {shown}")

    def members(self) -> dict[str, JsonValue]:
        """Members of an object by name."""
        if not isinstance(self._value, dict):
            raise self.expected("an object")
        prefix = f"{self.path}." if self.path else ""
        return {name: JsonValue(value, prefix + name) for name, value in self._value.items()}

    def fields(self, required: Collection[str], optional: Collection[str] = ()) -> JsonFields:
        """Members of an object that has all `required` names and no others but `optional`."""
        members = self.members()
        missing = sorted(set(required) - members.keys())
        unknown = sorted(members.keys() - {*required, *optional})
        if missing or unknown:
            where = f"{self.path}: " if self.path else ""
            raise ValueError(f"{where}missing fields {missing}, unknown fields {unknown}")
        return JsonFields(members)

    def items(self) -> Iterator[JsonValue]:
        """Elements of an array."""
        if not isinstance(self._value, list):
            raise self.expected("an array")
        return (JsonValue(item, f"{self.path}[{i}]") for i, item in enumerate(self._value))

    def optional(self, read: Callable[[JsonValue], _T]) -> _T | None:
        """None for null, else what `read` returns for the value."""
        return None if self._value is None else read(self)

    def text(self) -> str:
        """The value as a string."""
        if not isinstance(self._value, str):
            raise self.expected("a string")
        return self._value

    def integer(self, minimum: int | None = None) -> int:
        """The value as an integer of at least `minimum`."""
        is_integer = isinstance(self._value, int) and not isinstance(self._value, bool)
        if not is_integer or (minimum is not None and self._value < minimum):
            raise self.expected("an integer" if minimum is None else f"an integer >= {minimum}")
        return int(self._value)

    def number(self) -> float:
        """The value as a float."""
        if isinstance(self._value, bool) or not isinstance(self._value, int | float):
            raise self.expected("a number")
        try:
            return float(self._value)
        except OverflowError:
            raise self.expected("a number within the range of float64") from None

    def texts(self) -> tuple[str, ...]:
        """The value as strings."""
        return tuple(item.text() for item in self.items())

    def numbers(self, count: int | None = None) -> tuple[float, ...]:
        """The value as `count` floats (None: any number)."""
        values = tuple(item.number() for item in self.items())
        if count is not None and len(values) != count:
            raise self.expected(f"{count} numbers")
        return values


class JsonFields:
    """The members of an object whose names were checked."""

    def __init__(self, members: dict[str, JsonValue]) -> None:
        self._members = members

    def __getitem__(self, name: str) -> JsonValue:
        return self._members[name]

    def get(self, name: str, default: Any = None) -> JsonValue:
        """A member, or `default` as its value if it is absent."""
        return self._members.get(name, JsonValue(default, name))
