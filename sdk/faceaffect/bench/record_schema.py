"""JSON Schema of benchmark records, derived from their data classes."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any, Final

from faceaffect.bench.record import FORMAT, VERSION, Record

_SCALARS: Final[dict[Any, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}


def record_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what `faceaffect bench --save-json` writes."""
    schema = _schema(Record)
    schema["properties"] = {
        "format": {"const": FORMAT},
        "version": {"const": VERSION},
        **schema["properties"],
    }
    schema["required"] = ["format", "version", *schema["required"]]
    # Percentiles for readers, ignored when a record is loaded.
    schema["properties"]["results"]["items"]["properties"]["summary"] = {"type": "object"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Record of faceaffect bench",
        **schema,
    }


def _schema(kind: Any) -> dict[str, Any]:
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    if kind is Any or kind is object:
        return {}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(one) for one in arguments]}
    if kind is type(None):
        return {"type": "null"}
    if origin is list or (origin is tuple and arguments[-1] is Ellipsis):
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is tuple:
        return _tuple_schema(arguments)
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    names = typing.get_type_hints(kind)
    if is_dataclass(kind):
        properties = {one.name: _schema(names[one.name]) for one in fields(kind)}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    return _tuple_schema(tuple(names.values()))  # a named tuple


def _tuple_schema(items: tuple[Any, ...]) -> dict[str, Any]:
    count = len(items)
    prefix = [_schema(one) for one in items]
    return {"type": "array", "prefixItems": prefix, "minItems": count, "maxItems": count}
