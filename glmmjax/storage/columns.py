"""Columns and labels of pandas as JSON with arrays beside it, types included: categories in their order, text, missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types as dtypes

from glmmjax.errors import ArgumentError
from glmmjax.storage.values import Arrays, decode, encode

__all__ = ["decode_column", "decode_index", "encode_column", "encode_index"]


def encode_column(column: Any, arrays: Arrays, what: str) -> dict[str, Any]:
    """A Series, Index or array as JSON; ``what`` names it in messages.

    Raises
    ------
    ArgumentError
        For a type that cannot be written: complex numbers, times with a time zone, objects that are neither text nor numbers nor tuples.
    """
    column = pd.Series(column).reset_index(drop=True)
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        categories = encode_column(dtype.categories, arrays, f"the categories of {what}")
        return {"kind": "categorical", "codes": _put(column.cat.codes, arrays), "categories": categories, "ordered": bool(dtype.ordered)}
    if isinstance(dtype, pd.IntervalDtype):
        ends = column.array
        sides = {side: encode_column(getattr(ends, side), arrays, what) for side in ("left", "right")}
        return {"kind": "intervals", **sides, "closed": ends.closed}
    if isinstance(dtype, np.dtype) and dtype.kind in "biufmM":
        return {"kind": "plain", "values": _put(column, arrays)}
    if isinstance(dtype, pd.api.extensions.ExtensionDtype) and (dtypes.is_numeric_dtype(dtype) or dtypes.is_bool_dtype(dtype)):
        return _encode_masked(column, arrays)
    if dtypes.is_object_dtype(dtype) or dtypes.is_string_dtype(dtype):
        return _encode_objects(column, arrays, what)
    raise ArgumentError(
        f"save: {what} has the type {dtype}, which a file of a fit cannot hold; turn it into numbers or text and fit again."
    )


def decode_column(found: dict[str, Any], arrays: Arrays) -> pd.Series:
    """The Series of ``encode_column``, its rows numbered from 0."""
    kind = found["kind"]
    if kind == "categorical":
        categories = pd.Index(decode_column(found["categories"], arrays), tupleize_cols=False)
        return pd.Series(pd.Categorical.from_codes(arrays[found["codes"]], categories, ordered=found["ordered"]))
    if kind == "intervals":
        ends = [decode_column(found[side], arrays).array for side in ("left", "right")]
        return pd.Series(pd.arrays.IntervalArray.from_arrays(*ends, closed=found["closed"]))
    if kind == "plain":
        return pd.Series(arrays[found["values"]])
    if kind == "masked":
        return pd.Series(arrays[found["values"]]).astype(found["dtype"]).mask(arrays[found["missing"]], pd.NA)
    if kind != "objects":
        raise ValueError(f"a column of the kind {kind!r}")
    levels = np.empty(len(found["levels"]) + 1, dtype=object)
    levels[:-1] = [decode(level, arrays) for level in found["levels"]]  # the last entry, None, stands for missing values
    return pd.Series(levels[arrays[found["codes"]]], dtype=found["dtype"])


def encode_index(index: pd.Index, arrays: Arrays, what: str) -> dict[str, Any]:
    """Row or cluster labels as JSON.

    Raises
    ------
    ArgumentError
        As ``encode_column`` does.
    """
    names = [encode(name, arrays, what) for name in index.names]
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "names": names}
    if isinstance(index, pd.MultiIndex):
        columns = [index.get_level_values(k) for k in range(index.nlevels)]
        return {"levels": [encode_column(column, arrays, what) for column in columns], "names": names}
    return {"labels": encode_column(index, arrays, what), "names": names}


def decode_index(found: dict[str, Any], arrays: Arrays) -> pd.Index:
    """The Index of ``encode_index``."""
    names = [decode(name, arrays) for name in found["names"]]
    if "range" in found:
        return pd.RangeIndex(*found["range"], name=names[0])
    if "levels" in found:
        return pd.MultiIndex.from_arrays([decode_column(column, arrays) for column in found["levels"]], names=names)
    return pd.Index(decode_column(found["labels"], arrays), name=names[0], tupleize_cols=False)


def _put(values: Any, arrays: Arrays) -> int:
    arrays.append(np.ascontiguousarray(values))
    return len(arrays) - 1


def _encode_masked(column: pd.Series, arrays: Arrays) -> dict[str, Any]:
    """Numbers of a type that has a missing value of its own."""
    missing = column.isna().to_numpy(bool)
    plain = np.dtype(bool if dtypes.is_bool_dtype(column.dtype) else np.int64 if dtypes.is_integer_dtype(column.dtype) else np.float64)
    values = column.to_numpy(plain, na_value=plain.type(0)) if missing.any() else column.to_numpy(plain)
    return {"kind": "masked", "dtype": str(column.dtype), "values": _put(values, arrays), "missing": _put(missing, arrays)}


def _encode_objects(column: pd.Series, arrays: Arrays, what: str) -> dict[str, Any]:
    """Text, and objects that are numbers, text or tuples: every distinct one once."""
    present = column.notna().to_numpy(bool)
    values = column[present].astype(object)
    codes = np.full(len(column), -1)
    try:
        if values.map(type).nunique() > 1:  # 1, 1.0 and True are equal, but must come back as they were
            codes[present], levels = np.arange(len(values)), values
        else:
            codes[present], levels = pd.factorize(values)
    except TypeError as error:
        raise ArgumentError(f"save: {what} holds objects that a file of a fit cannot hold ({error}).") from None
    texts = [encode(level, arrays, what) for level in levels]
    return {"kind": "objects", "dtype": str(column.dtype), "codes": _put(codes, arrays), "levels": texts}
