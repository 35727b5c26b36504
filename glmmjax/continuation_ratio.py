"""Continuation ratios: an ordinal outcome as the binary outcomes of a logistic model, and its probabilities back from the predictors.

Forward, the model is of P(Y = k | Y >= k) for every level k but the last; backward, of P(Y = k | Y <= k) for every level but the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from glmmjax.arguments import Container, Judged, Maybe, OneOf, takes
from glmmjax.errors import ArgumentError
from glmmjax.values import NOT_NUMBERS

__all__ = ["cr_marg_probs", "cr_setup"]

_DIRECTION = OneOf({"forward": "from the lowest level up", "backward": "from the highest down"})


@takes(y=Container("an ordinal outcome: a column or a list"), direction=_DIRECTION)
def cr_setup(y: Any, direction: Literal["forward", "backward"] = "forward") -> pd.DataFrame:
    """Expand an ordinal outcome into one binary outcome for each level that a row reaches.

    Parameters
    ----------
    y : (n,) ordinal outcome: a column of a categorical type, whose levels count in their order, or of distinct numbers. Levels that do
        not occur are left out.
    direction : ``"forward"`` goes through the levels from the lowest until that of the row, ``"backward"`` from the highest.

    Returns
    -------
    DataFrame
        One line for each row and cohort, rows together: ``row``, the position of the row in ``y``, from 0; ``cohort``, categorical with
        K - 1 levels in the order gone through: ``"all"``, and then ``"y>=b"`` forward or ``"y<=b"`` backward for level ``b``; ``y``, 1
        where the outcome is the level at which the cohort starts, else 0.

    Raises
    ------
    ArgumentError
        For missing values, levels without an order, fewer than 3 levels, or an unknown direction.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"judge": [1, 1, 2], "rating": [0, 2, 1]})
    >>> cr = gj.cr_setup(data["rating"])
    >>> data.iloc[cr["row"]].reset_index(drop=True).assign(y=cr["y"], cohort=cr["cohort"])  # data for family="binomial"
       judge  rating  y cohort
    0      1       0  1    all
    1      1       2  0    all
    2      1       2  0   y>=1
    3      2       1  0    all
    4      2       1  1   y>=1
    """
    codes, levels = _read(y)
    last = len(levels) - 1
    n_passed = codes if direction == "forward" else last - codes  # levels gone through before that of the row
    n_lines = np.minimum(n_passed + 1, last)  # whoever passed all cohorts is at the other end
    row = np.repeat(np.arange(len(codes)), n_lines)
    cohort = np.arange(len(row)) - np.repeat(np.cumsum(n_lines) - n_lines, n_lines)
    sign, later = (">=", levels[1:last]) if direction == "forward" else ("<=", levels[last - 1 : 0 : -1])
    names = ["all", *(f"y{sign}{level}" for level in later)]
    return pd.DataFrame(
        {"row": row, "cohort": pd.Categorical.from_codes(cohort, categories=names), "y": (cohort == n_passed[row]).astype(np.int64)}
    )


@takes(eta=Judged("numbers (n, K - 1), one column for each cohort"), direction=_DIRECTION, levels=Maybe(Container("a list of K names")))
def cr_marg_probs(eta: Any, direction: Literal["forward", "backward"] = "forward", levels: Sequence[Any] | None = None) -> pd.DataFrame:
    """Probability of each level from the linear predictors of a continuation-ratio model with a logit link.

    Parameters
    ----------
    eta : (n, K - 1) linear predictors, one column for each level that has one, in the order of the levels: forward the first K - 1 levels,
        which is the order of the cohorts; backward the last K - 1, which is the cohorts' order reversed.
    direction : as in ``cr_setup``.
    levels : K names for the columns of the result; by default 0, ..., K - 1.

    Returns
    -------
    DataFrame
        (n, K), with the index of ``eta`` where that is a DataFrame. Each line sums to 1.

    Raises
    ------
    ArgumentError
        For an ``eta`` that is no table of at least 2 columns of numbers, missing values, the wrong number of levels, or an unknown
        direction.

    Examples
    --------
    >>> gj.cr_marg_probs([[0.0, 1.0]], levels=["low", "mid", "high"]).round(3)
       low    mid   high
    0  0.5  0.366  0.134
    """
    try:
        table = np.asarray(eta, np.float64)
    except NOT_NUMBERS:
        raise ArgumentError(f"eta must be a table of numbers, not {type(eta).__name__} with other values.") from None
    if table.ndim != 2 or table.shape[1] < 2:
        raise ArgumentError(f"eta has shape {table.shape} and must be (n, K - 1), one column for each of at least 2 cohorts.")
    if np.isnan(table).any():
        raise ArgumentError(f"eta has missing values in {np.isnan(table).any(1).sum()} of {len(table)} rows; leave these rows out first.")
    if levels is not None and len(levels) != table.shape[1] + 1:
        raise ArgumentError(f"levels has {len(levels)} names, and eta with {table.shape[1]} columns is about {table.shape[1] + 1} levels.")
    gone_through = table if direction == "forward" else table[:, ::-1]
    log_stop, log_pass = -np.logaddexp(0.0, -gone_through), -np.logaddexp(0.0, gone_through)
    none = np.zeros((len(table), 1))
    probabilities = np.exp(np.hstack([none, np.cumsum(log_pass, axis=1)]) + np.hstack([log_stop, none]))
    if direction == "backward":
        probabilities = probabilities[:, ::-1]
    index = eta.index if isinstance(eta, pd.DataFrame) else None
    return pd.DataFrame(probabilities, index=index, columns=None if levels is None else list(levels))


def _read(y: Any) -> tuple[np.ndarray, list[Any]]:
    """Codes 0, 1, ... and the levels that they stand for."""
    if getattr(y, "ndim", 1) != 1:
        raise ArgumentError(f"y has shape {y.shape} and must be (n,), one outcome for each row; take one column of a table.")
    values = pd.Series(y).reset_index(drop=True)
    if values.isna().any():
        raise ArgumentError(
            f"y has missing values in {values.isna().sum()} of {len(values)} rows; leave these rows out of the data first, "
            "such as data = data.dropna(subset=['y'])."
        )
    is_categorical = isinstance(values.dtype, pd.CategoricalDtype)
    if not is_categorical and not pd.api.types.is_numeric_dtype(values.dtype):
        raise ArgumentError(
            f"y holds {values.dtype} values, whose levels have no order; give them one: "
            "pd.Categorical(y, categories=[lowest, ..., highest], ordered=True)."
        )
    used = values.cat.remove_unused_categories().array if is_categorical else pd.Categorical(values)
    levels = [int(v) if isinstance(v, float) and v.is_integer() else v for v in used.categories.tolist()]
    if len(levels) < 3:
        raise ArgumentError(f"y has the levels {levels}, and a continuation ratio needs at least 3; fit two by family='binomial'.")
    return used.codes.astype(np.int64), levels
