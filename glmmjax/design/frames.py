"""Tables of other libraries as DataFrames of pandas, by narwhals, which is loaded only for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from glmmjax.errors import ArgumentError

__all__ = ["as_pandas", "from_other_library"]


def as_pandas(data: Any, argument: str = "data") -> Any:
    """A table of another library as a DataFrame of pandas; anything else as it is.

    Raises
    ------
    ArgumentError
        As ``from_other_library``.
    """
    found = from_other_library(data, argument)
    return data if found is None else found


def from_other_library(data: Any, argument: str) -> pd.DataFrame | None:
    """A table of polars, pyarrow, modin or another library that narwhals knows as a DataFrame; None for anything else.

    Levels in an order that the column declares (polars' ``Enum``) become ordered categories; other categories without an order become text.

    Raises
    ------
    ArgumentError
        For a lazy table, whose rows are not there yet.
    """
    if isinstance(data, pd.DataFrame | pd.Series | np.ndarray) or not hasattr(type(data), "columns"):
        return None
    import narwhals as nw  # only tables of other libraries need it

    table = nw.from_native(data, pass_through=True)
    if isinstance(table, nw.LazyFrame):
        raise ArgumentError(f"{argument} is a lazy table, {type(data).__module__}.{type(data).__name__}; pass {argument}.collect().")
    if not isinstance(table, nw.DataFrame):
        return None
    if table.implementation.is_polars():  # whose own conversion needs pyarrow
        return pd.DataFrame({column.name: _column(nw, column) for column in table.iter_columns()})
    found: pd.DataFrame = table.to_pandas()
    return found


def _column(nw: Any, column: Any) -> Any:
    """The values of a column, missing ones as pandas writes them."""
    if column.dtype == nw.Enum:
        return pd.Categorical(column.to_list(), categories=list(column.dtype.categories), ordered=True)
    if column.dtype in (nw.String, nw.Categorical) or column.dtype.is_decimal():
        return pd.Series(column.to_list(), dtype=object if column.dtype.is_decimal() else "str")
    return column.to_numpy()
