"""Columns as data frames of pandas and polars, which are imported on use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faceaffect.api.result import MissingPackageError
from faceaffect.sinks.columns import COLUMNS

if TYPE_CHECKING:
    import pandas
    import polars


def to_pandas(columns: dict[str, list[Any]]) -> pandas.DataFrame:
    """Return a pandas data frame.

    Its types are those of `pandas.read_csv`, except that text is never missing.
    """
    try:
        import pandas
    except ImportError:
        raise _missing("pandas") from None

    series = {
        column.name: pandas.Series(columns[column.name], dtype=_pandas_type(column, columns))
        for column in COLUMNS
    }
    return pandas.DataFrame(series)


def to_polars(columns: dict[str, list[Any]]) -> polars.DataFrame:
    """Return a polars data frame; unknown numbers are null."""
    try:
        import polars
    except ImportError:
        raise _missing("polars") from None

    types = {
        column.name: polars.String
        if column.is_text
        else polars.Int64
        if column.is_integer
        else polars.Float64
        for column in COLUMNS
    }
    return polars.DataFrame(columns, schema=types)


def _pandas_type(column: Any, columns: dict[str, list[Any]]) -> str:
    if column.is_text:
        return "str"
    is_integer = column.is_integer and None not in columns[column.name]
    return "int64" if is_integer else "float64"


def _missing(package: str) -> MissingPackageError:
    return MissingPackageError(
        f"expected {package} to be installed, it is not; run `pip install {package}`, or use"
        " result.save('rows.csv')"
    )
