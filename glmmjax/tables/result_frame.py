"""The DataFrame of results, which also leaves for polars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from glmmjax.errors import ArgumentError

__all__ = ["ResultFrame"]


class ResultFrame(pd.DataFrame):
    """A DataFrame of pandas with ``to_polars``. What pandas makes from it, such as a choice of its rows, is one too."""

    @property
    def _constructor(self) -> type[ResultFrame]:
        return ResultFrame

    def to_polars(self) -> Any:
        """The table as a DataFrame of polars, which has no index and one name for a column.

        Returns
        -------
        polars DataFrame
            The labels of the rows first, as columns of their names (``index`` where they have none), unless the rows are only numbered. Two
            names of a column are joined by ``:``. Levels are an ``Enum`` in their order, and missing values are null.

        Raises
        ------
        ArgumentError
            Without polars.

        Examples
        --------
        >>> fit = gj.mixed_model("y ~ sex * time", random="~ 1 | id", data=gj.datasets.load_intro_binomial(), family="binomial")
        >>> fit.tidy().to_polars().columns  # doctest: +SKIP
        ['effect', 'component', 'group', 'term', 'estimate', 'std.error', 'statistic', 'p.value']
        """
        try:
            import polars as pl
        except ImportError:
            raise ArgumentError("to_polars() needs the package polars: pip install polars.") from None
        columns = [*_labels(self), *((_name(name), column) for name, column in self.items())]
        taken: dict[str, Any] = {}
        for name, column in columns:
            while name in taken:  # a label of the rows with the name of a column
                name += "_"
            taken[name] = _series(pl, name, column)
        return pl.DataFrame(taken)


def _labels(frame: pd.DataFrame) -> list[tuple[str, Any]]:
    """Names and values of the index; none for numbered rows."""
    index = frame.index
    if index.nlevels == 1 and index.name is None and pd.api.types.is_integer_dtype(index.dtype):
        return []
    single = index.names[0] or "index" if index.nlevels == 1 else ""
    names = [single] if single else [name or f"level_{k}" for k, name in enumerate(index.names)]
    return [(_name(name), pd.Series(index.get_level_values(k))) for k, name in enumerate(names)]


def _name(name: Any) -> str:
    return ":".join(str(part) for part in name if part != "") if isinstance(name, tuple) else str(name)


def _series(pl: Any, name: str, column: pd.Series) -> Any:
    """One column."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        values = [None if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]
        return pl.Series(name, values, dtype=pl.Enum([str(level) for level in column.cat.categories]))
    if isinstance(column.dtype, np.dtype) and column.dtype != object:
        return pl.Series(name, column.to_numpy(), nan_to_null=True)
    return pl.Series(name, [None if missing else value for value, missing in zip(column, column.isna(), strict=True)])
